import { randomUUID } from 'node:crypto';
import type { LocalEnvironment } from '../../infra/local/environment.ts';
import { noSessions } from '../../lib/offboarding/model/sessions.ts';
import { organization, request } from '../offboarding/items.ts';
import { putItem } from '../stored-items.ts';

/** Puts an organization's item whose offboarding has disabled its connections, and whose members' sessions are due. */
export async function putDue(local: Pick<LocalEnvironment, 'aws'>, organization_id: string) {
  // What reads the table's name at its start is loaded where it is set.
  const { toOrganizationItem } = await import('../../lib/offboarding/store/items.ts');
  const offboarding_id = randomUUID();
  const now = Date.now();
  const time = new Date(now).toISOString();
  const due = request(
    offboarding_id,
    {
      requested_at: time,
      accepted_at: time,
      updated_at: time,
      request: { id: offboarding_id, source: 'org-connections', time },
      status: 'completed',
      watch: 'on',
      sessions: { ...noSessions(now), sent_at: time },
    },
    { action: 'disable', end_sessions: true },
  );
  const item = organization({ organization_id, requests: [due], last_requested_at: time });
  await putItem(local, toOrganizationItem(item, now));
  return { organization_id, offboarding_id };
}
