import pMap from 'p-map';
import * as v from 'valibot';
import { putEvents } from '../aws/event-bus.ts';
import { addStageDuration } from '../duration.ts';
import { OrganizationId } from '../ids.ts';
import { pick } from '../json.ts';
import { Problem } from '../problem.ts';
import { cancelBatch, offboardingIdOf } from './batch.ts';
import { REQUESTED } from './messages.ts';
import type { Offboarding } from './offboarding.ts';
import { admit } from './organization.ts';
import { accept, createBatch, createRecord, type NewOffboarding, postponeAcceptance, RecordChanged } from './record.ts';
import { dueAt, type OffboardingRequest } from './request.ts';

/** As many as the client has sockets for. */
const WRITES_AT_ONCE = 50;
/** What may be left of a request's time when it has failed, milliseconds. */
const UNDONE_WITHIN_MS = 2000;

type Submitted = { record: Offboarding; isNew: boolean };

/**
 * Puts requests over HTTP on record and on the bus. With a key they are requests from the moment that they are on record, and
 * a repetition goes on where the first was cut off; without one only once they are on the bus, for nobody could repeat them.
 * Nothing is begun after `deadline` (Unix time in milliseconds): who has got an error must not have it done minutes later,
 * when Lambda thaws the container; what of a batch was accepted by then is taken back by `undo`. Of a batch, organizations that
 * take no more (`full`) stop no other. Throws `idempotency_key_reused`, and `conflict` for a single one.
 */
export async function submit(
  requests: NewOffboarding[],
  hasKey: boolean,
  deadline: number,
  undo?: () => Promise<unknown>,
) {
  const each = <T, R>(all: T[], write: (one: T) => Promise<R>) => {
    const inTime = (one: T) => {
      if (Date.now() < deadline) return write(one);
      throw new Problem('record_unavailable', 'The requests could not be put on record in time');
    };
    return pMap(all, inTime, { concurrency: WRITES_AT_ONCE });
  };
  const submitted = await each(requests, create);
  const full = new Set<string>();
  const admitOne = (record: Offboarding) =>
    admit(record).catch((error: unknown) => {
      if (!(error instanceof Problem && error.code === 'conflict' && record.batch_id)) throw error;
      full.add(record.organization_id);
    });
  const requested = submitted.flatMap(({ record }) => (record.status === 'requested' ? [record] : []));
  await each(requested, admitOne);
  const begun = requested.filter(({ organization_id }) => !full.has(organization_id));
  if (hasKey) await each(begun, unlessAccepted);
  if (Date.now() >= deadline) throw new Problem('record_unavailable', 'The requests could not be told in time');
  await putEvents(REQUESTED, begun.map(detailOf), deadline);
  if (!hasKey)
    await each(begun, unlessAccepted).catch(async (error: unknown) => {
      await undo?.().catch(() => undefined);
      throw error;
    });
  return { submitted, full };
}

type BatchRequest = Omit<NewOffboarding, 'organization_id' | 'offboarding_id'> & {
  batch_id: string;
  fingerprint: string;
};

/**
 * Submits the same for many organizations, as `submit` does; what is no organization's id, was named before or takes no more
 * is rejected with its code. The batch is on record before anything of it. Throws `idempotency_key_reused`.
 */
export async function submitBatch(named: string[], asked: BatchRequest, hasKey: boolean, deadline: number) {
  const { batch_id, fingerprint, caller } = asked;
  const checked = named.map((id, index) => ({ organization_id: id, code: rejection(id, index, named) }));
  const organization_ids = checked.flatMap(({ organization_id, code }) => (code ? [] : [organization_id]));
  const batch = await createBatch({ batch_id, fingerprint, organization_ids });
  if (batch.fingerprint !== fingerprint) throw reused();
  // Of a batch that was cancelled nothing begins any more.
  const requests = (batch.cancelled ? [] : organization_ids).map((organization_id) => {
    return { ...asked, organization_id, offboarding_id: offboardingIdOf(batch_id, organization_id) };
  });
  // Nobody can repeat it without a key: what of it was accepted before it failed is cancelled.
  const act = { at: new Date().toISOString(), caller, reason: 'The request of the batch failed' };
  const undo = () => cancelBatch(batch_id, act, Date.now() + UNDONE_WITHIN_MS);
  const { submitted, full } = await submit(requests, hasKey, deadline, undo);
  const replayed = batch.cancelled === true || (submitted.length > 0 && submitted.every(({ isNew }) => !isNew));
  const status = batch.cancelled ? 'cancelled' : 'accepted';
  const conflicts = [...full].map((organization_id) => ({ organization_id, code: 'conflict' as const }));
  const rejected = [...checked.filter(({ code }) => code), ...conflicts];
  return { batch_id, accepted: organization_ids.length - full.size, rejected, status, replayed };
}

/** Why an organization of the batch is rejected; undefined when it is not. */
function rejection(id: string, index: number, all: string[]): 'invalid_organization_id' | 'duplicate' | undefined {
  if (!v.is(OrganizationId, id)) return 'invalid_organization_id';
  return all.indexOf(id) < index ? 'duplicate' : undefined;
}

const reused = () => new Problem('idempotency_key_reused', 'The Idempotency-Key was used with another body');

async function create(request: NewOffboarding): Promise<Submitted> {
  const found = await createRecord(request, false);
  const { fingerprint, batch_id, accept_by } = found.record;
  if (fingerprint !== request.fingerprint || batch_id !== request.batch_id) throw reused();
  // Cut off before it was accepted: it has as long again, before anybody forgets it.
  if (accept_by && !found.isNew) return { ...found, record: await postponeAcceptance(found.record).catch(theOther) };
  return found;
}

/** A repetition, or its worker, was quicker. */
async function unlessAccepted(record: Offboarding): Promise<void> {
  if (!record.accept_by) return;
  await accept(record).catch(theOther);
}

/** The record of whoever was quicker. */
function theOther(error: unknown): Offboarding {
  if (error instanceof RecordChanged && error.current) return error.current;
  throw error;
}

const ASKED =
  'organization_id action grace_period connection_ids reason dry_run on_reenable end_sessions requested_by correlation_id offboarding_id';

/** The request as its event has it. An urgent batch goes where single requests go: by `batch_id` the bus tells them apart. */
const detailOf = (record: Offboarding) => pick(record, record.urgent ? ASKED : `${ASKED} batch_id`);

type Asked = Pick<OffboardingRequest, 'action' | 'grace_period' | 'dry_run'> & { urgent?: boolean | undefined };

/**
 * Throws `irreversible_not_permitted` where the stage of the API that was called takes only what can be undone, and this can
 * not: IAM tells stages apart, not bodies.
 */
export function assertPermitted(asked: Asked, apiStage: string): void {
  const { action, dry_run, urgent } = asked;
  if (apiStage !== 'reversible') return;
  const refuse = (what: string) => new Problem('irreversible_not_permitted', `This address takes ${what}`);
  if (urgent) throw refuse('no urgent batches: they go before all others');
  if (dry_run || action === 'disable') return;
  const soonest = addStageDuration(new Date(), 'MINIMUM_GRACE_PERIOD');
  if (action === 'disable_then_remove' && new Date(dueAt(asked)) >= soonest) return;
  const least = process.env.MINIMUM_GRACE_PERIOD || 'P1D';
  const taken = `disable, or disable_then_remove with a grace period of at least ${least} (a dry run is always taken)`;
  throw refuse(`only what can be undone: ${taken}. Who may do more asks at the address without /reversible.`);
}
