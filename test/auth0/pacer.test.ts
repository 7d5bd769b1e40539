// How long the pacer has a call wait, to the millisecond, on a clock that is moved by hand and without chance.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createPacer, HEADROOM, readRateLimit, waitAfter429 } from '../../lib/auth0/rate-limit.ts';

const NOW = Date.parse('2026-11-25T09:00:00.000Z');
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: NOW });
  vi.spyOn(Math, 'random').mockReturnValue(1);
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});
const pass = (ms: number) => vi.setSystemTime(Date.now() + ms);
const says = (remaining: number | undefined, more: object = {}) => ({
  limit: 10,
  remaining,
  reset: 700,
  retryAfter: undefined,
  ...more,
});
const NONE = { limit: undefined, remaining: undefined, reset: undefined, retryAfter: undefined };

describe('headers', () => {
  const read = (headers: object) => readRateLimit(headers as never);
  const second = (ahead: number) => String(NOW / 1000 + ahead);
  test('are read to their edges, and past them taken for nonsense', () => {
    expect(read({ 'x-ratelimit-limit': ' 5 ', 'x-ratelimit-remaining': '2.5' })).toEqual({
      ...NONE,
      limit: 5,
      remaining: 2.5,
    });
    expect(read({ 'x-ratelimit-limit': '5.123456789' }).limit).toBe(5.123456789);
    for (const wrong of ['5.1234567891', 'a5', '5a', '5.a', ['5'], ''])
      expect(read({ 'x-ratelimit-limit': wrong }).limit).toBeUndefined();
    expect(read({ 'x-ratelimit-reset': second(3600) }).reset).toBe(3_600_000);
    expect(read({ 'x-ratelimit-reset': second(3601) }).reset).toBeUndefined();
    expect(read({ 'x-ratelimit-reset': second(-4) }).reset).toBe(0);
    expect(read({ 'x-ratelimit-reset': second(-5) }).reset).toBeUndefined();
    expect(read({ 'retry-after': '3600' }).retryAfter).toBe(3_600_000);
    expect(read({ 'retry-after': '3601' }).retryAfter).toBeUndefined();
    expect(read({ 'retry-after': '0' }).retryAfter).toBe(0);
    expect(read({ 'retry-after': new Date(NOW + 4000).toUTCString() }).retryAfter).toBe(4000);
    expect(read({})).toEqual(NONE);
  });
  test('are read against their own clock where it is two seconds off or more, whichever way', () => {
    const at = (offset: number) =>
      read({ date: new Date(NOW + offset).toUTCString(), 'x-ratelimit-reset': second(10) }).reset;
    expect(at(1000)).toBe(10_000);
    expect(at(2000)).toBe(8000);
    expect(at(-1000)).toBe(10_000);
    expect(at(-2000)).toBe(12_000);
  });
});

test('a 429 is waited out for as long as it says, and at least for a pause that doubles up to a minute', () => {
  expect(waitAfter429({ ...NONE, retryAfter: 9000, reset: 20_000 }, 1)).toBe(9100);
  expect(waitAfter429({ ...NONE, reset: 9000 }, 1)).toBe(9100);
  expect([1, 2, 3, 9].map((times) => waitAfter429(NONE, times))).toEqual([1100, 2100, 4100, 60_100]);
});

describe('the pacer', () => {
  test('lets calls go while tokens are left beyond the headroom, and waits for each that is missing', () => {
    const wait = (headroom: number, remaining: number, more: object = {}) => {
      const pacer = createPacer(headroom);
      pacer.note('connections_write', 200, says(remaining, more));
      return pacer.delay('connections_write');
    };
    expect(createPacer().delay('connections_read')).toBe(0);
    expect(wait(1, 2)).toBe(0);
    expect(wait(1, 1)).toBe(700);
    expect(wait(1, 0)).toBe(1700);
    expect(wait(0, 0)).toBe(700);
    expect(wait(3, 1)).toBe(2700);
    expect(wait(3, 1, { reset: 1500 }), 'a slow bucket is slow for each').toBe(4500);
    expect(wait(1, 1, { reset: undefined })).toBe(1000);
    expect(wait(5, 3, { limit: 4 }), 'no more is left than the bucket holds').toBe(700);
    expect(wait(5, 4, { limit: 4 })).toBe(0);
    expect(wait(5, 0, { limit: 3 }), 'in a small bucket nothing is left').toBe(700);
    expect(wait(5, 1, { limit: 3 })).toBe(0);
    expect(wait(1, 0, { limit: undefined })).toBe(700);
    const polite = createPacer(3, 2000);
    polite.note('connections_write', 200, says(0, { reset: 60_000 }));
    expect(polite.delay('connections_write'), 'nothing was refused').toBe(2000);
    polite.note('connections_write', 429, { ...NONE, retryAfter: 30_000 });
    expect(polite.delay('connections_write'), 'a refusal counts in full').toBeGreaterThanOrEqual(30_000);
    expect(HEADROOM).toEqual({ single: 1, batch: 3, route: 3, watch: 5 });
    const pacer = createPacer();
    pacer.note('connections_write', 200, says(1));
    expect(pacer.delay('connections_write'), 'the least that is left').toBe(700);
    pass(600);
    expect(pacer.delay('connections_write')).toBe(100);
    pass(600);
    expect(pacer.delay('connections_write')).toBe(0);
  });
  test('counts reads and writes apart, but for a small bucket, which is one for all', () => {
    const pacer = createPacer();
    pacer.note('connections_write', 200, says(0, { limit: 4 }));
    expect([pacer.delay('connections_write') > 0, pacer.delay('connections_read')]).toEqual([true, 0]);
    pacer.note('connections_read', 200, says(0, { limit: 3 }));
    expect(pacer.delay('connections_read')).toBe(700);
    expect(pacer.delay('connections_write')).toBe(700);
    pacer.note('connections_read', 200, says(undefined, { limit: undefined }));
    expect(pacer.delay('connections_write'), 'a response without headers says nothing of it').toBe(0);
    pacer.note('connections_write', 200, says(0, { limit: 3 }));
    expect(pacer.delay('connections_read')).toBe(700);
    pacer.note('connections_read', 200, says(1, { limit: 4 }));
    expect(pacer.delay('connections_write'), 'large again: each its own').toBe(1700);
  });
  test('waits longer after each 429 in a row, and beyond that for its headroom', () => {
    const pacer = createPacer(3);
    const waits = (limit: number | undefined) => {
      pacer.note('connections_write', 429, { ...NONE, limit });
      return pacer.delay('connections_write');
    };
    expect(waits(undefined)).toBe(1100);
    expect(waits(10)).toBe(5100);
    pacer.note('connections_write', 200, says(9));
    expect(pacer.delay('connections_write')).toBe(0);
    expect(waits(undefined), 'in a row no more').toBe(1100);
    pacer.note('connections_write', 200, NONE);
    expect(pacer.delay('connections_write')).toBe(0);
  });
});

describe('the interval between two tokens', () => {
  /** One call after the other, each when it may go; a token comes in each `ms`. Returns the waits. */
  function run(pacer: ReturnType<typeof createPacer>, calls: number, ms: number, remaining = 1) {
    const waits: number[] = [];
    for (let i = 0; i < calls; i++) {
      pacer.note('connections_write', 200, says(remaining, { reset: 3000 }));
      waits.push(Math.round(pacer.delay('connections_write')));
      pass(ms);
    }
    return waits;
  }
  test('is known after four tokens came in, and better after sixteen; until then the headers count', () => {
    const pacer = createPacer();
    const waits = run(pacer, 21, 400);
    expect(waits.slice(0, 4)).toEqual([3000, 3000, 3000, 3000]);
    // 4 tokens less half a one in 1,600 ms.
    expect(waits.slice(4, 16)).toEqual(Array(12).fill(Math.round((1600 / 3.5) * 1.02)));
    expect(waits.slice(16)).toEqual(Array(5).fill(Math.round((6400 / 15.5) * 1.02)));
    pacer.note('connections_write', 200, says(0, { reset: 3000 }));
    expect(Math.round(pacer.delay('connections_write')), 'two are missing').toBe(Math.round(2 * (6400 / 15.5) * 1.02));
    pacer.note('connections_write', 200, says(1, { reset: 10 }));
    expect(pacer.delay('connections_write'), 'the headers may say sooner').toBe(10);
    pacer.note('connections_write', 200, says(0, { reset: 10 }));
    expect(Math.round(pacer.delay('connections_write'))).toBe(Math.round(10 + 6400 / 15.5));
  });
  test('counts what came in by what is left, too', () => {
    const pacer = createPacer();
    pacer.note('connections_write', 200, says(1, { reset: 3000 }));
    pass(2000);
    pacer.note('connections_write', 200, says(4, { reset: 3000 }));
    pacer.note('connections_write', 200, says(1, { reset: 3000 }));
    expect(
      pacer.delay('connections_write'),
      'one call, three more left: four came in; then three more were used elsewhere',
    ).toBeCloseTo((2000 / 3.5) * 1.02, 3);
  });
  test('is longer after a 429, and learned anew', () => {
    const pacer = createPacer();
    run(pacer, 5, 400);
    pacer.note('connections_write', 429, NONE);
    pass(1100);
    pacer.note('connections_write', 200, says(1, { reset: 3000 }));
    expect(pacer.delay('connections_write')).toBeCloseTo((1600 / 3.5) * 1.1 * 1.02, 3);
    const unknown = createPacer();
    unknown.note('connections_write', 429, NONE);
    unknown.note('connections_write', 200, says(1, { reset: 3000 }));
    expect(unknown.delay('connections_write')).toBe(3000);
  });
  test('is not learned from a worker that had nothing to do', () => {
    const wait = (idle: number) => {
      const pacer = createPacer();
      run(pacer, 4, 400);
      // The fifth call might have gone after 3,000 ms at the latest.
      pass(3000 - 400 + idle);
      pacer.note('connections_write', 200, says(1, { reset: 3000 }));
      return pacer.delay('connections_write');
    };
    expect(wait(3000)).toBe(3000);
    expect(wait(2999)).toBeLessThan(3000);
  });
});
