import { expect, test } from 'vitest';
import { createPacer, HEADROOM, readRateLimit, waitAfter429 } from '../../lib/auth0/rate-limit.ts';
import { backoff } from '../../lib/deadline.ts';

const seconds = () => Math.floor(Date.now() / 1000);

test('the headers are read as far as they make sense', () => {
  const headers = {
    'x-ratelimit-limit': '5',
    'x-ratelimit-remaining': '0',
    'x-ratelimit-reset': String(seconds() + 3),
    'retry-after': '2',
  };
  expect(readRateLimit(headers)).toMatchObject({ limit: 5, remaining: 0, retryAfter: 2000 });
  const { reset = 0 } = readRateLimit(headers);
  expect(reset).toBeGreaterThan(1900);
  expect(reset).toBeLessThanOrEqual(3000);
});

test.each(['soon', '', '-1', '1e9', '99999999999999999', '١٢'])('%s is no number', (text) => {
  expect(readRateLimit({ 'x-ratelimit-reset': text, 'x-ratelimit-remaining': text })).toMatchObject({
    reset: undefined,
    remaining: undefined,
  });
});

test('times that are long past or far off are nonsense, one that has just passed has come', () => {
  expect(readRateLimit({ 'x-ratelimit-reset': String(seconds() - 3600) }).reset).toBeUndefined();
  expect(readRateLimit({ 'x-ratelimit-reset': String(seconds() + 86_400) }).reset).toBeUndefined();
  expect(readRateLimit({ 'retry-after': '86400' }).retryAfter).toBeUndefined();
  expect(readRateLimit({ 'x-ratelimit-reset': String(seconds() - 1) }).reset).toBe(0);
});

test('a clock that is off is set right by the Date of the answer', () => {
  const theirs = Date.now() + 3_600_000;
  const headers = { date: new Date(theirs).toUTCString(), 'x-ratelimit-reset': String(Math.floor(theirs / 1000) + 4) };
  expect(readRateLimit(headers).reset).toBeLessThanOrEqual(5000);
  expect(
    readRateLimit({ date: headers.date, 'retry-after': new Date(theirs + 4000).toUTCString() }).retryAfter,
  ).toBeLessThanOrEqual(5000);
});

test('after a 429 its headers count, and without any a pause that doubles', () => {
  expect(waitAfter429({ limit: 5, remaining: 0, reset: 9000, retryAfter: 2000 }, 1)).toBeGreaterThanOrEqual(2000);
  expect(waitAfter429({ limit: 5, remaining: 0, reset: 9000, retryAfter: undefined }, 1)).toBeGreaterThanOrEqual(9000);
  const none = { limit: undefined, remaining: undefined, reset: undefined, retryAfter: undefined };
  expect(waitAfter429(none, 1)).toBeLessThanOrEqual(1100);
  // A reset of this second is no reason to ask again at once.
  expect(waitAfter429({ ...none, reset: 0 }, 1)).toBeGreaterThanOrEqual(500);
  expect(waitAfter429({ ...none, reset: 0 }, 5)).toBeGreaterThanOrEqual(8000);
  expect(waitAfter429(none, 4)).toBeGreaterThanOrEqual(4000);
  expect(backoff(50, 100, 1000)).toBeLessThanOrEqual(1000);
});

test('the pacer waits when the bucket is down to its headroom, and for the bucket that is concerned alone', () => {
  const pacer = createPacer();
  const limit = { limit: 5, retryAfter: undefined };
  pacer.note('connections_write', 200, { ...limit, remaining: 3, reset: 1000 });
  expect(pacer.delay('connections_write')).toBe(0);
  pacer.note('connections_write', 200, { ...limit, remaining: 1, reset: 1000 });
  expect(pacer.delay('connections_write')).toBeGreaterThan(900);
  expect(pacer.delay('connections_read')).toBe(0);
  pacer.note('connections_write', 200, { ...limit, remaining: 4, reset: 1000 });
  expect(pacer.delay('connections_write')).toBe(0);
});

test('what only looks leaves room in the bucket of reads for what ends access', () => {
  const [looks, works] = [createPacer(HEADROOM.watch), createPacer()];
  for (const pacer of [looks, works])
    pacer.note('connections_read', 200, { limit: 10, remaining: 5, reset: 1000, retryAfter: undefined });
  expect(works.delay('connections_read')).toBe(0);
  expect(looks.delay('connections_read')).toBeGreaterThan(900);
});

test('a small bucket is one for reads and writes together', () => {
  const pacer = createPacer();
  pacer.note('connections_write', 200, { limit: 2, remaining: 0, reset: 1000, retryAfter: undefined });
  expect(pacer.delay('connections_read')).toBeGreaterThan(900);
});
