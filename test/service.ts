// The service under test: the packaged bundles, each in a process of its own, between the stand-ins of Auth0 and AWS.
import { randomUUID } from 'node:crypto';
import { DeleteItemCommand, QueryCommand } from '@aws-sdk/client-dynamodb';
import { marshall } from '@aws-sdk/util-dynamodb';
import type { APIGatewayProxyEventV2WithIAMAuthorizer, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import { expect } from 'vitest';
import { type LocalEnvironment, QUEUE, startEnvironment, TABLE } from '../infra/local/environment.ts';
import type { LocalFunction } from '../infra/local/lambda.ts';
import { type Answer, assertDescribed, assertOutcome } from './contract.ts';

export const ORG = 'org_bCE84ZIRjtX58FeO';
export const CON = 'con_PmFe8KxCsPJvZRrj';
const ROUTES: Record<string, [method: string, path: string]> = {
  'disable-connection': ['PATCH', '/organizations/{organization_id}/connections/{connection_id}'],
  'remove-connection': ['DELETE', '/organizations/{organization_id}/connections/{connection_id}'],
  'request-offboarding': ['POST', '/organizations/{organization_id}/offboarding'],
  'request-offboardings': ['POST', '/offboardings'],
  'list-offboardings': ['GET', '/offboardings'],
  'get-offboarding': ['GET', '/organizations/{organization_id}/offboarding'],
  'cancel-offboarding': ['DELETE', '/organizations/{organization_id}/offboarding'],
};

export interface RequestOptions {
  organization?: string;
  connection?: string;
  /** JSON, or text as it is. */
  body?: unknown;
  headers?: Record<string, string>;
  query?: Record<string, string>;
  /** Milliseconds that Lambda has left. */
  remaining?: number;
  /** Changes to the gateway's event. */
  event?: object;
}

/** An event as API Gateway's HTTP API sends it (payload 2.0, IAM authorization). */
export function gatewayEvent(name: string, options: RequestOptions = {}): APIGatewayProxyEventV2WithIAMAuthorizer {
  const [method = '', route = ''] = ROUTES[name] ?? [];
  const { organization = ORG, connection = CON, body } = options;
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
          userArn: 'arn:aws:sts::000000000000:assumed-role/billing-service/session',
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

/** What a handler returned, as the caller sees it. */
export function answerOf(result: unknown): Answer {
  const { statusCode = 0, headers = {}, body } = (result ?? {}) as APIGatewayProxyStructuredResultV2;
  return {
    status: statusCode,
    headers: headers as Record<string, string>,
    body: body === undefined || body === '' ? undefined : JSON.parse(body),
  };
}

export async function startService(options: Parameters<typeof startEnvironment>[0] = {}) {
  const logs: string[] = [];
  const answers: string[] = [];
  const local: LocalEnvironment = await startEnvironment({ ...options, onLog: (line) => logs.push(line) });
  const { tenant, aws } = local;
  process.env.OFFBOARDINGS_TABLE ??= TABLE;
  const { byTime, fromItem, whereEqual } = await import('../lib/offboarding-record.ts');
  const recordsOf = async (organization: string) => {
    const query = { TableName: TABLE, ConsistentRead: true, ...whereEqual('organization_id', organization) };
    const { Items = [] } = await local.dynamoDb.send(new QueryCommand(query));
    return Items.map(fromItem).sort(byTime);
  };
  const functions = new Map<string, LocalFunction>();
  const secrets = new Set(['local-client-secret-0123456789']);

  function functionNamed(name: string): LocalFunction {
    const found = functions.get(name) ?? local.functionNamed(name);
    functions.set(name, found);
    return found;
  }

  return {
    ...local,
    logs,
    /** Log lines with this code. */
    logged: (code: string) => logs.filter((line) => line.includes(`"code":"${code}"`)).map((line) => JSON.parse(line)),
    functionNamed,
    /** What must never be seen outside; everything in it is looked for when the service is closed. */
    secrets,

    /** A request of the HTTP API, in a warm container; its answer is checked against the OpenAPI description. */
    async request(name: string, { remaining = 29_000, ...rest }: RequestOptions = {}): Promise<Answer> {
      const result = await functionNamed(name).invoke(gatewayEvent(name, rest), remaining);
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
        time: '2026-11-24T09:00:00Z',
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

    /** Has whatever waits in the queue be due now: no test waits for minutes. */
    hurry() {
      for (const message of aws.messages(QUEUE)) if (!message.inFlight) message.visibleAt = 0;
      aws.wake(QUEUE);
    },

    /** The organization's records, oldest first. */
    records: (organization = ORG) => recordsOf(organization),

    /** Between two tests: no fault is left, nothing is in the queue, and nobody is at work. */
    async startOver() {
      tenant.clearFaults();
      aws.clearFaults();
      aws.messages(QUEUE).splice(0);
      await local.worker.idle();
    },

    /** Deletes the organization's records. */
    async forget(organization = ORG) {
      for (const { organization_id, offboarding_id } of await recordsOf(organization)) {
        const Key = marshall({ organization_id, offboarding_id });
        await local.dynamoDb.send(new DeleteItemCommand({ TableName: TABLE, Key }));
      }
    },

    /** Has the organization's scheduled removals be due now, and Scheduler say so. */
    async makeDue(organization = ORG) {
      const removal_due_at = `${new Date().toISOString().slice(0, 19)}Z`;
      for (const { status, offboarding_id } of await recordsOf(organization))
        if (status === 'scheduled') await local.changeRecord(organization, offboarding_id, { removal_due_at });
      aws.fireAll(organization);
    },

    /** Makes the organization's records `days` older. */
    async age(days: number, organization = ORG) {
      const created_at = new Date(Date.now() - days * 86_400_000).toISOString();
      for (const { offboarding_id } of await recordsOf(organization))
        await local.changeRecord(organization, offboarding_id, { created_at });
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
      for (const one of functions.values()) one.kill();
      await local.close();
      const seen = [...logs, ...answers, ...aws.events.map((event) => JSON.stringify(event))];
      for (const secret of secrets) {
        expect(
          seen.filter((text) => text.includes(secret)),
          'a secret was seen',
        ).toEqual([]);
      }
      for (const line of logs) expect(() => JSON.parse(line), `not a log line: ${line}`).not.toThrow();
      for (const event of aws.events) assertOutcome(event);
    },
  };
}

export type Service = Awaited<ReturnType<typeof startService>>;
