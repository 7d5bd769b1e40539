import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Fault } from '../../infra/local/auth0-tenant.ts';
import { metricsIn } from '../embedded-metrics.ts';
import { CON, newOrganization, ORG, type RequestOptions, type Service, startService } from '../service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.close());
function startOver(): void {
  service.tenant.clearFaults();
  service.tenant.clearCalls();
  service.tenant.setOrganizations({ [ORG]: [{ connection_id: CON }, { connection_id: 'con_Yt4Lw9QeRb7UiXc3' }] });
}

const body = (statusCode: number, message: string, errorCode?: string) => ({
  statusCode,
  error: 'E',
  message,
  errorCode,
});
const HTML = '<html><body>Bad gateway</body></html>';

const JSON_TYPE = { 'content-type': 'application/json' };
const BAD_INPUT: [what: string, name: string, options: RequestOptions, status: number, code: string][] = [
  [
    'an organization id of another kind',
    'disable-connection',
    { organization: 'con_PmFe8KxCsPJvZRrj' },
    400,
    'invalid_path',
  ],
  [
    'a connection id with a path in it',
    'remove-connection',
    { connection: 'con_a/../../clients' },
    400,
    'invalid_path',
  ],
  ['an encoded slash', 'remove-connection', { connection: 'con_a%2F..' }, 400, 'invalid_path'],
  ['an id of 51 characters', 'remove-connection', { organization: `org_${'a'.repeat(47)}` }, 400, 'invalid_path'],
  ['a line break after an id', 'remove-connection', { connection: `${CON}\n` }, 400, 'invalid_path'],
  ['a look-alike letter', 'remove-connection', { connection: 'con_PmFe8KxCsPJvZRrј' }, 400, 'invalid_path'],
  ['no body', 'disable-connection', { body: undefined }, 400, 'invalid_body'],
  ['an empty body', 'disable-connection', { body: '', headers: JSON_TYPE }, 400, 'invalid_body'],
  ['a body that is not JSON', 'disable-connection', { body: '{"is_enabled":' }, 400, 'invalid_body'],
  [
    'a body of text',
    'disable-connection',
    { headers: { 'content-type': 'text/plain' } },
    415,
    'unsupported_media_type',
  ],
  ['true', 'disable-connection', { body: { is_enabled: true } }, 422, 'invalid_body'],
  ['"false"', 'disable-connection', { body: { is_enabled: 'false' } }, 422, 'invalid_body'],
  [
    'an unknown member',
    'disable-connection',
    { body: { is_enabled: false, show_as_button: true } },
    422,
    'invalid_body',
  ],
  ['a prototype', 'disable-connection', { body: '{"is_enabled":false,"__proto__":{"a":1}}' }, 422, 'invalid_body'],
  ['null', 'disable-connection', { body: 'null' }, 422, 'invalid_body'],
  ['a list', 'disable-connection', { body: [] }, 422, 'invalid_body'],
  [
    'JSON that is nested without end',
    'disable-connection',
    { body: '['.repeat(100_000) + ']'.repeat(100_000) },
    422,
    'invalid_body',
  ],
  ['nothing but opening brackets', 'disable-connection', { body: '['.repeat(100_000) }, 400, 'invalid_body'],
  ['a query', 'disable-connection', { query: { dry_run: 'true' } }, 400, 'invalid_query'],
  ['a query', 'remove-connection', { query: { dry_run: 'true' } }, 400, 'invalid_query'],
];
const ALWAYS = { times: 100 };
const ANSWERS: [what: string, fault: Fault, status: number, code: string, more?: object][] = [
  ['400', { status: 400, body: body(400, "Payload validation error: 'x'", 'invalid_body') }, 400, 'rejected_by_auth0'],
  [
    '403 of scope',
    { status: 403, body: body(403, 'Insufficient scope, expected any of: x', 'insufficient_scope') },
    502,
    'management_token_scope_missing',
  ],
  [
    '403 of entitlement',
    { status: 403, body: body(403, 'Please upgrade your subscription', 'insufficient_entitlement') },
    502,
    'forbidden_by_auth0',
  ],
  ['404', { status: 404, body: body(404, 'No organization found by that id or name') }, 404, 'unknown_connection'],
  ['409', { status: 409, body: body(409, 'Conflict') }, 409, 'conflict'],
  ['401 twice', { ...ALWAYS, status: 401, body: body(401, 'Invalid token.') }, 502, 'management_token_rejected'],
  ['503', { ...ALWAYS, status: 503, body: HTML }, 502, 'auth0_unavailable'],
  ['an HTML 200', { ...ALWAYS, status: 200, body: HTML }, 502, 'auth0_unavailable'],
  ['an HTML 404', { ...ALWAYS, status: 404, body: HTML }, 502, 'auth0_unavailable'],
  ['an HTML 403', { ...ALWAYS, status: 403, body: HTML }, 502, 'auth0_unavailable'],
  ['an HTML 400', { ...ALWAYS, status: 400, body: HTML }, 502, 'auth0_unavailable'],
  ["a firewall's JSON 403", { ...ALWAYS, status: 403, body: { blocked: true } }, 502, 'auth0_unavailable'],
  ['truncated JSON', { ...ALWAYS, status: 200, body: '{"connection_id":' }, 502, 'auth0_unavailable'],
  ['a redirect', { status: 302, body: '', headers: { location: 'http://169.254.169.254/' } }, 502, 'auth0_unavailable'],
  ['a 418', { status: 418, body: body(418, 'teapot') }, 502, 'auth0_unavailable'],
  ['a reset before', { ...ALWAYS, reset: 'before' }, 502, 'auth0_unavailable'],
  ['a cut-off answer', { ...ALWAYS, status: 200, body: body(200, 'x'), truncate: true }, 502, 'auth0_unavailable'],
  [
    'an answer of two megabytes',
    { ...ALWAYS, status: 200, body: `{"x":"${'y'.repeat(2_000_000)}"}` },
    502,
    'auth0_unavailable',
  ],
];
/** Each case has an organization of its own, so that those which wait for retries or a deadline wait at the same time. */
function inOrganizationOfItsOwn(...faults: Fault[]) {
  const organization = newOrganization();
  service.tenant.setOrganizations({ [organization]: [{ connection_id: CON }] });
  service.tenant.addFaults(...faults.map((fault) => ({ path: organization, ...fault })));
  const calls = () => service.managementCalls().filter(({ path }) => path.includes(organization));
  return { organization, calls };
}

describe.concurrent.each([
  ['disable-connection', 200],
  ['remove-connection', 204],
])('%s', (name, success) => {
  test.each(ANSWERS)('when Auth0 answers %s, the caller gets its problem', async (_what, fault, status, code) => {
    const { organization } = inOrganizationOfItsOwn(fault);
    const answer = await service.request(name, { organization });
    expect(answer).toMatchObject({ status, body: { code } });
    if (code === 'auth0_unavailable') expect(answer.headers['retry-after']).toBe('5');
    if (code === 'management_token_scope_missing') {
      expect((answer.body as { detail: string }).detail).toMatch(/(update|delete):organization_connections/);
    }
    if ([400, 404, 409].includes(fault.status ?? 0) && typeof fault.body === 'object') {
      const { message, errorCode = null } = fault.body as { message: string; errorCode?: string };
      expect(answer.body).toMatchObject({ upstream: { status: fault.status, error_code: errorCode, message } });
    }
    // The same container goes on.
    expect((await service.request(name, inOrganizationOfItsOwn())).status).toBe(success);
  });

  test.each<[string, Fault[]]>([
    ['two resets', [{ reset: 'before', times: 2 }]],
    ['a reset after it was done', [{ reset: 'after' }]],
    ['a 503', [{ status: 503, body: HTML }]],
    ['an HTML 403', [{ status: 403, body: HTML }]],
    ['a 401 of a token that was rotated', [{ status: 401, body: body(401, 'Invalid token.') }]],
  ])('when a call meets %s, it is made again', async (_what, faults) => {
    const { organization, calls } = inOrganizationOfItsOwn(...faults);
    expect((await service.request(name, { organization })).status).toBe(success);
    expect(calls().length).toBe((faults[0]?.times ?? 1) + 1);
  });

  test.each<[string, Fault]>([
    ['no first byte', { delay: 20_000, times: 9 }],
    ['a slow drip', { drip: 500, status: 200, body: body(200, 'x'.repeat(200)), times: 9 }],
  ])('when Auth0 sends %s, the caller gets a timeout at the deadline', async (_what, fault) => {
    const { organization } = inOrganizationOfItsOwn(fault);
    const answer = await service.request(name, { organization, remaining: 8000 });
    expect(answer).toMatchObject({ status: 504, body: { code: 'auth0_timeout' }, headers: { 'retry-after': '5' } });
  });
});

/** A container and an organization that nobody else asks: the pace of a container is one for all of its requests. */
function inContainerOfItsOwn(name: string, ...faults: Fault[]) {
  const { organization, calls } = inOrganizationOfItsOwn(...faults);
  const start = () => service.container(name);
  const container = start();
  const request = (options: RequestOptions = {}) => service.request(name, { organization, container, ...options });
  return { calls, request, start };
}
const limited = (headers: Record<string, string>, times = 1): Fault => ({
  status: 429,
  body: body(429, 'Global limit has been reached'),
  headers,
  times,
});

describe.concurrent.each([
  ['disable-connection', 200],
  ['remove-connection', 204],
])("%s at the tenant's limit", (name, success) => {
  test('when that lasts for longer than a request, the caller is told how long, and Auth0 is not asked until then', async () => {
    const { calls, request, start } = inContainerOfItsOwn(name, limited({ 'retry-after': '60' }));
    for (let requests = 0; requests < 2; requests++) {
      const answer = await request();
      expect(answer).toMatchObject({ status: 429, body: { code: 'rate_limited' } });
      expect(answer.headers['retry-after']).toMatch(/^(59|6[01])$/);
    }
    expect(calls().length).toBe(1);
    expect((await request({ container: start() })).status).toBe(success);
  });

  test('when it lasts for less than a request may take, the call is made again as often as it takes', async () => {
    const faults = ['1', '0'].map((wait) => limited({ 'retry-after': wait }));
    const { calls, request } = inContainerOfItsOwn(name, ...faults);
    const started = Date.now();
    expect((await request()).status).toBe(success);
    expect(Date.now() - started).toBeGreaterThanOrEqual(1900);
    expect(calls().length).toBe(3);
  });

  test('when it has no end, a burst of requests is over by the deadline, each with what Auth0 said', async () => {
    const { calls, request, start } = inContainerOfItsOwn(name, limited({}, 999));
    const started = Date.now();
    const answers = await Promise.all(Array.from({ length: 8 }, () => request({ remaining: 6000 })));
    expect(Date.now() - started).toBeLessThan(6000);
    for (const answer of answers) {
      expect(answer).toMatchObject({ status: 429, body: { code: 'rate_limited', upstream: { status: 429 } } });
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    }
    const before = calls().length;
    expect((await request({ remaining: 6000, container: start() })).status).toBe(429);
    expect(calls().length, 'not at the first').toBeGreaterThan(before + 1);
  });

  test.each<[what: string, headers: Record<string, string>]>([
    ['a second', { 'retry-after': '1' }],
    ['nothing', {}],
    ['a reset that is over', { 'x-ratelimit-reset': String(Math.floor(Date.now() / 1000) - 9999) }],
    ['an absurd reset', { 'x-ratelimit-reset': '99999999999' }],
    ['no number', { 'x-ratelimit-reset': 'soon' }],
  ])('when its headers say %s, the call is made again', async (_what, headers) => {
    const { calls, request } = inContainerOfItsOwn(name, limited(headers));
    expect((await request()).status).toBe(success);
    expect(calls().length).toBe(2);
  });

  test('when Auth0 has refused nothing and its headers tell of a long wait, it is asked all the same', async () => {
    const headers = {
      'x-ratelimit-limit': '10',
      'x-ratelimit-remaining': '0',
      'x-ratelimit-reset': String(Math.floor(Date.now() / 1000) + 60),
    };
    const answer = success === 200 ? { status: 200, body: { connection_id: CON, is_enabled: false } } : { status: 204 };
    const { calls, request } = inContainerOfItsOwn(name, { ...answer, headers });
    for (let requests = 0; requests < 2; requests++) expect((await request()).status).toBe(success);
    expect(calls().length).toBe(2);
  });
});

describe('a request', () => {
  beforeEach(startOver);

  test('when a connection is disabled, it keeps its settings, and the answer is the one of Auth0', async () => {
    const answer = await service.request('disable-connection', { headers: { 'X-Correlation-Id': 'abc-123' } });
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject({ 'content-type': 'application/json', 'x-correlation-id': 'abc-123' });
    expect(answer.body).toEqual(service.tenant.state().organizations[ORG]?.[0]);
    expect(service.enabled()).toEqual({ [CON]: false, con_Yt4Lw9QeRb7UiXc3: true });
    expect(service.managementCalls().map(({ method, path, body }) => [method, path, body])).toEqual([
      ['PATCH', `/api/v2/organizations/${ORG}/connections/${CON}`, '{"is_enabled":false}'],
    ]);
    expect(service.logged('request_answered').at(-1)).toMatchObject({
      correlation_id: 'abc-123',
      caller: 'arn:aws:sts::000000000000:assumed-role/billing-service/session',
      status: 200,
      outcome: 'ok',
      auth0_statuses: [200],
    });
  });

  test('when a connection is removed, the answer is an empty 204, also when it was gone already', async () => {
    expect(await service.request('remove-connection')).toMatchObject({ status: 204, body: undefined });
    expect(service.enabled()).toEqual({ con_Yt4Lw9QeRb7UiXc3: true });
    expect(await service.request('remove-connection')).toMatchObject({ status: 204, body: undefined });
  });

  test.each(BAD_INPUT)(
    'when it has %s, it is refused without a call of Auth0',
    async (_what, name, options, status, code) => {
      const answer = await service.request(name, options);
      expect(answer).toMatchObject({ status, body: { code, status, type: `urn:problem:org-connections:${code}` } });
      expect(service.tenant.calls()).toEqual([]);
      expect(service.enabled()).toEqual({ [CON]: true, con_Yt4Lw9QeRb7UiXc3: true });
    },
  );

  test('when its body is in base64 and its headers in odd case, it is taken', async () => {
    const event = {
      body: Buffer.from('{"is_enabled":false}').toString('base64'),
      isBase64Encoded: true,
      headers: { 'Content-Type': 'application/json; charset=utf-8' },
    };
    expect(await service.request('disable-connection', { event })).toMatchObject({ status: 200 });
  });

  test.each(['disable-connection', 'remove-connection'])(
    'when the organization is mistyped, %s does not report an ended access',
    async (name) => {
      const answer = await service.request(name, { organization: 'org_Qk2vN8sT5rWx1YzA' });
      expect(answer).toMatchObject({ status: 404, body: { code: 'unknown_organization', upstream: { status: 404 } } });
    },
  );

  test('when the answer to a removal is lost and the next one is 404, the caller is told that it is removed, and so is the log', async () => {
    service.tenant.addFaults(
      { method: 'DELETE', reset: 'after' },
      { method: 'DELETE', status: 404, body: body(404, 'No connection found', 'inexistent_connection') },
    );
    const before = service.logged('connection_removed').length;
    expect(await service.request('remove-connection')).toMatchObject({ status: 204, body: undefined });
    expect(service.logged('connection_removed').length).toBe(before + 1);
    expect(service.logged('connection_removed').at(-1)).toMatchObject({ organization_id: ORG, connection_id: CON });
    expect(service.enabled()).toEqual({ con_Yt4Lw9QeRb7UiXc3: true });
  });

  test('when the answer to a removal is lost and there is no such organization, none is reported', async () => {
    const organization = 'org_Qk2vN8sT5rWx1YzA';
    service.tenant.addFaults({ method: 'DELETE', reset: 'before' });
    const before = service.logged('connection_removed').length;
    const answer = await service.request('remove-connection', { organization });
    expect(answer).toMatchObject({ status: 404, body: { code: 'unknown_organization' } });
    expect(service.logged('connection_removed').length).toBe(before);
  });

  test('when the organization does not have the connection, the caller is told so', async () => {
    const answer = await service.request('disable-connection', { connection: 'con_Qk2vN8sT5rWx1YzA' });
    expect(answer).toMatchObject({ status: 404, body: { code: 'unknown_connection' } });
    expect(service.managementCalls().map(({ method }) => method)).toEqual(['PATCH', 'GET']);
  });

  test('when Auth0 cannot be asked which of the two it is, neither is claimed', async () => {
    service.tenant.addFaults({ method: 'GET', status: 503, body: HTML, times: 99 });
    const answer = await service.request('disable-connection', { connection: 'con_Qk2vN8sT5rWx1YzA' });
    expect(answer).toMatchObject({ status: 502, body: { code: 'auth0_unavailable' } });
  });

  test('when a 200 still says enabled, it is no success', async () => {
    service.tenant.addFaults({ status: 200, body: { connection_id: CON, is_enabled: true }, times: 9 });
    expect(await service.request('disable-connection')).toMatchObject({
      status: 502,
      body: { code: 'auth0_unavailable' },
    });
  });

  test.each([
    'application/json ; charset=utf-8',
    'application/json;charset="utf-8" ',
    'application/merge-patch+json  ;  charset=utf-8',
  ])('when the content type is "%s", the body is read as JSON', async (type) => {
    expect(await service.request('disable-connection', { headers: { 'content-type': type } })).toMatchObject({
      status: 200,
    });
  });

  test('when a caller or Auth0 puts a log line into a text, no such line is written', async () => {
    const forged = 'x\n{"code":"forged"}';
    service.tenant.addFaults({ status: 400, body: body(400, forged) });
    await service.request('disable-connection', {
      organization: `org_a${forged}`,
      headers: { 'x-correlation-id': forged },
    });
    await service.request('disable-connection');
    expect(service.logs.filter((line) => line.startsWith('{"code":"forged"'))).toEqual([]);
  });

  test('when Auth0 answers 401 or 403, a metric for the alarm counts it; other requests cost no metric', async () => {
    service.logs.length = 0;
    service.tenant.addFaults({ status: 403, body: body(403, 'Please upgrade', 'insufficient_entitlement') });
    await service.request('disable-connection');
    await service.request('disable-connection');
    const metrics = service.logs.map((line) => metricsIn(line).metrics);
    expect(metrics.flat()).toEqual([
      { namespace: 'org-connections', name: 'Auth0Rejected', dimensions: { function: 'disable-connection' }, value: 1 },
    ]);
  });
});
