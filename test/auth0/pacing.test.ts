// The pacer against a token bucket as Auth0 documents it, on a clock that is moved by hand: minutes pass at once.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createPacer, readRateLimit } from '../../lib/auth0/rate-limit.ts';
import { randomOf } from '../random.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: 1_795_510_800_123 });
});
afterEach(() => {
  vi.useRealTimers();
});
const pass = (ms: number) => vi.setSystemTime(Date.now() + ms);

function tokenBucket(burst: number, perMinute: number) {
  let [tokens, at] = [burst, Date.now()];
  return () => {
    tokens = Math.min(burst, tokens + ((Date.now() - at) * perMinute) / 60_000);
    at = Date.now();
    const allowed = tokens >= 1;
    if (allowed) tokens -= 1;
    const next = Date.now() + ((Math.floor(tokens) + 1 - tokens) * 60_000) / perMinute;
    const headers = {
      'x-ratelimit-limit': String(burst),
      'x-ratelimit-remaining': String(Math.floor(tokens)),
      'x-ratelimit-reset': String(Math.ceil(next / 1000)),
    };
    return { status: allowed ? 200 : 429, headers };
  };
}

test.each([
  ['free', 2, 120],
  ['professional', 5, 25],
  ['enterprise', 5, 150],
])(
  '%s: at least 0.95 of the writes that the limit allows, one in a hundred refused at most',
  (_plan, burst, perMinute) => {
    const call = tokenBucket(burst, perMinute);
    const pacer = createPacer();
    const { below } = randomOf(perMinute);
    const started = Date.now();
    let [done, refused] = [0, 0];
    while (done < 1000) {
      pass(pacer.delay('connections_write'));
      const { status, headers } = call();
      // An answer takes its time, now and then a long one.
      pass(5 + below(60) + (below(200) === 0 ? 1500 : 0));
      pacer.note('connections_write', status, readRateLimit(headers));
      if (status === 200) done += 1;
      else refused += 1;
    }
    const allowed = burst + ((Date.now() - started) * perMinute) / 60_000;
    expect(done / allowed).toBeGreaterThan(0.95);
    expect(refused / (done + refused)).toBeLessThan(0.01);
  },
);

test('another client takes its share of the bucket, and few calls are refused', () => {
  const call = tokenBucket(5, 150);
  const pacer = createPacer();
  const { below } = randomOf(5);
  let [done, refused] = [0, 0];
  for (let i = 0; i < 600; i++) {
    const wait = pacer.delay('connections_write');
    // While the worker waits, the other one writes about once in two seconds.
    if (below(2000) < wait) call();
    pass(wait);
    const { status, headers } = call();
    pass(20 + below(30));
    pacer.note('connections_write', status, readRateLimit(headers));
    if (status === 200) done += 1;
    else refused += 1;
  }
  expect(refused / (done + refused)).toBeLessThan(0.02);
});
