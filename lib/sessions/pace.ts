import { type Bucket, type Pacer, type RateLimit, waitAfter429 } from '../auth0/rate-limit.ts';

/**
 * Tokens that come back a second, by a bucket's size, as Auth0 documents them for the whole Management API and for the reads of
 * members ("Rate Limit Configurations"). The headers do not tell, and a bucket that is never emptied shows nothing.
 */
const SUSTAINED = new Map([
  [50, 16],
  [40, 500 / 60],
  [10, 2],
]);
/** Any other size is taken for the slowest of these. */
const SLOWEST_PER_TOKEN = 0.2;
/** What others are spending is looked at again no sooner than this, milliseconds. */
const READ_AGAIN_MS = 1000;

const fresh = () => ({ limit: 0, credit: 0, at: 0, next: 0, throttled: 0 });
type State = ReturnType<typeof fresh>;

/**
 * Keeps to `share` of the tenant's limit, in rate and in depth: calls are as many as that part of what comes back into a bucket,
 * and none is made while others have taken more than that part out of it. So everybody else finds the rest at any time. Reads of
 * members have a bucket of their own and count against the whole as well; deletions count against the whole alone.
 */
export function createSharePacer(share: number): Pacer {
  const [members, whole] = [fresh(), fresh()];
  const counted = (bucket: Bucket) => (bucket === 'members' ? [members, whole] : [whole]);
  const perMs = ({ limit }: State) => (share * (SUSTAINED.get(limit) ?? limit * SLOWEST_PER_TOKEN)) / 1000;
  const creditOf = (state: State) =>
    Math.min(Math.max(1, share * state.limit), state.credit + (Date.now() - state.at) * perMs(state));

  function waitOf(state: State): number {
    const forCredit = state.limit > 0 ? (1 - creditOf(state)) / perMs(state) : 0;
    return Math.ceil(Math.max(0, forCredit, state.next - Date.now()));
  }

  return {
    delay: (bucket: Bucket) => Math.max(...counted(bucket).map(waitOf)),

    note(bucket: Bucket, status: number, rateLimit: RateLimit): void {
      const state = bucket === 'members' ? members : whole;
      const { limit, remaining = limit } = rateLimit;
      if (limit && limit !== state.limit) Object.assign(state, { limit, credit: share * limit, at: Date.now() });
      for (const one of counted(bucket)) Object.assign(one, { credit: creditOf(one) - 1, at: Date.now() });
      state.throttled = status === 429 ? state.throttled + 1 : 0;
      const taken = limit && remaining !== undefined ? limit - remaining - Math.max(1, share * limit) : 0;
      const untilBack = taken > 0 ? Math.max(READ_AGAIN_MS, (taken * share) / perMs(state)) : 0;
      state.next = Date.now() + (status === 429 ? waitAfter429(rateLimit, state.throttled) : untilBack);
    },
  };
}
