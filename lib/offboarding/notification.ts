import type { Log } from '../log.ts';
import type { Notification } from './intake/auth0-notification.ts';
import { askForCheck, getOrganization } from './organization.ts';
import { sendDue } from './queue.ts';

/** Has the organization looked at that a notification names; not when it is a test, older than the last drift check, or about nobody who is watched. */
export async function requestCheck(notification: Notification | undefined, log: Log): Promise<void> {
  const { organization_id = '', time, isOfInterest = false } = notification ?? {};
  let check_requested = false;
  if (isOfInterest) {
    const { look_at, looked_at = '' } = await getOrganization(organization_id);
    const isOld = time !== undefined && new Date(time) <= new Date(looked_at);
    check_requested = look_at !== undefined && !isOld;
    if (check_requested && (await askForCheck(organization_id)))
      await sendDue([{ organization_id, priority: 'watch' }]);
  }
  log.info('notification_received', { organization_id: organization_id || undefined, check_requested });
}
