import { Problem, type ProblemCode } from '../../problem.ts';
import type { Cancelled } from '../intake/cancel.ts';
import type { OffboardingRecord } from '../model/record.ts';
import { connectionShown } from './outcome.ts';

export const NOT_FOUND = 'No offboarding of this organization is pending, disabled by us or watched';
export const removingText = ({ since, offboarding_id }: { since: string; offboarding_id: string }) =>
  `Connections are being removed since ${since} by the offboarding ${offboarding_id}; that cannot be cancelled`;
const HAS_ENDED_IT = ['disabled', 'removed', 'unchanged'];

/**
 * What a cancellation did, as its caller sees it: `cancelling` where it goes on by itself. Throws `not_found`, `conflict` while
 * connections are being removed, and what Auth0 said where it refused for good to enable a connection.
 */
export function cancellationView(organization_id: string, result: Cancelled) {
  if (result.is === 'nothing') throw new Problem('not_found', NOT_FOUND);
  if (result.is === 'removing') throw new Problem('conflict', removingText(result), { retryAfter: 10 });
  if (result.is !== 'found') throw unavailable(result.is);
  const { cancellation, records, isOver, isReplayed } = result;
  const reenabled = records.filter(({ offboarding_id }) => cancellation.reenabled.includes(offboarding_id));
  const others = records.filter((record) => !reenabled.includes(record));
  throwFailure(reenabled);
  const last = reenabled.at(-1) ?? others.at(-1);
  const stay = others.flatMap(({ connections }) =>
    connections.filter(({ outcome }) => HAS_ENDED_IT.includes(outcome ?? '')),
  );
  return {
    organization_id,
    // Where what it found has left the item, and its records cannot be read, the cancellation says what it is about.
    offboarding_id: last?.offboarding_id ?? cancellation.reenabled.at(-1) ?? cancellation.found.at(-1),
    status: isOver ? last?.status : ('cancelling' as const),
    detail: inWords(isOver, new Set(stay.map(({ name, connection_id }) => name ?? connection_id))),
    watch: others.length > 0 ? ('ended' as const) : null,
    cancelled_removal_due_at: reenabled.findLast(({ removal_due_at }) => removal_due_at)?.removal_due_at ?? null,
    replayed: isReplayed,
    connections: reenabled.flatMap(({ connections }) => connections.map(connectionShown)),
    ...(reenabled.some(({ client_grants }) => client_grants) && {
      client_grants: reenabled.flatMap(({ client_grants = [] }) => client_grants),
    }),
  };
}

/** The table did not answer: the cancellation is not accepted, or nobody knows. */
export const unavailable = (is: 'unavailable' | 'unknown') =>
  new Problem(
    is === 'unknown' ? 'acceptance_unknown' : 'record_unavailable',
    'The record of offboardings did not answer; ask again',
  );

function throwFailure(records: OffboardingRecord[]): void {
  const failed = records.filter(({ status, cancelled }) => status === 'failed' && cancelled);
  const error = failed.flatMap(({ connections }) => connections).find(({ outcome }) => outcome === 'failed')?.error;
  if (error) throw new Problem(error.code as ProblemCode, `A connection could not be enabled: ${error.message}`);
}

/** What a caller may take for more than it is: a 200 enables nothing of what was completed. */
function inWords(isOver: boolean, stay: Set<string>): string {
  const done = isOver
    ? 'Nothing is pending any more.'
    : 'Nothing is removed any more; the service enables what it disabled.';
  const watch = `The watch of what was completed has ended; this stays as it is: ${[...stay].join(', ')}.`;
  return stay.size > 0 ? `${done} ${watch}` : done;
}
