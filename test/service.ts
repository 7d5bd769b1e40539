// The service under test: the packaged bundles between the stand-ins of Auth0 and AWS. They run in the test's own process, or, for
// what only a process can show, each in one of its own.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { APIGatewayProxyEventV2WithIAMAuthorizer, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import { expect } from 'vitest';
import { type LocalEnvironment, QUEUE, TABLE } from '../infra/local/environment.ts';
import type { LocalFunction } from '../infra/local/lambda.ts';
import type { Item } from '../lib/aws/table.ts';
import { BATCH } from '../lib/offboarding/model/batch.ts';
import { emptyOrganization, ORGANIZATION, type Organization } from '../lib/offboarding/model/organization.ts';
import type { OffboardingRecord } from '../lib/offboarding/model/record.ts';
import { dueOf } from '../lib/offboarding/rules/due-work.ts';
import { recordOf } from '../lib/offboarding/rules/projection.ts';
import { acceptedOf } from '../lib/offboarding/rules/requests.ts';
import { type Answer, assertDescribed, assertOutcome } from './contract.ts';
import { type EnvironmentOptions, startEnvironmentInProcess } from './in-process.ts';
import { changeItem, deleteItems, earlier, putItem, readItems } from './stored-items.ts';

export const ORG = 'org_bCE84ZIRjtX58FeO';
export const CON = 'con_PmFe8KxCsPJvZRrj';
const CALLER = 'arn:aws:sts::000000000000:assumed-role/billing-service/session';
const ROUTES: Record<string, [method: string, path: string]> = {
  'disable-connection': ['PATCH', '/organizations/{organization_id}/connections/{connection_id}'],
  'remove-connection': ['DELETE', '/organizations/{organization_id}/connections/{connection_id}'],
  'request-offboarding': ['POST', '/organizations/{organization_id}/offboarding'],
  'request-offboardings': ['POST', '/offboardings'],
  'list-offboardings': ['GET', '/offboardings'],
  'get-offboarding': ['GET', '/organizations/{organization_id}/offboarding'],
  'cancel-offboarding': ['DELETE', '/organizations/{organization_id}/offboarding'],
  'cancel-offboardings': ['DELETE', '/offboardings'],
};

let organizations = 0;
/** The id of an organization that no other test of this process has. */
export const newOrganization = () => `org_Case${String(++organizations).padStart(12, '0')}`;

export interface RequestOptions {
  organization?: string;
  connection?: string;
  /** JSON, or text as it is. */
  body?: unknown;
  headers?: Record<string, string>;
  query?: Record<string, string>;
  callerArn?: string;
  /** Milliseconds that Lambda has left. */
  remaining?: number;
  /** Who answers, where it is not the function's one warm container. */
  container?: LocalFunction;
  /** Changes to the gateway's event. */
  event?: object;
}

/** An event as API Gateway's HTTP API sends it (payload 2.0, IAM authorization). */
export function gatewayEvent(name: string, options: RequestOptions = {}): APIGatewayProxyEventV2WithIAMAuthorizer {
  const [method = '', route = ''] = ROUTES[name] ?? [];
  const { organization = ORG, connection = CON, callerArn = CALLER, body } = options;
  const defaults = name === 'disable-connection' ? { is_enabled: false } : undefined;
  const content = Object.hasOwn(options, 'body') ? body : defaults;
  const path = route.replace('{organization_id}', organization).replace('{connection_id}', connection);
  return {
    version: '2.0',
    routeKey: `${method} ${route}`,
    rawPath: path,
    rawQueryString: '',
    headers: {
      accept: '*/*',
      'content-length': '0',
      host: 'abc123.execute-api.us-east-1.amazonaws.com',
      'x-amz-date': '20261124T090000Z',
      'x-forwarded-for': '192.0.2.1',
      'x-forwarded-proto': 'https',
      ...(content !== undefined && { 'content-type': 'application/json' }),
      ...options.headers,
    },
    ...(options.query && { queryStringParameters: options.query }),
    pathParameters: {
      ...(route.includes('{organization_id}') && { organization_id: organization }),
      ...(route.includes('{connection_id}') && { connection_id: connection }),
    },
    requestContext: {
      accountId: '000000000000',
      apiId: 'abc123',
      authentication: null,
      authorizer: {
        iam: {
          accessKey: 'ASIAEXAMPLE',
          accountId: '000000000000',
          callerId: 'AROAEXAMPLE:billing',
          cognitoIdentity: null,
          principalOrgId: 'o-example',
          userArn: callerArn,
          userId: 'AROAEXAMPLE:billing',
        },
      },
      domainName: 'abc123.execute-api.us-east-1.amazonaws.com',
      domainPrefix: 'abc123',
      http: { method, path, protocol: 'HTTP/1.1', sourceIp: '192.0.2.1', userAgent: 'test' },
      requestId: randomUUID(),
      routeKey: `${method} ${route}`,
      stage: '$default',
      time: '24/Nov/2026:09:00:00 +0000',
      timeEpoch: 1795510800000,
    },
    isBase64Encoded: false,
    ...(content !== undefined && { body: typeof content === 'string' ? content : JSON.stringify(content) }),
    ...options.event,
  } as unknown as APIGatewayProxyEventV2WithIAMAuthorizer;
}

/** The outcome of each connection, of an outcome's detail or of an answer. */
export const outcomesOf = (detail: unknown) =>
  Object.fromEntries(
    (detail as { connections: { connection_id: string; outcome: string }[] }).connections.map((one) => [
      one.connection_id,
      one.outcome,
    ]),
  );

/** What a handler returned, as the caller sees it. */
export function answerOf(result: unknown): Answer {
  const { statusCode = 0, headers = {}, body } = (result ?? {}) as APIGatewayProxyStructuredResultV2;
  return {
    status: statusCode,
    headers: headers as Record<string, string>,
    body: body === undefined || body === '' ? undefined : JSON.parse(body),
  };
}

/** The organization with its lease over. */
const withoutLease = (item: Organization): Organization =>
  item.lease?.until ? { ...item, lease: { ...item.lease, until: 0 } } : item;

const PENDING = ['requested', 'working', 'removing', 'cancelling'];

export async function startService(options: EnvironmentOptions = {}) {
  const logs: string[] = [];
  const answers: string[] = [];
  const local: LocalEnvironment = await startEnvironmentInProcess({ ...options, onLog: (line) => logs.push(line) });
  const { tenant, aws } = local;
  process.env.OFFBOARDINGS_TABLE ??= TABLE;
  const items = await import('../lib/offboarding/store/items.ts');
  const isRecord = ({ offboarding_id }: Item) => ![ORGANIZATION, BATCH].includes(offboarding_id);
  const organizationIn = (all: Item[]): Organization | undefined => {
    const item = all.find(({ offboarding_id }) => offboarding_id === ORGANIZATION);
    return item && items.fromOrganizationItem(item);
  };
  /** Each offboarding as its organization's item has it, or as its record has it once it has left that. */
  const recordsOf = async (organization: string): Promise<OffboardingRecord[]> => {
    const all = await readItems(local, organization);
    const item = organizationIn(all) ?? emptyOrganization(organization);
    const records = new Map(all.filter(isRecord).map((one) => [one.offboarding_id, items.fromRecordItem(one)]));
    for (const one of acceptedOf(item))
      records.set(one.offboarding_id, recordOf(item, one, records.get(one.offboarding_id)));
    const order = ({ requested_at, offboarding_id }: OffboardingRecord) => `${requested_at} ${offboarding_id}`;
    return [...records.values()].sort((a, b) => (order(a) < order(b) ? -1 : 1));
  };
  /** Writes what a test makes of an organization. */
  const changeOrganization = (organization: string, change: (item: Organization) => Organization): Promise<void> =>
    changeItem(local, organization, (found) => {
      const item = organizationIn(found);
      const changed = item && change(item);
      if (!changed || changed === item) return undefined;
      const written = { ...changed, version: randomUUID() };
      return { item: items.toOrganizationItem(written, Date.now()), version: item.version };
    });
  const functions = new Map<string, LocalFunction>();
  const secrets = new Set(['local-client-secret-0123456789']);

  const isAnybodyBusy = (text?: string) =>
    local.worker.isBusy(text) || [...functions.values()].some(({ isBusy }) => isBusy(text));

  /** No minute is waited for until Auth0 cannot carry out any more what was cut off: leases of crashed workers are over. */
  async function endLeases(): Promise<void> {
    if (isAnybodyBusy()) return;
    // Whoever waits for a lease has a message that waits.
    const waiting = aws.messages(QUEUE).flatMap(({ body }) => /"organization_id":"(\w+)"/.exec(body)?.[1] ?? []);
    for (const organization of new Set(waiting))
      await changeOrganization(organization, (item) => (isAnybodyBusy() ? item : withoutLease(item)));
  }

  const endLease = (organization: string) => changeOrganization(organization, withoutLease);

  const passForBatch = (batch_id: string, ms: number): Promise<void> =>
    changeItem(local, batch_id, ([found]) => {
      if (!found) return undefined;
      const batch = items.fromBatchItem(found);
      const shifted = { ...(earlier(batch, ms) as typeof batch), version: randomUUID() };
      return { item: items.toBatchItem(shifted, Date.now()), version: batch.version };
    });
  function functionNamed(name: string): LocalFunction {
    const found = functions.get(name) ?? local.functionNamed(name);
    functions.set(name, found);
    return found;
  }
  const ownContainers: LocalFunction[] = [];

  return {
    ...local,
    logs,
    /** Log lines with this code. */
    logged: (code: string) => logs.filter((line) => line.includes(`"code":"${code}"`)).map((line) => JSON.parse(line)),
    functionNamed,
    /** A container that only one test asks: it remembers nothing of the tenant's limit but what that test makes it meet. */
    container(name: string): LocalFunction {
      const container = local.functionNamed(name);
      ownContainers.push(container);
      return container;
    },
    /** What must never be seen outside; everything in it is looked for when the service is closed. */
    secrets,

    /** A request of the HTTP API, in a warm container; its answer is checked against the OpenAPI description. */
    async request(name: string, { remaining = 29_000, container, ...rest }: RequestOptions = {}): Promise<Answer> {
      const result = await (container ?? functionNamed(name)).invoke(gatewayEvent(name, rest), remaining);
      answers.push(JSON.stringify(result));
      const answer = answerOf(result);
      assertDescribed(name, answer);
      return answer;
    },

    /** Puts a request on the bus; resolves to its event. */
    publish(detail: object, envelope: object = {}) {
      const event = {
        version: '0',
        id: randomUUID(),
        'detail-type': 'organization.offboarding.requested',
        source: 'billing',
        account: '000000000000',
        // EventBridge's have whole seconds; of two within one the id decides, so tests of that say the time themselves.
        time: new Date().toISOString(),
        region: 'us-east-1',
        resources: [],
        detail: { organization_id: ORG, requested_by: 'billing-service', reason: 'contract ended', ...detail },
        ...envelope,
      };
      aws.publish(event);
      return event;
    },

    /** Resolves to the outcome event of the request `id`. */
    outcome: (id: string, outcome?: string) =>
      local.event(
        (event) =>
          event.source === 'org-connections' &&
          (event.detail.request as { id?: string } | null)?.id === id &&
          (!outcome || event['detail-type'].endsWith(outcome)),
      ),

    /** Has whatever waits in the queue be due now, and lets the leases of who is gone run out: no test waits for minutes. */
    async hurry() {
      await endLeases();
      for (const message of aws.messages(QUEUE)) if (!message.inFlight) message.visibleAt = 0;
      aws.wake(QUEUE);
    },

    /** The outcome event of the request `id`, while nothing that waits is waited for. */
    async outcomeInAHurry(id: string, outcome?: string) {
      let isThere = false;
      const hurrying = (async () => {
        while (!isThere) {
          await this.hurry().catch(() => undefined);
          await sleep(100);
        }
      })();
      try {
        return await this.outcome(id, outcome);
      } finally {
        isThere = true;
        await hurrying;
      }
    },

    /** Nothing is in the queue any more, also of what was made to wait just now, and nobody is at work. */
    async settled() {
      for (const end = Date.now() + 60_000; aws.messages(QUEUE).length > 0 || local.worker.isBusy(); await sleep(100)) {
        if (Date.now() > end) throw new Error(`The queue is not done: ${aws.messages(QUEUE).map(({ body }) => body)}`);
        await this.hurry();
      }
    },

    /**
     * Hours go by, each with its sweep, until nothing is left to be done for the organization; others may go on. Leases run out
     * only when nobody is at work on it, a message of whom may be back in the queue, and Auth0 carries out nothing any more
     * (`from`: where the organization's calls begin).
     */
    async rest(organization: string, from = 0) {
      const HOUR_MS = 3_600_000;
      const isAuth0Busy = () =>
        tenant
          .calls()
          .slice(from)
          .some(({ path, status }) => status === 0 && path.includes(organization));
      const messages = () => aws.messages(QUEUE).filter(({ body }) => body.includes(organization));
      // What was sent by somebody who has just been killed is received by the next time.
      let quiet = 0;
      for (const end = Date.now() + 60_000; ; await sleep(15)) {
        if (Date.now() > end) {
          const left = { messages: messages(), item: await this.organization(organization), auth0: isAuth0Busy() };
          throw new Error(`${organization} does not come to rest: ${JSON.stringify(left)}`);
        }
        for (const message of messages()) if (!message.inFlight) message.visibleAt = 0;
        aws.wake(QUEUE);
        const isBusy = messages().some(({ inFlight }) => inFlight) || isAuth0Busy() || isAnybodyBusy(organization);
        quiet = isBusy ? 0 : quiet + 1;
        if (quiet < 2) continue;
        await this.endLease(organization);
        if (messages().length > 0) continue;
        const item = await this.organization(organization);
        // A lease of a crashed worker in whose organization nothing is left to do is nobody's.
        const { due_at } = dueOf(item);
        const isPending = acceptedOf(item).some(({ status }) => PENDING.includes(status));
        if (!isPending && !(due_at !== undefined && due_at <= new Date().toISOString())) return;
        await this.pass(HOUR_MS, organization);
        await local.checkByClock();
      }
    },

    /** The clock of the watch: whatever is overdue is found and done. */
    async sweep() {
      await local.checkByClock();
      await this.settled();
    },

    /** The organization's records, oldest first. */
    records: (organization = ORG) => recordsOf(organization),

    /** The organization's own item, which decides: lease, requests, ledger, outbox. */
    organization: async (organization = ORG): Promise<Organization> =>
      organizationIn(await readItems(local, organization)) ?? emptyOrganization(organization),

    /** Time passes: all that is stored of the organization was `ms` ago; what somebody writes meanwhile stays as it is. */
    async pass(ms: number, organization = ORG) {
      const all = await readItems(local, organization);
      const item = organizationIn(all);
      if (all.some(({ offboarding_id }) => offboarding_id === BATCH)) await passForBatch(organization, ms);
      for (const batch of new Set(item?.requests.flatMap((one) => (one.batch ? [one.batch.id] : []))))
        await passForBatch(batch, ms);
      await changeOrganization(organization, (one) => earlier(one, ms) as Organization);
      for (const one of all.filter(isRecord)) {
        const shifted = earlier(items.fromRecordItem(one), ms) as OffboardingRecord;
        const expires_at = shifted.expires_at && shifted.expires_at - Math.round(ms / 1000);
        await putItem(local, items.toRecordItem({ ...shifted, expires_at }));
      }
    },

    /** Changes the organization's item behind the service's back. */
    changeOrganization,

    /** The lease of whoever worked on the organization is over: for tests that know that Auth0 carries out nothing late. */
    endLease: (organization: string): Promise<void> => endLease(organization),

    /** Between two tests: no fault is left, nothing is in the queue, and nobody is at work. */
    async startOver() {
      // A container remembers what it was told of the tenant's limit.
      if (tenant.calls().some(({ status }) => status === 429))
        for (const one of [local.worker, ...functions.values()]) one.kill();
      tenant.clearFaults();
      aws.clearFaults();
      // What a killed function had on its way is carried out all the same.
      const arrived = () => tenant.calls().every(({ status }) => status !== 0);
      for (const end = Date.now() + 3000; !arrived() && Date.now() < end; ) await sleep(20);
      aws.messages(QUEUE).splice(0);
      await local.worker.idle();
    },

    /** Deletes everything that is stored of the organization. */
    forget: (organization = ORG) => deleteItems(local, organization),

    /** The organization's scheduled removal is due now, and Scheduler says so. */
    async makeDue(organization = ORG) {
      const dates = (await recordsOf(organization)).flatMap(({ status, removal_due_at }) =>
        status === 'scheduled' && removal_due_at ? [Date.parse(removal_due_at)] : [],
      );
      if (dates.length > 0) await this.pass(Math.max(...dates) - Date.now() + 1000, organization);
      aws.fireAll(organization);
    },

    /** Whether each connection is enabled, as Auth0 has it; a removed one is not there. */
    enabled: (organization = ORG) =>
      Object.fromEntries(
        (tenant.state().organizations[organization] ?? []).map(({ connection_id, is_enabled }) => [
          connection_id,
          is_enabled,
        ]),
      ),

    /** Calls of the Management API since the last `tenant.clearCalls()`, without those of the rotation. */
    managementCalls: () =>
      tenant.calls().filter(({ path }) => path.startsWith('/api/v2/') && !path.includes('org_0000000000000000')),

    /** Ends everything; throws when a secret was seen anywhere outside, or when an event is not what its schema says. */
    async close() {
      for (const { authorization } of tenant.calls()) {
        const token = authorization.replace('Bearer ', '');
        if (token) secrets.add(token.split('.')[2] ?? token);
      }
      for (const one of [...functions.values(), ...ownContainers]) one.kill();
      await local.close();
      const seen = [...logs, ...answers, ...aws.events.map((event) => JSON.stringify(event))];
      for (const secret of secrets) {
        expect(
          seen.filter((text) => text.includes(secret)),
          'a secret was seen',
        ).toEqual([]);
      }
      // Lambda itself says in words that a function was ended.
      for (const line of logs.filter((one) => !one.startsWith('Task timed out after ')))
        expect(() => JSON.parse(line), `not a log line: ${line}`).not.toThrow();
      for (const event of aws.events) assertOutcome(event);
    },
  };
}

export type Service = Awaited<ReturnType<typeof startService>>;
