// One call of the Management API, whatever answers it: what a caller is told, how often Auth0 is asked, what is learned.
import '../own-modules.ts';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Fault } from '../../infra/local/auth0-tenant.ts';
import type { LocalEnvironment } from '../../infra/local/environment.ts';
import type { ApiRequest } from '../../lib/auth0/api-call.ts';
import { type CallContext, createCallContext, workFields, workMetrics } from '../../lib/auth0/call-context.ts';
import { createPacer } from '../../lib/auth0/rate-limit.ts';
import { createLog, registerSecret } from '../../lib/log.ts';
import { Problem } from '../../lib/problem.ts';
import { startEnvironmentInProcess } from '../in-process.ts';

const PATH = '/api/v2/organizations/org_bCE84ZIRjtX58FeO/connections';
let local: LocalEnvironment;
let api: typeof import('../../lib/auth0/api-call.ts');
let context: CallContext;
let held: string[];
const lines: Record<string, unknown>[] = [];
beforeAll(async () => {
  local = await startEnvironmentInProcess({ connected: false });
  Object.assign(process.env, local.environment);
  api = await import('../../lib/auth0/api-call.ts');
});
afterAll(() => local.close());
beforeEach(() => {
  local.tenant.clearFaults();
  local.tenant.clearCalls();
  lines.length = 0;
  held = ['token-1', 'token-2'];
  vi.spyOn(process.stdout, 'write').mockImplementation((line) => lines.push(JSON.parse(String(line))) > 0);
  context = createCallContext({ deadline: Date.now() + 10_000, log: createLog({}), pacer: createPacer(0) });
});
afterEach(() => void vi.restoreAllMocks());

/** What the secret holds, one after the other; the last for good. */
const tokens: ApiRequest<unknown>['tokens'] = {
  async get(_deadline, rejected) {
    if (rejected && held.length > 1) held.shift();
    return { value: held[0] ?? '', expiresAt: 0, scope: '', versionId: held[0] };
  },
  rejected: async ({ value }) => new Problem('management_token_rejected', `${value} is rejected`),
};
const request = (more: Partial<ApiRequest<unknown>> = {}): ApiRequest<unknown> => ({
  ...{
    tokens,
    method: 'PATCH',
    bucket: 'connections_write',
    path: PATH,
    scope: 'a:scope',
    unknown: 'unknown_connection',
  },
  read: (_status, body) => body,
  ...more,
});
const ok = { status: 200, body: { well: true } };
const own = (status: number, more: object = {}) => ({ status, body: { statusCode: status, error: 'E', ...more } });
const page = (status: number) => ({ status, body: '<html>', times: 9 });
const make = (faults: Fault[], more: Partial<ApiRequest<unknown>> = {}) => {
  local.tenant.addFaults(...faults);
  return api.call(request(more), context);
};
const failure = (faults: Fault[], more: Partial<ApiRequest<unknown>> = {}): Promise<Problem> =>
  make(faults, more).then(
    () => expect.unreachable(),
    (error) => error,
  );
const asked = () => local.tenant.calls().length;
const bearer = () => local.tenant.calls().map(({ authorization }) => authorization);

describe('what a caller is told', () => {
  const upstream = (status: number) => ({ upstream: { status, error_code: null, message: null } });
  test.each<[string, Fault, object]>([
    ['400', own(400), { code: 'rejected_by_auth0', ...upstream(400) }],
    ['403', own(403), { code: 'forbidden_by_auth0', ...upstream(403) }],
    [
      '403 for its scope',
      own(403, { errorCode: 'insufficient_scope' }),
      { code: 'management_token_scope_missing', message: expect.stringContaining('a:scope') },
    ],
    [
      '403 for its scope in words',
      own(403, { message: 'Insufficient scope, expected any of: x' }),
      { code: 'management_token_scope_missing' },
    ],
    ['403 with other words', own(403, { message: 'No Insufficient scope' }), { code: 'forbidden_by_auth0' }],
    ['404', own(404), { code: 'unknown_connection', ...upstream(404) }],
    ['409', own(409), { code: 'conflict', ...upstream(409) }],
    ['an error that this API does not have', own(418), { code: 'auth0_unavailable', mayBeDone: false }],
    ['a redirect', { status: 302, body: '' }, { code: 'auth0_unavailable', ...upstream(302) }],
    ['a redirect at its edge', { status: 300, body: '<html>' }, { code: 'auth0_unavailable' }],
    ['an error by its name alone', own(409), { code: 'conflict' }],
    ['an error by its words alone', own(409, { error: undefined, message: 'no' }), { code: 'conflict' }],
    [
      'another kind of JSON',
      { ...own(409), headers: { 'content-type': 'application/problem+json; charset=utf-8' } },
      { code: 'conflict' },
    ],
    ['JSON without a content type', { ...own(409), untyped: true }, { code: 'conflict' }],
  ])('%s ends the call at once', async (_what, fault, problem) => {
    const found = await failure([{ ...fault, times: 9 }]);
    expect(found).toMatchObject(problem);
    expect(found.message).not.toBe('');
    expect(asked()).toBe(1);
  });
  test.each<[string, Fault]>([
    ['a page of somebody in front of Auth0', page(403)],
    ['a page with 401, which says nothing of the token', page(401)],
    ['JSON of somebody else', { status: 404, body: { fault: 'x' }, times: 9 }],
    ["a gateway's own message", { status: 404, body: { message: 'no Route matched with those values' }, times: 9 }],
    ["a gateway's refusal", { status: 403, body: { message: 'Forbidden' }, times: 9 }],
    ["a gateway's 401", { status: 401, body: { message: 'Unauthorized' }, times: 9 }],
    ['the name of an error alone', { status: 409, body: { error: 'Conflict' }, times: 9 }],
    ['a framework', { status: 404, body: { timestamp: 'x', status: 404, error: 'Not Found', path: '/' }, times: 9 }],
    ['JSON about another status', { status: 404, body: own(502).body, times: 9 }],
    ['JSON about a status in text', { status: 404, body: { ...own(404).body, statusCode: '404' }, times: 9 }],
    ['a status without words', { status: 404, body: { statusCode: 404 }, times: 9 }],
    ['an empty 404', { status: 404, body: '', times: 9 }],
    ['a list', { status: 400, body: ['x'], times: 9 }],
    ['JSON that is told as a page', { ...own(409), headers: { 'content-type': 'text/html' }, times: 9 }],
    ['JSON in the middle of a page', { ...own(409), headers: { 'content-type': 'text/application/json' }, times: 9 }],
    ['an outage', page(500)],
    ["an outage in Auth0's words", { ...own(500), times: 9 }],
    ['nothing', { reset: 'before', times: 9 }],
  ])('%s ends nothing: it is tried again', async (_what, fault) => {
    context.maxAttempts = 2;
    expect(await failure([fault])).toMatchObject({ code: 'auth0_unavailable', status: 502 });
    expect(asked()).toBe(2);
    expect(lines).toMatchObject([
      { code: 'auth0_call_retried', code_of_problem: 'auth0_unavailable', attempts: 1, level: 'WARN' },
    ]);
  });
  test("Auth0's words are shown in one line, not endlessly, and without a secret", async () => {
    registerSecret('very-secret-token');
    const message = `a\n\u2028b very-secret-token ${'x'.repeat(600)}`;
    const { upstream: said } = await failure([own(400, { message, errorCode: 'c\td' })]);
    expect(said).toMatchObject({ status: 400, error_code: 'c d' });
    expect(said?.message).toMatch(/^a b \[hidden\] x+$/);
    expect(said?.message?.length).toBe(500);
    expect((await failure([own(400, { message: '' })])).upstream?.message).toBeNull();
  });
});

describe('a call', () => {
  test('is what its reader makes of it, an empty body an empty object', async () => {
    expect(await make([ok])).toEqual({ well: true });
    expect(await make([{ status: 204 }])).toEqual({});
    expect(await make([{ status: 299, body: { a: 1 } }], { read: (status, body) => ({ status, body }) })).toEqual({
      status: 299,
      body: { a: 1 },
    });
    expect(await make([{ status: 200, body: '  ' }])).toEqual({});
    expect(await make([ok])).toEqual({ well: true });
    expect(bearer()).toEqual(Array(5).fill('Bearer token-1'));
  });
  test('that succeeds for others and not for its reader may be done, and is made again', async () => {
    context.maxAttempts = 2;
    const found = await failure([{ ...ok, times: 9 }], { read: () => undefined });
    expect(found).toMatchObject({
      code: 'auth0_unavailable',
      mayBeDone: true,
      message: expect.stringContaining('200'),
    });
    expect(asked()).toBe(2);
  });
  test('that was carried out for all one knows stays so, whatever comes afterwards', async () => {
    expect(await failure([{ ...page(500), times: 1 }, own(400)])).toMatchObject({
      code: 'rejected_by_auth0',
      mayBeDone: true,
    });
    expect(await failure([{ ...page(500), times: 1 }, own(400)], { method: 'GET' })).toMatchObject({
      mayBeDone: false,
    });
    expect(await failure([{ ...page(404), times: 1 }, own(400)])).toMatchObject({ mayBeDone: false });
  });
  test('tells what it took', async () => {
    await make([
      { ...page(503), times: 1 },
      { ...ok, headers: { 'x-ratelimit-remaining': '3', 'x-ratelimit-limit': '9' }, delay: 20 },
    ]);
    expect(context.statuses).toEqual([503, 200]);
    expect(context.remaining).toBe(3);
    expect(context.auth0Ms).toBeGreaterThanOrEqual(19);
    await make([ok]);
    expect(context.remaining, 'what was said last').toBe(3);
    expect(workFields(context)).toMatchObject({
      auth0_statuses: [503, 200, 200],
      rate_limit_remaining: 3,
      auth0_ms: context.auth0Ms,
    });
    expect(workFields(context).cold_start, 'once a container').toBeUndefined();
    expect(workFields(createCallContext(context)).duration_ms).toBeLessThan(60_000);
    expect(workMetrics({ ...context, rejections: 2 })).toEqual({ Auth0Rejected: 2 });
    expect(workMetrics(context)).toEqual({});
  });
});

describe('a token that Auth0 rejects', () => {
  test('is told from one of which only somebody in front of Auth0 speaks: it is not read again, and no alarm is raised', async () => {
    context.maxAttempts = 2;
    expect(await failure([page(401)])).toMatchObject({ code: 'auth0_unavailable' });
    expect(await failure([{ status: 403, body: { message: 'Forbidden' }, times: 9 }])).toMatchObject({
      code: 'auth0_unavailable',
    });
    expect(bearer()).toEqual(Array(4).fill('Bearer token-1'));
    expect(context.rejections).toBe(0);
  });
  test('is read again and the call made once more with what is newer', async () => {
    expect(await make([own(401), ok])).toEqual({ well: true });
    expect(bearer()).toEqual(['Bearer token-1', 'Bearer token-2']);
  });
  test('and its successor, too: nobody asks a third time', async () => {
    expect(await failure([{ ...own(401), times: 9 }])).toMatchObject({
      code: 'management_token_rejected',
      message: 'token-2 is rejected',
    });
    expect(asked()).toBe(2);
  });
  test('is asked with once more where the secret holds no other, but not half-open', async () => {
    held = ['token-1'];
    expect(await failure([{ ...own(401), times: 9 }])).toMatchObject({ message: 'token-1 is rejected' });
    expect(asked()).toBe(2);
    local.tenant.clearCalls();
    context.maxAttempts = 1;
    expect(await failure([{ ...own(401), times: 9 }])).toMatchObject({ code: 'management_token_rejected' });
    expect(asked()).toBe(1);
    held = ['token-1', 'token-2'];
    local.tenant.clearFaults();
    expect(await make([own(401), ok])).toEqual({ well: true });
  });
});

describe('the tenant’s limit', () => {
  const limited = (wait: string, times = 1) => ({
    ...own(429, { errorCode: 'too_many_requests' }),
    headers: { 'retry-after': wait },
    times,
  });
  test('is waited for, and the call made again', async () => {
    expect(await make([limited('0'), ok])).toEqual({ well: true });
    expect(context.statuses).toEqual([429, 200]);
  });
  test('that leaves no room before the deadline, or longer than is worth staying for, ends the call for now', async () => {
    const problem = {
      code: 'rate_limited',
      status: 429,
      upstream: { status: 429, error_code: 'too_many_requests' },
      message: expect.stringContaining('limit'),
    };
    expect(await failure([limited('30')])).toMatchObject({ ...problem, retryAfter: 31 });
    expect(await failure([]), 'also the next one, which does not ask').toMatchObject({
      code: 'rate_limited',
      upstream: undefined,
    });
    expect(asked()).toBe(1);
    context = createCallContext({
      deadline: Date.now() + 60_000,
      log: createLog({}),
      pacer: createPacer(0),
      longestWait: 3000,
    });
    expect(await failure([limited('4')])).toMatchObject(problem);
    expect(asked()).toBe(2);
    expect(await make([ok], { method: 'GET', bucket: 'connections_read' }), 'reads have a limit of their own').toEqual({
      well: true,
    });
  });
  test('that ends so shortly before the deadline that no answer would come in time ends the call, and not its outcome', async () => {
    context.deadline = Date.now() + 3000;
    expect(await failure([limited('2')])).toMatchObject({ code: 'rate_limited', mayBeDone: false });
    expect(asked()).toBe(1);
  });
  test('that is there again and again ends it after five', async () => {
    vi.spyOn(context.pacer, 'delay').mockReturnValue(0);
    expect(await failure([limited('0', 9)])).toMatchObject({ code: 'rate_limited' });
    expect(asked()).toBe(5);
  });
});

describe('the deadline', () => {
  test('ends a call that Auth0 does not answer, and nobody knows whether it was done', async () => {
    context.deadline = Date.now() + 200;
    expect(await failure([{ delay: 600 }])).toMatchObject({
      code: 'auth0_timeout',
      status: 504,
      mayBeDone: true,
      message: expect.stringContaining('deadline'),
    });
    expect(context.unknownUntil).toBeGreaterThan(Date.now() + 50_000);
    expect(await failure([]), 'Auth0 is not even asked').toMatchObject({
      code: 'auth0_timeout',
      mayBeDone: false,
      message: expect.stringContaining('before'),
    });
    expect(asked()).toBe(1);
  });
  test('leaves nothing unknown of a read', async () => {
    context.deadline = Date.now() + 200;
    expect(await failure([{ delay: 600 }], { method: 'GET' })).toMatchObject({
      code: 'auth0_timeout',
      mayBeDone: false,
    });
    expect(context.unknownUntil).toBeUndefined();
  });
});

describe('a write', () => {
  const soon = () => Date.now() + 50_000;
  test.each<[string, Fault, Partial<ApiRequest<unknown>>?]>([
    ['a page with 502, in front of Auth0', page(502)],
    ['a page with 524', page(524)],
    ["500 in Auth0's own words", { ...own(500), times: 9 }],
    ['503 without a body', { status: 503, body: '', times: 9 }],
    ['504', page(504)],
    ["a gateway's 408", page(408)],
    ['a lost connection', { reset: 'after', times: 9 }],
    ['half a response', { ...ok, truncate: true, times: 9 }],
    ['a success that is not what Auth0 documents', { ...ok, times: 9 }, { read: () => undefined }],
    ['a success that is a page', { status: 200, body: '<html>', times: 9 }],
  ])('that ends in %s may still be carried out for a minute', async (_what, fault, more) => {
    context.maxAttempts = 1;
    expect(await failure([fault], more)).toMatchObject({ code: 'auth0_unavailable', mayBeDone: true });
    expect(context.unknownUntil).toBeGreaterThan(soon());
    expect(context.unknownUntil).toBeLessThanOrEqual(Date.now() + 60_000);
  });

  test('may still be carried out when a later attempt succeeds', async () => {
    expect(await make([{ ...page(502), times: 1 }, ok])).toEqual({ well: true });
    expect(context.unknownUntil).toBeGreaterThan(soon());
  });

  test('may still be carried out when Auth0 refuses a later attempt', async () => {
    expect(await failure([{ ...page(502), times: 1 }, own(400)])).toMatchObject({ code: 'rejected_by_auth0' });
    expect(context.unknownUntil).toBeGreaterThan(soon());
  });

  test.each<[string, Fault]>([
    ...[400, 401, 403, 404, 409, 418].map((status): [string, Fault] => [
      `Auth0's ${status}`,
      { ...own(status), times: 9 },
    ]),
    ["Auth0's 408", { ...own(408), times: 9 }],
    ['429', { ...own(429), headers: { 'retry-after': '30' }, times: 9 }],
    ['a page with 403', page(403)],
    ['a redirect', { status: 302, body: '' }],
  ])('that ends in %s is certainly not carried out', async (_what, fault) => {
    context.maxAttempts = 1;
    expect(await failure([fault])).toMatchObject({ mayBeDone: false });
    expect(context.unknownUntil).toBeUndefined();
  });

  test('is not sent when its lease is over', async () => {
    context.writeBefore = Date.now();
    await expect(make([ok])).rejects.toMatchObject({
      code: 'lease_ended',
      mayBeDone: false,
    });
    expect(asked()).toBe(0);
    expect(await make([ok], { method: 'GET' }), 'a read is').toEqual({ well: true });
    context.writeBefore = Date.now() + 1000;
    expect(await make([ok]), 'a write within it is').toEqual({ well: true });
  });

  test('is not sent again when its lease ended meanwhile, and says that the first attempt may be done', async () => {
    context.writeBefore = Date.now() + 50;
    await expect(make([{ ...page(502), times: 1, delay: 60 }, ok])).rejects.toMatchObject({
      code: 'lease_ended',
      mayBeDone: true,
    });
    expect(asked()).toBe(1);
    expect(context.unknownUntil).toBeGreaterThan(soon());
  });

  test('does not wait for the limit beyond its lease', async () => {
    context.writeBefore = Date.now() + 2000;
    vi.spyOn(context.pacer, 'delay').mockReturnValue(3000);
    expect(await failure([])).toMatchObject({ code: 'rate_limited', retryAfter: 3 });
    expect(asked()).toBe(0);
  });
});

describe('a call that the work can do without', () => {
  const optional = { method: 'GET', scope: 'read:more', isOptional: true } as const;
  const holding = (scope: string): typeof tokens => ({
    ...tokens,
    get: async () => ({ value: 'token-1', expiresAt: 0, scope, versionId: 'v' }),
  });
  test('is not made when the token is known to lack the scope', async () => {
    const lacking = await failure([], { ...optional, tokens: holding('read:other read:more_of_it') });
    expect(lacking).toMatchObject({
      code: 'management_token_scope_missing',
      message: expect.stringContaining('read:more'),
    });
    expect(asked()).toBe(0);
    expect(await make([ok], { ...optional, tokens: holding('read:other read:more') })).toEqual({ well: true });
  });
  test('is made when nobody says what the token may do, and its 403 raises no alarm', async () => {
    const refused = own(403, { errorCode: 'insufficient_scope' });
    expect(await failure([refused], optional)).toMatchObject({ code: 'management_token_scope_missing' });
    expect(workMetrics(context)).toEqual({});
    await failure([refused], { ...optional, isOptional: false });
    expect(workMetrics(context)).toEqual({ Auth0Rejected: 1 });
  });
});
