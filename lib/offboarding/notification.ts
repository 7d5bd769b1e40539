import * as v from 'valibot';
import { OrganizationId } from '../ids.ts';
import { parseJson } from '../json.ts';
import type { Log } from '../log.ts';
import { askForCheck, getOrganization } from './organization.ts';
import { sendDue } from './queue.ts';

/** How deep an event may lie in the detail: Auth0 does not document its envelope in EventBridge. */
const DEEPEST = 5;

/** What Auth0's Event Streams say of an organization's connection (CloudEvents). */
const CHANGES = ['organization.connection.added', 'organization.connection.updated'];
/** A successful call of the Management API in the tenant's log stream; its shape is inferred from Auth0's log event types. */
const API_CALL = 'sapi';
const PATH = /^\/api\/v2\/organizations\/(org_[A-Za-z0-9]{1,46})\/(enabled_)?connections(\/|$)/;
const WRITES = /^(post|patch|put)$/i;

/** A reason to look at an organization, whatever it says; never the truth. */
type Notification = { organization_id: string; time: unknown; isOfInterest: boolean };

/** `value` as a notification; undefined when it is none. What it says beside the organization may be anything. */
function asNotification(value: unknown): Notification | undefined {
  const { type, time, a0purpose, data, date, details } = Object(value);
  const { organization, is_enabled } = Object(data?.object);
  if (CHANGES.includes(type) && v.is(OrganizationId, organization?.id))
    return { organization_id: organization.id, time, isOfInterest: a0purpose !== 'test' && is_enabled !== false };
  const { method, path, body } = Object(details?.request);
  const [, organization_id] = (type === API_CALL && PATH.exec(path)) || [];
  const isOfInterest = WRITES.test(method) && body?.is_enabled !== false;
  return organization_id === undefined ? undefined : { organization_id, time: date, isOfInterest };
}

/** The notification somewhere in `value`; undefined when there is none. */
export function notificationIn(value: unknown, depth = DEEPEST): Notification | undefined {
  const found = asNotification(value);
  if (found || depth === 0) return found;
  const inside: unknown[] = typeof value === 'string' ? [parseJson(value)] : Object.values(Object(value));
  return inside.map((member) => notificationIn(member, depth - 1)).find((one) => one !== undefined);
}

/** Has the organization looked at that a notification names; not when it is a test, older than the last drift check, or about nobody who is watched. */
export async function requestCheck(notification: Notification | undefined, log: Log): Promise<void> {
  const { organization_id = '', time, isOfInterest = false } = notification ?? {};
  let check_requested = false;
  if (isOfInterest) {
    const { look_at, looked_at = '' } = await getOrganization(organization_id);
    const isOld = typeof time === 'string' && new Date(time) <= new Date(looked_at);
    check_requested = look_at !== undefined && !isOld;
    if (check_requested && (await askForCheck(organization_id)))
      await sendDue([{ organization_id, priority: 'watch' }]);
  }
  log.info('notification_received', { organization_id: organization_id || undefined, check_requested });
}
