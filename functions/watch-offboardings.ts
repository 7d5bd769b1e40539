import type { Context } from 'aws-lambda';
import * as v from 'valibot';
import { dynamoDb, sqs } from '../lib/aws.ts';
import { required } from '../lib/environment.ts';
import { parseJson } from '../lib/json.ts';
import { createLog } from '../lib/log.ts';
import { ConnectionId, OrganizationId } from '../lib/management-api.ts';
import { LOOK } from '../lib/offboarding-message.ts';
import { createLookSender } from '../lib/offboarding-queue.ts';
import { createOffboardingQueries, hasEnded, STATUSES } from '../lib/offboarding-record.ts';
import { watchedOf } from '../lib/organization-watch.ts';

const records = createOffboardingQueries(required('OFFBOARDINGS_TABLE'), dynamoDb());
const queue = createLookSender(required('OFFBOARDING_QUEUE_URL'), sqs());

/** Looks that one run asks for: what the Enterprise limit reads in half an hour. What is left is due in the next run. */
const LOOKS_A_RUN = 3000;
/** How deep a CloudEvent may lie in the detail: Auth0 does not document its envelope in EventBridge. */
const DEEPEST = 5;

/** What Auth0's Event Streams say of an organization's connection (CloudEvents); a hint to look, never the truth. */
const Hint = v.object({
  type: v.picklist(['organization.connection.added', 'organization.connection.updated']),
  time: v.fallback(v.optional(v.string()), undefined),
  a0purpose: v.fallback(v.optional(v.string()), undefined),
  data: v.object({
    object: v.object({
      organization: v.object({ id: OrganizationId }),
      connection: v.object({ id: ConnectionId }),
      is_enabled: v.fallback(v.optional(v.boolean()), undefined),
    }),
  }),
});
type Hint = v.InferOutput<typeof Hint>;

/** Asks for looks at organizations: by the clock at those that are due, and by a hint of Auth0's at the one that it names. */
export async function handler(
  event: { detail?: unknown; 'detail-type'?: string },
  context: Partial<Context> = {},
): Promise<void> {
  const log = createLog({ request_id: context.awsRequestId });
  if (event['detail-type'] === 'Scheduled Event') {
    const due = await records.dueForLook(LOOKS_A_RUN);
    await queue.sendLooks(due.map(look));
    log.metrics('looks_requested', { LooksDue: [due.length, 'Count'] });
    for (const status of STATUSES.filter((one) => !hasEnded(one)))
      log.metrics('records_counted', { Records: [await records.count(status), 'Count'] }, {}, ['status', status]);
    return;
  }
  const hint = hintIn(event.detail);
  const asked = hint && (await lookFor(hint));
  if (asked) await queue.sendLooks([look(asked)]);
  log.info('hint_received', {
    organization_id: hint?.data.object.organization.id,
    look_requested: asked !== undefined,
  });
}

/** Until the look is made, all that ask for it are one message. */
const look = (detail: { organization_id: string; look_at: string }) => ({
  id: `look/${detail.organization_id}/${detail.look_at}`,
  message: { 'detail-type': LOOK, detail },
});

/** The look that a hint is a reason for; none when it is a test, old, says that a connection is disabled, or is about nobody who was offboarded. */
async function lookFor({ a0purpose, time, data }: Hint) {
  const { organization, connection, is_enabled } = data.object;
  if (a0purpose === 'test' || is_enabled === false) return;
  const watched = watchedOf(await records.ofOrganization(organization.id));
  const [newest] = watched;
  const named = watched.find(({ connections }) =>
    connections.some(({ connection_id }) => connection_id === connection.id),
  );
  if (!newest?.look_at || !named) return;
  const seen = named.looked_at ?? named.created_at;
  if (time !== undefined && Date.parse(time) <= Date.parse(seen)) return;
  return { organization_id: organization.id, look_at: newest.look_at };
}

/** The CloudEvent somewhere in `value`. */
function hintIn(value: unknown, depth = DEEPEST): Hint | undefined {
  const parsed = v.safeParse(Hint, value);
  if (parsed.success || depth === 0) return parsed.success ? parsed.output : undefined;
  const inside: unknown[] = typeof value === 'string' ? [parseJson(value)] : Object.values(Object(value));
  return inside.map((member) => hintIn(member, depth - 1)).find((found) => found !== undefined);
}
