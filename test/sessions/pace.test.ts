// The share of the tenant's limit against token buckets as Auth0 documents them, on a clock that is moved by hand.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createBuckets, type Plan } from '../../infra/local/auth0/buckets.ts';
import { readRateLimit } from '../../lib/auth0/rate-limit.ts';
import { createSharePacer } from '../../lib/sessions/pace.ts';
import { randomOf } from '../random.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: 1_795_510_800_123 });
});
afterEach(() => {
  vi.useRealTimers();
});
const pass = (ms: number) => vi.setSystemTime(Date.now() + ms);

const MEMBER = [
  ['members', 'memberships'],
  ['whole', 'whole'],
  ['whole', 'whole'],
] as const;

type Take = ReturnType<typeof createBuckets>['take'];

/** The calls for `members`, one after the other, with what others do in between. */
function run(plan: Plan, share: number, members: number, others: (take: Take) => void) {
  const buckets = createBuckets();
  buckets.fill(plan);
  const pacer = createSharePacer(share);
  const { below } = randomOf(members);
  const started = Date.now();
  const statuses: number[] = [];
  for (let i = 0; i < members; i++) {
    for (const [bucket, kind] of MEMBER) {
      for (let wait = pacer.delay(bucket); wait > 0; wait = pacer.delay(bucket)) {
        pass(Math.min(wait, 100));
        others(buckets.take);
      }
      const { allowed, headers } = buckets.take(kind);
      pass(20 + below(60));
      statuses.push(allowed ? 200 : 429);
      pacer.note(bucket, allowed ? 200 : 429, readRateLimit(headers));
    }
  }
  return {
    calls: statuses.length,
    refused: statuses.filter((status) => status === 429).length,
    ms: Date.now() - started,
  };
}

test.each([0.05, 0.2, 0.5])(
  'when nobody else calls, at least 0.95 of a share of %d is used, no more than it, and nothing is refused',
  (share) => {
    const { calls, refused, ms } = run('enterprise', share, 1000, () => {});
    const allowed = share * (50 + (16 * ms) / 1000);
    expect(calls / allowed).toBeGreaterThan(0.95);
    expect(calls).toBeLessThanOrEqual(allowed + 1);
    expect(refused).toBe(0);
  },
);

test('when others use most of the limit, none of their calls is refused, and few tokens are taken beside theirs', () => {
  let [refused, taken, at] = [0, 0, Date.now()];
  const { calls, ms } = run('enterprise', 0.2, 300, (take) => {
    // Others take fifteen of the sixteen tokens a second that come in.
    for (; at < Date.now(); at += 1000 / 15) {
      taken += 1;
      if (!take('whole').allowed) refused += 1;
    }
  });
  expect(refused).toBe(0);
  expect(taken).toBeGreaterThan(14 * (ms / 1000));
  // What is left of the whole, and no more.
  expect(calls).toBeLessThan(50 + 1.2 * (ms / 1000));
});
