import type { Context, EventBridgeEvent } from 'aws-lambda';
import * as v from 'valibot';
import { ConnectionId, OrganizationId } from '../lib/ids.ts';
import { Optional, parseAs, parseJson } from '../lib/json.ts';
import { createLog } from '../lib/log.ts';
import { countStatus, dueForCheck } from '../lib/offboarding-list.ts';
import { sendChecks } from '../lib/offboarding-queue.ts';
import { hasEnded, recordsOf, STATUSES, watchedOf } from '../lib/offboarding-record.ts';

/** Checks that one run asks for: what the Enterprise limit reads in half an hour. What is left is due in the next run. */
const CHECKS_A_RUN = 3000;
/** How deep a CloudEvent may lie in the detail: Auth0 does not document its envelope in EventBridge. */
const DEEPEST = 5;

/** What Auth0's Event Streams say of an organization's connection (CloudEvents); a reason to check, never the truth. */
const Hint = v.object({
  type: v.picklist(['organization.connection.added', 'organization.connection.updated']),
  time: Optional(v.string()),
  a0purpose: Optional(v.string()),
  data: v.object({
    object: v.object({
      organization: v.object({ id: OrganizationId }),
      connection: v.object({ id: ConnectionId }),
      is_enabled: Optional(v.boolean()),
    }),
  }),
});
type Hint = v.InferOutput<typeof Hint>;

/** Asks for drift checks of organizations: by the clock of those that are due, and by a hint of Auth0's of the one that it names. */
export async function handler(event: Partial<EventBridgeEvent<string, unknown>>, context: Partial<Context> = {}) {
  const log = createLog({ request_id: context.awsRequestId });
  if (event['detail-type'] === 'Scheduled Event') {
    const due = await dueForCheck(CHECKS_A_RUN);
    await sendChecks(due);
    log.metrics('checks_requested', { ChecksDue: due.length });
    for (const status of STATUSES.filter((one) => !hasEnded({ status: one })))
      log.metrics('records_counted', { Records: await countStatus(status) }, {}, ['status', status]);
    return;
  }
  const hint = hintIn(event.detail);
  const check = hint && (await checkFor(hint));
  if (check) await sendChecks([check]);
  const organization_id = hint?.data.object.organization.id;
  log.info('hint_received', { organization_id, check_requested: check !== undefined });
}

/** The check that a hint is a reason for; none when it is a test, old, says that a connection is disabled, or is about nobody who was offboarded. */
async function checkFor({ a0purpose, time, data }: Hint) {
  const { organization, connection, is_enabled } = data.object;
  if (a0purpose === 'test' || is_enabled === false) return;
  const watched = watchedOf(await recordsOf(organization.id));
  const named = watched.find(({ connections }) => connections.some((one) => one.connection_id === connection.id));
  const check_at = watched[0]?.check_at;
  if (!check_at || !named) return;
  const isOld = time !== undefined && Date.parse(time) <= Date.parse(named.checked_at ?? named.created_at);
  return isOld ? undefined : { organization_id: organization.id, check_at };
}

/** The CloudEvent somewhere in `value`. */
function hintIn(value: unknown, depth = DEEPEST): Hint | undefined {
  const hint = parseAs(Hint, value);
  if (hint || depth === 0) return hint;
  const inside: unknown[] = typeof value === 'string' ? [parseJson(value)] : Object.values(Object(value));
  return inside.map((member) => hintIn(member, depth - 1)).find((found) => found !== undefined);
}
