import { Problem, type ProblemCode } from '../../problem.ts';
import type { Accepted } from '../intake/accept.ts';
import type { AcceptedBatch } from '../intake/accept-batch.ts';

const RETRY_AFTER_S = 5;

/** What became of a request, as its caller sees it. Throws the problem that it is, with the id to look up where nobody knows. */
export function acceptanceOf(result: Accepted, about: { offboarding_id: string }) {
  if (result.is === 'refused') throw new Problem(result.failure.code as ProblemCode, result.failure.message);
  if (result.is === 'reused') throw reused();
  if (result.is !== 'accepted' && result.is !== 'replayed') throw notAccepted(result.is, about);
  return { status: result.status, replayed: result.is === 'replayed' };
}

/** The same of a batch. */
export function batchAcceptanceOf(result: AcceptedBatch, about: { batch_id: string }) {
  if (result.is === 'reused') throw reused();
  if (result.is !== 'accepted' && result.is !== 'replayed') throw notAccepted(result.is, about);
  return { accepted: result.accepted, status: result.status, replayed: result.is === 'replayed' };
}

const reused = () => new Problem('idempotency_key_reused', 'The Idempotency-Key was used with another body');

function notAccepted(is: 'unavailable' | 'unknown', members: Record<string, string>): Problem {
  if (is === 'unavailable')
    return new Problem('record_unavailable', 'The request could not be stored; nothing of it is carried out', {
      retryAfter: RETRY_AFTER_S,
    });
  const detail = 'The table answered neither the write nor a read after it: look up whether the request was accepted';
  return new Problem('acceptance_unknown', detail, { retryAfter: RETRY_AFTER_S, members });
}
