import type { Offboarding } from './offboarding-record.ts';
import * as records from './offboarding-record.ts';
import { RetryLater } from './problem.ts';

/** A cancelling that was written to this recently may still be enabling connections: longer than any HTTP request may take. */
const CANCELLING_MS = 60_000;
/** Another offboarding of the organization goes first, milliseconds. */
const WAIT_FOR_OTHER_MS = 5000;

/**
 * What a request that is `working` has to settle with the other offboardings of its organization before it changes anything:
 *
 * - it waits while a cancelling is enabling connections, and while an earlier removal with a grace period is disabling or
 *   removing them;
 * - `disable_then_remove` supersedes what is scheduled, and inherits what that had disabled, with the settings from before
 *   it. The earlier record names its successor first, so that a delivery that was cut off in between finds it again.
 *
 * Returns the record with what it inherited, and whether a cancelling may have enabled something since `listedAt` (Unix time
 * in milliseconds). Throws `RetryLater`, and `RecordChanged` when somebody else was quicker.
 */
export async function takeOver(record: Offboarding, listedAt: number) {
  const all = await records.recordsOf(record.organization_id);
  const others = all.filter(({ offboarding_id }) => offboarding_id !== record.offboarding_id);
  const blocking = others.find((other) => blocks(other, record));
  if (blocking)
    throw new RetryLater(`Another offboarding of the organization is ${blocking.status}`, WAIT_FOR_OTHER_MS);
  const cancelled = others.filter(({ status }) => status === 'cancelled');
  const listAgain = cancelled.some(({ updated_at }) => Date.parse(updated_at) > listedAt - CANCELLING_MS);
  if (record.action !== 'disable_then_remove') return { record, listAgain };
  for (const earlier of others) if (earlier.status === 'scheduled') await records.supersede(earlier, record);
  const inherited = others
    .filter(({ status, superseded_by }) => status === 'scheduled' || superseded_by === record.offboarding_id)
    .flatMap(({ connections }) => connections.filter((connection) => connection.disabled_by_offboarding));
  if (inherited.length === 0) return { record, listAgain };
  const connections = new Map(record.connections.map((connection) => [connection.connection_id, connection]));
  for (const { connection_id, name, strategy, before } of inherited) {
    const own = connections.get(connection_id) ?? { outcome: 'unchanged' as const, error: null, attempted: false };
    const from = { connection_id, name, strategy, before, disabled_by_offboarding: true };
    connections.set(connection_id, { ...own, ...from });
  }
  return { record: await records.progress(record, [...connections.values()]), listAgain };
}

function blocks(other: Offboarding, record: Offboarding): boolean {
  if (other.status === 'cancelling') return Date.parse(other.updated_at) > Date.now() - CANCELLING_MS;
  if (record.action !== 'disable_then_remove' || other.action !== 'disable_then_remove' || other.dry_run) return false;
  return other.status === 'removing' || (other.status === 'working' && records.byTime(other, record) < 0);
}
