// The token in memory: when it is read again, and what becomes of one that Auth0 rejects.
import '../own-modules.ts';
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type LocalEnvironment, TOKEN_SECRET } from '../../infra/local/environment.ts';
import { scopeOf } from '../../lib/auth0/token-claims.ts';
import { createLog, redact } from '../../lib/log.ts';
import type { Problem } from '../../lib/problem.ts';
import { startEnvironmentInProcess } from '../in-process.ts';

const NOW = Date.parse('2026-11-25T09:00:00Z');
const MINUTE = 60_000;
let local: LocalEnvironment;
let tokens: typeof import('../../lib/auth0/management-token.ts');
beforeAll(async () => {
  local = await startEnvironmentInProcess({ connected: false });
  Object.assign(process.env, local.environment);
  tokens = await import('../../lib/auth0/management-token.ts');
});
afterAll(() => local.close());
const lines: Record<string, unknown>[] = [];
beforeEach(() => {
  lines.length = 0;
  vi.useFakeTimers({ toFake: ['Date'], now: NOW });
  vi.spyOn(process.stdout, 'write').mockImplementation((line) => lines.push(JSON.parse(String(line))) > 0);
});
afterEach(() => {
  local.aws.clearFaults();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const LATER = () => Date.now() + 5000;
const secret = (value: string, more: object = {}, lives = 60 * MINUTE) => ({
  SecretString: JSON.stringify({
    access_token: value,
    expires_at: new Date(Date.now() + lives).toISOString(),
    scope: 'a',
    ...more,
  }),
  VersionId: `v-${value}`,
});
const holds = (...found: Record<string, unknown>[]) =>
  local.aws.addFaults(...found.map((answer) => ({ operation: 'GetSecretValue', answer })));
const made = () => `token-${randomUUID()}`;
const jwt = (claims: object) => `x.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${randomUUID()}`;

describe("a secret's value", () => {
  const parse = (value: object | string, more: object = {}) =>
    tokens.parseManagementToken({
      SecretString: typeof value === 'string' ? value : JSON.stringify(value),
      VersionId: 'v',
      ...more,
    } as never);
  test('is a token with its end and its scope, its own words before its claims', () => {
    const expires_at = '2026-11-25T10:00:00Z';
    expect(parse({ access_token: ' token-1\n', expires_at, scope: 's' })).toEqual({
      value: 'token-1',
      expiresAt: NOW + 60 * MINUTE,
      scope: 's',
      versionId: 'v',
    });
    const own = jwt({ exp: NOW / 1000 + 60, scope: 'claimed' });
    expect(parse({ access_token: own })).toMatchObject({ expiresAt: NOW + MINUTE, scope: 'claimed' });
    expect(parse({ access_token: own, expires_at, scope: '' })).toMatchObject({
      expiresAt: NOW + 60 * MINUTE,
      scope: '',
    });
    expect(parse({ access_token: jwt({ exp: 1, scope: 7 }) }).scope).toBe('');
    expect(scopeOf({})).toBe('');
  });
  test('is blanked out of every line from then on', () => {
    const value = made();
    expect(redact(value)).toBe(value);
    parse({ access_token: value, expires_at: '2026-11-25T10:00:00Z' });
    expect(redact(`Bearer ${value}`)).not.toContain(value);
  });
  test.each([
    ['no JSON', '{', 'is not JSON'],
    ['no end', { access_token: 'x' }, 'expires_at: is missing'],
    ['no time', { access_token: 'x', expires_at: 'soon' }, 'expires_at: must be a time'],
    ['two words', { access_token: 'a b', expires_at: '2026-11-25T10:00:00Z' }, 'access_token: must be a token'],
    ['two lines', { access_token: 'a\nb', expires_at: '2026-11-25T10:00:00Z' }, 'access_token: must be a token'],
    ['nothing', { access_token: '' }, 'access_token: must be a token'],
    ['no end of it', { access_token: 'x'.repeat(16_385) }, 'access_token: must be a token'],
  ])('that holds %s is told with what is wrong', (_what, value, wrong) => {
    expect(() => parse(value)).toThrow(/^The management token secret is /);
    expect(() => parse(value)).toThrow(wrong);
  });
});

describe('the token', () => {
  test('is read once for all who wait and kept until a minute before its end', async () => {
    const source = tokens.createTokenSource('a');
    const value = made();
    holds(secret(value, {}, 10 * MINUTE));
    const before = local.aws.calls.length;
    const [a, b] = await Promise.all([source.get(LATER()), source.get(LATER())]);
    expect([a.value, b.value]).toEqual([value, value]);
    vi.setSystemTime(NOW + 9 * MINUTE - 1);
    expect(await source.get(LATER())).toBe(a);
    expect(local.aws.calls.length - before).toBe(1);
    vi.setSystemTime(NOW + 9 * MINUTE);
    holds(secret('newer'));
    expect((await source.get(LATER())).value).toBe('newer');
  });
  test('that Auth0 rejected is read anew, unless somebody has read a newer one', async () => {
    const source = tokens.createTokenSource('a');
    holds(secret('old'), secret('new'));
    const old = await source.get(LATER());
    expect((await source.get(LATER(), old)).value).toBe('new');
    expect((await source.get(LATER(), old)).value).toBe('new');
  });
  test('that cannot be read, or is over, is a problem that passes, and the next one asks again', async () => {
    const source = tokens.createTokenSource('a');
    const unavailable = {
      code: 'management_token_unavailable',
      status: 503,
      retryAfter: 30,
      message: expect.stringContaining('could not be read'),
    };
    /** What the log has of it. */
    const causeAt = async (deadline: number) => {
      const problem = await source.get(deadline).then(
        () => undefined,
        (error: Problem) => error,
      );
      expect(problem).toMatchObject(unavailable);
      return String(problem?.cause);
    };
    // Where the clock is minutes off, as here, the SDK may make any call again.
    local.aws.addFaults({ operation: 'GetSecretValue', error: 'AccessDeniedException', times: 3 });
    expect(await causeAt(LATER())).toContain('AccessDeniedException');
    local.aws.clearFaults();
    holds(secret('over', {}, 0));
    expect(await causeAt(LATER())).toContain('expired at 2026-11-25T09:00:00.000Z');
    local.aws.addFaults({ operation: 'GetSecretValue', delay: 300, answer: secret('late') });
    expect(await causeAt(Date.now() + 20)).toContain('in time');
    expect((await source.get(LATER())).value, 'it goes on for others').toBe('late');
    holds(secret('good', {}, MINUTE - 1));
    const last = tokens.createTokenSource('a');
    expect((await last.get(LATER())).value, 'its last minute is better than nothing').toBe('good');
  });
});

test("the stage's own token is read, and known as fresh from its rotation", async () => {
  vi.useRealTimers();
  const source = tokens.createTokenSource(TOKEN_SECRET);
  const token = await source.get(LATER());
  expect(token).toMatchObject({ value: expect.stringMatching(/^eyJ/), versionId: expect.any(String) });
  expect(await source.rejected(token, LATER(), createLog({}))).toMatchObject({ code: 'management_token_rejected' });
  expect(lines).toMatchObject([{ reason: expect.stringContaining('fresh') }]);
});

describe('a token that Auth0 rejects, also after it was read again', () => {
  const rejected = { code: 'management_token_rejected', status: 502 };
  const underway = { code: 'management_token_unavailable', status: 503, retryAfter: 15 };
  const token = (versionId: string | undefined = 'v-1') => ({ value: 'x', expiresAt: 0, scope: '', versionId });
  const rotated = (agoMs: number | undefined, RotationEnabled = true) => ({
    operation: 'DescribeSecret',
    answer: { RotationEnabled, ...(agoMs !== undefined && { LastRotatedDate: (Date.now() - agoMs) / 1000 }) },
  });
  const rotates = (VersionId: string | undefined) => ({ operation: 'RotateSecret', answer: { VersionId } });
  const answered = (source = tokens.createTokenSource('a'), one = token()) =>
    source.rejected(one, LATER(), createLog({}));
  const asksAt = () => local.aws.calls.filter((call) => call === 'DescribeSecret').length;

  test('is rotated, and the caller told when to come again', async () => {
    local.aws.addFaults(rotated(5 * MINUTE), rotates('v-2'));
    expect(await answered()).toMatchObject({
      ...underway,
      message: expect.stringContaining('a new one is on its way'),
    });
    expect(lines).toMatchObject([{ code: 'rotation_requested', rotation: 'started', level: 'WARN' }]);
    local.aws.addFaults(rotated(undefined), rotates('v-2'));
    expect(await answered()).toMatchObject(underway);
  });
  test('is not rotated where it is fresh from a rotation, or is not rotated at all, or nothing came of it', async () => {
    local.aws.addFaults(rotated(5 * MINUTE - 1000));
    expect(await answered()).toMatchObject({ ...rejected, message: expect.stringContaining('requested in 1 s') });
    expect(lines).toMatchObject([
      {
        code: 'rotation_not_requested',
        level: 'ERROR',
        reason: expect.stringContaining('fresh'),
        since_rotation_ms: 5 * MINUTE - 1000,
        next_request_in_s: 1,
      },
    ]);
    local.aws.addFaults(rotated(undefined, false));
    expect(await answered()).toMatchObject(rejected);
    expect(lines[1]).toMatchObject({ code: 'rotation_not_requested', reason: expect.stringContaining('not rotated') });
    for (const VersionId of ['v-1', undefined]) {
      local.aws.addFaults(rotated(undefined), rotates(VersionId));
      expect(await answered(), String(VersionId)).toMatchObject(rejected);
    }
    expect(lines[2]).toMatchObject({ rotation: 'not requested' });
    local.aws.addFaults({ operation: 'DescribeSecret', error: 'AccessDeniedException' });
    expect(await answered()).toMatchObject(rejected);
    expect(lines.at(-1)).toMatchObject({
      code: 'rotation_requested',
      rotation: 'not requested',
      error: { name: 'AccessDeniedException' },
    });
  });
  test('when it is fresh from a rotation, the next one is requested five minutes after that one, not after the first 401', async () => {
    const source = tokens.createTokenSource('a');
    local.aws.addFaults(rotated(4 * MINUTE));
    expect(await answered(source)).toMatchObject({
      ...rejected,
      message: expect.stringContaining('requested in 60 s'),
    });
    vi.setSystemTime(NOW + 30_000);
    expect(await answered(source)).toMatchObject({
      ...rejected,
      message: expect.stringContaining('requested in 30 s'),
    });
    vi.setSystemTime(NOW + MINUTE + 1);
    local.aws.addFaults(rotated(5 * MINUTE), rotates('v-2'));
    expect(await answered(source)).toMatchObject(underway);
  });
  test('whose rotation is under way is waited for, half a minute at most', async () => {
    const source = tokens.createTokenSource('a');
    const unfinished = { operation: 'RotateSecret', error: 'InvalidRequestException', answer: undefined };
    const before = asksAt();
    local.aws.addFaults(rotated(undefined), { ...unfinished, message: 'A previous rotation is not complete' } as never);
    const first = await answered(source);
    expect(asksAt() - before).toBe(1);
    vi.setSystemTime(NOW + 30_000);
    const second = await answered(source);
    vi.setSystemTime(NOW + 30_001);
    const third = await answered(source);
    expect(asksAt() - before, 'once in five minutes').toBe(1);
    for (const one of [first, second, third]) expect(one.code).toMatch(/^management_token_/);
    local.aws.addFaults(rotated(undefined), rotates('v-2'));
    vi.setSystemTime(NOW + 5 * MINUTE);
    await answered(source);
    expect(asksAt() - before).toBe(1);
    vi.setSystemTime(NOW + 5 * MINUTE + 1);
    expect(await answered(source)).toMatchObject(underway);
    expect(asksAt() - before).toBe(2);
    vi.setSystemTime(NOW + 5 * MINUTE + 30_001);
    expect(await answered(source)).toMatchObject(underway);
    vi.setSystemTime(NOW + 5 * MINUTE + 30_002);
    expect(await answered(source)).toMatchObject({
      ...rejected,
      message: expect.stringContaining('has not succeeded'),
    });
    expect(await answered(source, token('v-9')), 'it was another one that was rotated').toMatchObject({
      ...rejected,
      message: expect.stringContaining('read again'),
    });
  });
  test('is told without waiting for an answer that does not come', async () => {
    local.aws.addFaults({ ...rotated(undefined), delay: 400 }, rotates('v-2'));
    const source = tokens.createTokenSource('a');
    expect(await source.rejected(token(), Date.now() + 20, createLog({}))).toMatchObject(rejected);
    expect(await answered(source)).toMatchObject(underway);
  });
});
