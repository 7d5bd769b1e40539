import { Problem, type ProblemCode } from '../../problem.ts';
import type { Accepted } from '../intake/accept.ts';
import type { AcceptedBatch } from '../intake/accept-batch.ts';

/**
 * What became of a request, or of a batch, as its caller sees it. Throws the problem that it is, with the `id` to look up where nobody
 * knows.
 */
export function acceptanceOf(result: Accepted | AcceptedBatch, id: { offboarding_id: string } | { batch_id: string }) {
  switch (result.is) {
    case 'accepted':
    case 'replayed': {
      const { is, ...accepted } = result;
      return { ...accepted, replayed: is === 'replayed' };
    }
    case 'refused':
      throw new Problem(result.failure.code as ProblemCode, result.failure.message);
    case 'reused':
      throw new Problem('idempotency_key_reused', 'The Idempotency-Key was used with another body');
    case 'unavailable':
      throw new Problem('record_unavailable', 'The request could not be stored; nothing of it is carried out');
    case 'unknown':
      throw new Problem('acceptance_unknown', UNKNOWN, { members: id });
  }
}

const UNKNOWN = 'The table answered neither the write nor a read after it: look up whether the request was accepted';
