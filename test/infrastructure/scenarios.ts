// How each answer of each route and each event of the service comes about, with the packaged functions between the stand-ins.
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, expect } from 'vitest';
import { CON, gatewayEvent, ORG, type RequestOptions, type Service, startService } from '../service.ts';

const CON2 = 'con_Yt4Lw9QeRb7UiXc3';
const OTHER = 'org_Qk2vN8sT5rWx1YzA';
const NOBODY = 'org_Zz9Yx8Wv7Ut6Sr5Q';
const CONNECTIONS = [
  { connection_id: CON, connection: { name: 'acme-okta', strategy: 'okta' } },
  { connection_id: CON2, connection: { name: 'acme-google', strategy: 'google-apps' } },
];
const OF = { requested_by: 'billing-service', reason: 'contract ended' };
const REQUEST = { action: 'disable_then_remove', grace_period: 'P30D', ...OF };
const BATCH = { organization_ids: [ORG, OTHER, 'globex'], action: 'disable', ...OF };
const KEY = (key: string) => ({ 'idempotency-key': key });
const WHY = { reason: 'the contract was renewed', requested_by: 'maria@example.com' };

export let service: Service;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.close());

const auth0 = (statusCode: number, message: string, errorCode?: string) => ({
  status: statusCode,
  body: { statusCode, error: 'Error', message, errorCode },
});
const LIMIT = { ...auth0(429, 'Global limit has been reached', 'too_many_requests'), headers: { 'retry-after': '60' } };
const FORBIDDEN = auth0(403, 'Please upgrade your subscription', 'insufficient_entitlement');
const REJECTED = auth0(400, "Payload validation error: 'Expected type boolean'", 'invalid_body');
const TABLE_CALLS = ['Query', 'PutItem', 'UpdateItem', 'GetItem', 'BatchGetItem'];
const SCOPE = 'Insufficient scope, expected any of: update:organization_connections';

export async function startOver() {
  await service.startOver();
  for (const id of [ORG, OTHER]) await service.forget(id);
  service.tenant.setOrganizations({ [ORG]: CONNECTIONS, [OTHER]: [{ connection_id: 'con_Wd3Ef5GhTy7UjKl9' }] });
}
async function answer(name: string, options: RequestOptions = {}, expected?: number) {
  if (!existsSync(new URL(`../../dist/${name}.mjs`, import.meta.url))) throw new Error(`${name} is not built`);
  const { status, body } = await service.request(name, options);
  if (expected !== undefined && status !== expected) throw new Error(`${name}: ${status} ${JSON.stringify(body)}`);
  return body as Record<string, unknown>;
}
/** Puts a request on the bus and waits for its outcome, which the record then has, too. */
async function offboard(detail: object = REQUEST, organization = ORG) {
  const { id } = service.publish({ ...detail, organization_id: organization });
  const outcome = await service.outcome(id);
  const status = async () => {
    const { offboardings } = await answer('list-offboardings', { query: { organization_id: organization } }, 200);
    return (offboardings as { status: string }[])[0]?.status;
  };
  await expect.poll(status).toMatch(/^(scheduled|completed|failed)$/);
  await service.worker.idle();
  return outcome;
}
/** The event of `type`, once it is published. */
async function published(type: string) {
  const found = () => service.aws.events.find((event) => event['detail-type'] === type);
  await expect.poll(found).toBeTruthy();
  return found();
}

export type Scenario = (operation: string) => Promise<unknown>;
/** An answer of `status` that Auth0's behaviour leads to. */
const withAuth0 =
  (fault: object, status: number, options: RequestOptions = {}): Scenario =>
  async (operation) => {
    service.tenant.addFaults({ times: 9, ...fault });
    const answered = await answer(operation, options, status);
    // A container remembers a limit, and the next scenario is not about that.
    if (status === 429) service.functionNamed(operation).kill();
    return answered;
  };
const withoutAuth0 =
  (status: number, options: RequestOptions): Scenario =>
  (operation) =>
    answer(operation, options, status);
/** The table refuses a call for a reason that no repetition changes. */
const withWrongCalls: Scenario = (operation) => {
  for (const call of TABLE_CALLS) service.aws.addFaults({ operation: call, error: 'ValidationException', times: 20 });
  const query = operation.startsWith('list') ? { organization_id: ORG } : undefined;
  return answer(operation, query && { query }, 500);
};
const withoutTable: Scenario = (operation) => {
  for (const call of TABLE_CALLS) service.aws.addFaults({ operation: call, error: 'ThrottlingException', times: 20 });
  const body = { 'request-offboarding': REQUEST, 'request-offboardings': BATCH }[operation];
  const query = { 'list-offboardings': { organization_id: ORG } }[operation];
  return answer(operation, { remaining: 2500, ...(body && { body }), ...(query && { query }) }, 503);
};
const withoutToken: Scenario = async (operation) => {
  service.functionNamed(operation).kill();
  service.aws.addFaults({ operation: 'GetSecretValue', error: 'InternalServiceError', status: 500, times: 20 });
  return answer(operation, {}, 503);
};
const withManyOpen: Scenario = async (operation) => {
  service.tenant.addFaults({ status: 503, body: '', times: 10_000 });
  const body = { ...REQUEST, dry_run: true };
  for (let i = 0; i < 20; i++) await answer('request-offboarding', { body }, 202);
  return answer(operation, { body: operation.endsWith('s') ? { ...BATCH, dry_run: true } : body }, 409);
};
const TEXT = { body: 'is_enabled=false', headers: { 'content-type': 'text/plain' } };
const CALLING = ['disable-connection', 'remove-connection'];
const UNKNOWN = auth0(404, 'The connection does not exist.', 'inexistent_connection');

/** Answers that more than one route gives: the test calls each, and the first one's answer is the example. */
export const SHARED: Record<string, [operations: string[], scenario: Scenario]> = {
  '400.invalid_query': [
    [...CALLING, 'request-offboarding', 'request-offboardings', 'get-offboarding'],
    (operation) => {
      const body = { 'request-offboarding': REQUEST, 'request-offboardings': BATCH }[operation];
      return answer(operation, { ...(body && { body }), query: { dry_run: 'true' } }, 400);
    },
  ],
  '403.irreversible_not_permitted': [
    ['request-offboarding', 'request-offboardings', 'remove-connection'],
    (operation) => {
      const requestContext = { ...gatewayEvent(operation).requestContext, stage: 'reversible' };
      if (operation === 'remove-connection') return answer(operation, { event: { requestContext } }, 403);
      const body = { ...(operation.endsWith('s') ? BATCH : REQUEST), action: 'remove', grace_period: undefined };
      return answer(operation, { body, event: { requestContext } }, 403);
    },
  ],
  '404.unknown_connection': [CALLING, withAuth0({ ...UNKNOWN, path: CON, times: 1 }, 404)],
  '404.unknown_organization': [
    CALLING,
    async (operation) => {
      service.tenant.addFaults({ ...auth0(404, 'No organization found by that id or name'), times: 9 });
      return answer(operation, { organization: NOBODY }, 404);
    },
  ],
  '409.conflict': [CALLING, withAuth0(auth0(409, 'Conflict'), 409)],
  '409.conflict.too_many_open': [['request-offboarding'], withManyOpen],
  '415.unsupported_media_type': [
    ['disable-connection', 'request-offboarding', 'request-offboardings'],
    withoutAuth0(415, TEXT),
  ],
  '429.rate_limited': [CALLING, withAuth0(LIMIT, 429)],
  '500.internal_error': [['list-offboardings', 'get-offboarding'], withWrongCalls],
  '502.auth0_unavailable': [[...CALLING, 'get-offboarding'], withAuth0({ status: 503, body: 'Bad gateway' }, 502)],
  '502.management_token_rejected': [CALLING, withAuth0(auth0(401, 'Invalid token.'), 502)],
  '502.management_token_scope_missing': [CALLING, withAuth0(auth0(403, SCOPE, 'insufficient_scope'), 502)],
  '502.forbidden_by_auth0': [CALLING, withAuth0(FORBIDDEN, 502)],
  '503.management_token_unavailable': [CALLING, withoutToken],
  '503.record_unavailable': [
    ['request-offboarding', 'request-offboardings', 'list-offboardings', 'get-offboarding', 'cancel-offboarding'],
    withoutTable,
  ],
  '504.auth0_timeout': [CALLING, withAuth0({ delay: 6000 }, 504, { remaining: 5000 })],
};

/** Answers of one route, by the name of their example. */
export const OWN: Record<string, () => Promise<unknown>> = {
  'disable-connection.body': async () => ({ is_enabled: false }),
  'disable-connection.200': () => answer('disable-connection', {}, 200),
  'disable-connection.400.invalid_path': () => answer('disable-connection', { connection: 'acme-okta' }, 400),
  'disable-connection.400.invalid_body': () => answer('disable-connection', { body: '{"is_enabled":' }, 400),
  'disable-connection.400.rejected_by_auth0': () => withAuth0(REJECTED, 400)('disable-connection'),
  'disable-connection.422.invalid_body': () => answer('disable-connection', { body: { is_enabled: true } }, 422),
  'remove-connection.400.invalid_path': () => answer('remove-connection', { organization: 'acme' }, 400),
  'remove-connection.400.rejected_by_auth0': () =>
    withAuth0(auth0(400, 'Path validation error', 'invalid_uri'), 400)('remove-connection'),

  'request-offboarding.body': async () => REQUEST,
  'request-offboarding.202': () => answer('request-offboarding', { body: REQUEST }, 202),
  'request-offboarding.202.replayed': async () => {
    const options = { body: REQUEST, headers: KEY('invoice-4711') };
    await answer('request-offboarding', options, 202);
    await published('organization.offboarding.scheduled');
    await service.worker.idle();
    return answer('request-offboarding', options, 202);
  },
  'request-offboarding.400.invalid_path': () =>
    answer('request-offboarding', { organization: 'acme', body: REQUEST }, 400),
  'request-offboarding.400.invalid_header': () =>
    answer('request-offboarding', { body: REQUEST, headers: KEY('invoice 4711') }, 400),
  'request-offboarding.400.invalid_body': () => answer('request-offboarding', { body: '{"action":' }, 400),
  'request-offboarding.422.invalid_body': () =>
    answer('request-offboarding', { body: { ...REQUEST, action: 'disable' } }, 422),
  'request-offboarding.422.idempotency_key_reused': async () => {
    await answer('request-offboarding', { body: REQUEST, headers: KEY('invoice-4712') }, 202);
    return answer(
      'request-offboarding',
      { body: { ...REQUEST, reason: 'another' }, headers: KEY('invoice-4712') },
      422,
    );
  },

  'get-offboarding.200': async () => {
    await offboard();
    return answer('get-offboarding', {}, 200);
  },
  'get-offboarding.200.none': () => answer('get-offboarding', {}, 200),
  'get-offboarding.200.record': async () => {
    await offboard();
    service.tenant.addFaults({ ...LIMIT, times: 9 });
    const ofRecord = await answer('get-offboarding', {}, 200);
    // Its container remembers the limit.
    service.functionNamed('get-offboarding').kill();
    return ofRecord;
  },
  'get-offboarding.400.invalid_path': () => answer('get-offboarding', { organization: 'acme' }, 400),
  'get-offboarding.404.unknown_organization': () => answer('get-offboarding', { organization: NOBODY }, 404),

  'cancel-offboarding.200': async () => {
    await offboard();
    return answer('cancel-offboarding', { query: WHY }, 200);
  },
  'cancel-offboarding.200.watch_ended': async () => {
    await offboard({ action: 'disable', ...OF });
    return answer('cancel-offboarding', { query: WHY }, 200);
  },
  'cancel-offboarding.202': async () => {
    await offboard();
    // Longer than this request waits, and no longer than the worker does in the next scenario.
    service.tenant.addFaults({ ...LIMIT, headers: { 'retry-after': '5' }, times: 9 });
    return answer('cancel-offboarding', { remaining: 4000 }, 202);
  },
  'cancel-offboarding.400.invalid_path': () => answer('cancel-offboarding', { organization: 'acme' }, 400),
  'cancel-offboarding.400.invalid_query': () => answer('cancel-offboarding', { query: { force: 'true' } }, 400),
  'cancel-offboarding.400.rejected_by_auth0': async () => {
    await offboard();
    return withAuth0({ ...REJECTED, method: 'PATCH' }, 400)('cancel-offboarding');
  },
  'cancel-offboarding.404.not_found': () => answer('cancel-offboarding', {}, 404),
  'cancel-offboarding.409.conflict': async () => {
    await offboard();
    service.tenant.addFaults({ method: 'DELETE', delay: 3000, times: 9 });
    await service.makeDue();
    const status = async () => (await answer('get-offboarding', {}, 200)).status;
    await expect.poll(status).toBe('removing');
    return answer('cancel-offboarding', { remaining: 5000 }, 409);
  },
  'cancel-offboarding.502.forbidden_by_auth0': async () => {
    await offboard();
    return withAuth0({ ...FORBIDDEN, method: 'PATCH' }, 502)('cancel-offboarding');
  },

  'request-offboardings.body': async () => BATCH,
  'request-offboardings.202': () => answer('request-offboardings', { body: BATCH }, 202),
  'request-offboardings.202.replayed': async () => {
    await answer('request-offboardings', { body: BATCH, headers: KEY('reseller-17') }, 202);
    return answer('request-offboardings', { body: BATCH, headers: KEY('reseller-17') }, 202);
  },
  'request-offboardings.400.invalid_header': () =>
    answer('request-offboardings', { body: BATCH, headers: KEY('reseller 17') }, 400),
  'request-offboardings.400.invalid_body': () => answer('request-offboardings', { body: '[' }, 400),
  'request-offboardings.422.invalid_body': () =>
    answer('request-offboardings', { body: { ...BATCH, organization_ids: [] } }, 422),
  'request-offboardings.422.idempotency_key_reused': async () => {
    await answer('request-offboardings', { body: BATCH, headers: KEY('reseller-18') }, 202);
    return answer('request-offboardings', { body: { ...BATCH, action: 'remove' }, headers: KEY('reseller-18') }, 422);
  },

  'list-offboardings.200': async () => {
    await offboard();
    return answer('list-offboardings', { query: { organization_id: ORG } }, 200);
  },
  'list-offboardings.200.batch': async () => {
    const { batch_id } = await answer('request-offboardings', { body: { ...BATCH, organization_ids: [ORG] } }, 202);
    const query = { batch_id: String(batch_id) };
    const page = () => answer('list-offboardings', { query }, 200);
    await expect.poll(async () => (await page()).counts, { timeout: 20_000 }).toMatchObject({ completed: 1 });
    await service.worker.idle();
    return page();
  },
  'list-offboardings.200.status': async () => {
    await offboard({ action: 'disable', connection_ids: [CON], ...OF });
    return answer('list-offboardings', { query: { status: 'completed', limit: '1' } }, 200);
  },
  'list-offboardings.400.invalid_query': () => answer('list-offboardings', { query: {} }, 400),
  'list-offboardings.400.invalid_query.cursor': () =>
    answer('list-offboardings', { query: { status: 'failed', cursor: 'e30.c2lnbmVk' } }, 400),

  'cancel-offboardings.202': async () => {
    const { batch_id } = await answer('request-offboardings', { body: { ...REQUEST, organization_ids: [ORG, OTHER] } });
    await published('organization.offboarding.scheduled');
    await service.worker.idle();
    return answer('cancel-offboardings', { query: { batch_id: String(batch_id), ...WHY } }, 202);
  },
  'cancel-offboardings.400.invalid_query': () => answer('cancel-offboardings', { query: { batch_id: '17' } }, 400),
  'cancel-offboardings.404.not_found': () =>
    answer('cancel-offboardings', { query: { batch_id: '7c0a3a52-36a5-4c8e-9f0b-6c1a7e0f3d21' } }, 404),
};

function publishCancellation() {
  const type = 'organization.offboarding.cancellation_requested';
  return service.publish({}, { 'detail-type': type, detail: { organization_id: ORG, ...WHY } });
}

/** Events, by the key of their message. A scenario of a request also waits for what the service does with it. */
export const EVENTS: Record<string, () => Promise<unknown>> = {
  requested: async () => {
    const event = service.publish({ ...REQUEST, connection_ids: [CON] });
    expect((await service.outcome(event.id))['detail-type']).toBe('organization.offboarding.scheduled');
    return event;
  },
  cancellation_requested: async () => {
    await offboard();
    const event = publishCancellation();
    await published('organization.offboarding.cancelled');
    return event;
  },
  superseded: async () => {
    await offboard();
    await offboard({ ...REQUEST, grace_period: 'P20D' });
    return published('organization.offboarding.superseded');
  },
  scheduled: () => offboard(),
  removal_upcoming: async () => {
    await offboard({ ...REQUEST, grace_period: 'P2D' });
    await service.pass(25 * 3_600_000);
    await service.sweep();
    return published('organization.offboarding.removal_upcoming');
  },
  completed: () => offboard({ action: 'remove', connection_ids: [CON], ...OF }),
  failed: () => {
    service.tenant.addFaults({ ...FORBIDDEN, method: 'PATCH', path: CON2, times: 99 });
    return offboard({ action: 'disable', ...OF });
  },
  cancelled: async () => {
    await offboard();
    await answer('cancel-offboarding', { query: WHY }, 200);
    return published('organization.offboarding.cancelled');
  },
  cancellation_failed: async () => {
    publishCancellation();
    return published('organization.offboarding.cancellation_failed');
  },
  drifted: async () => {
    await offboard({ action: 'disable', on_reenable: 'disable_again', ...OF });
    // A list of Auth0's may be some seconds old: what was enabled at once is noticed later.
    await service.pass(60_000);
    service.tenant.enableConnection(ORG, CON);
    return published('organization.offboarding.drifted');
  },
  watch_ended: async () => {
    await offboard({ action: 'disable', ...OF });
    await answer('cancel-offboarding', { query: WHY });
    return published('organization.offboarding.watch_ended');
  },
  sessions_ended: async () => {
    service.tenant.addMembers(ORG, ['auth0|maria', 'auth0|joe', 'auth0|ann']);
    service.tenant.addMembers(OTHER, ['auth0|ann']);
    await offboard({ action: 'disable', end_sessions: true, ...OF });
    return published('organization.offboarding.sessions_ended');
  },
  connection_disabled: async () => {
    await answer('disable-connection', {}, 200);
    return published('connection.disabled');
  },
  connection_removed: async () => {
    await answer('remove-connection', {}, 204);
    return published('connection.removed');
  },
};
