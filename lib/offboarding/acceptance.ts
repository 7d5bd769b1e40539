import type { CallContext } from '../auth0/call-context.ts';
import { addStageDuration } from '../duration.ts';
import { isFinal, Problem, RetryLater } from '../problem.ts';
import { type CancellationMessage, type RequestMessage, readableDetail } from './messages.ts';
import { type Act, hasEnded, type Offboarding } from './offboarding.ts';
import * as organizations from './organization.ts';
import { publishOutcome } from './outcome.ts';
import * as records from './record.ts';
import { foundBy } from './rules.ts';
import { end } from './transitions.ts';

/** The source of this service's own events; the bus refuses it to everybody else. */
const OWN = 'org-connections';
const NOT_ACCEPTED_YET_MS = 1000;

/** An event's `time` to the millisecond, and never in the future: whoever sets it can not ask for something later than everybody else. */
function timeOf(time: string): string {
  const at = Date.parse(time);
  return new Date(Number.isNaN(at) ? Date.now() : Math.min(at, Date.now())).toISOString();
}

/**
 * The record that a request's event is about, once it is one of those that decide: found where the service itself has put it,
 * else made. Undefined where there is nothing to do: it has ended, or was never accepted, or is an old one out of a replay.
 * Throws a `Problem` that is not transient where the event can never be carried out.
 */
export async function acceptRequest(message: RequestMessage, context: CallContext): Promise<Offboarding | undefined> {
  const { id, source, account, time, detail } = message;
  // These are the service's own: what a publisher says of them is not read.
  const { offboarding_id: own_id, batch_id: _, ...request } = detail;
  if (source === OWN) {
    const record = own_id && (await records.getRecord(detail.organization_id, own_id));
    if (!record) throw new Problem('invalid_body', 'An event of the service itself has no record: it is not its own');
    if (record.accept_by && record.accept_by > new Date().toISOString())
      throw new RetryLater('The request is not accepted yet', NOT_ACCEPTED_YET_MS);
    return record.accept_by ? undefined : unlessEnded(record);
  }
  const found = await records.getRecord(detail.organization_id, id);
  if (found && found.status !== 'requested') return unlessEnded(found);
  const isReplay = message['replay-name'] !== undefined;
  // Its record was not made, or is gone: what was asked for then is nobody's wish today (EventBridge: "Archiving and replaying").
  if (!found && isReplay && addStageDuration(new Date(timeOf(time)), 'GIVE_UP_AFTER') < new Date()) {
    context.log.info('replayed_request_ignored', { time });
    return undefined;
  }
  const about = { offboarding_id: id, request: { id, source, time }, caller: `${account} ${source}`.trim() };
  const { record } = await records.createRecord({ ...request, ...about, asked_at: timeOf(time) });
  try {
    await organizations.admit(record);
    return record;
  } catch (error) {
    // An organization that takes no more: nothing else is tried, and the event is told as one that can never be carried out.
    if (isFinal(error)) await records.put({ ...end(record, error.failure), unpublished: undefined });
    throw error;
  }
}

const unlessEnded = (record: Offboarding) => (hasEnded(record) && !record.unpublished ? undefined : record);

/**
 * Accepts a cancelling of all of an organization that is pending, holds something or is watched, and was asked for before
 * it. Returns the ids of what it found, and of what of that was pending. Throws `not_found` where there is nothing, and `conflict` while connections are
 * being removed.
 */
export async function acceptCancelling(organization_id: string, act: Act, isNow = false) {
  for (;;) {
    const organization = await organizations.getOrganization(organization_id);
    const { cancelled, removing } = organization;
    // It was accepted before, or all that it could cover is by one that was asked for later.
    if (!isNow && cancelled && cancelled.at >= act.at) return cancelled;
    const open = await organizations.openRecords(organization);
    const at = isNow ? afterAll(act.at, [cancelled?.at ?? '', ...open.map(({ asked_at }) => asked_at)]) : act.at;
    const found = foundBy(at, open, organization);
    if (found.ids.length === 0)
      throw new Problem('not_found', 'No offboarding of this organization is pending, held or watched');
    if (removing) {
      const what = `Connections are being removed since ${removing.since} by the offboarding ${removing.offboarding_id}`;
      throw new Problem('conflict', `${what}; that can not be cancelled`, { retryAfter: 10 });
    }
    if (await organizations.cancelAll(organization, { ...act, ...found, at })) return found;
  }
}

/** Who asks now asks after all that is on record, whatever another container's clock said. */
function afterAll(at: string, others: string[]): string {
  const last = others.sort().at(-1) ?? '';
  return last < at ? at : new Date(Date.parse(last) + 1).toISOString();
}

/** A cancelling by event: what it found ends in events of its own, and so does that there was nothing to find. */
export async function acceptCancellationEvent(message: CancellationMessage, context: CallContext): Promise<boolean> {
  const { organization_id, requested_by, reason } = message.detail;
  const told = readableDetail(message);
  // Its time has whole seconds: what was on record within that second was asked for before it.
  const at = timeOf(timeOf(message.time).replace('.000Z', '.999Z'));
  try {
    await acceptCancelling(organization_id, { at, caller: told.caller, requested_by, reason });
    return true;
  } catch (error) {
    if (!isFinal(error)) throw error;
    // A customer that renews was not always on its way out: that is nobody's failure.
    const isFailure = error.code !== 'not_found';
    if (!isFailure) context.log.info('cancellation_found_nothing');
    await publishOutcome('failed', { ...told, error: error.failure }, context.log, isFailure);
    return false;
  }
}
