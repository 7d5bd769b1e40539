import { randomUUID } from 'node:crypto';
import middy from '@middy/core';
import httpJsonBodyParser from '@middy/http-json-body-parser';
import type { APIGatewayProxyEventV2WithIAMAuthorizer, APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda';
import * as v from 'valibot';
import { CorrelationId } from './correlation-id.ts';
import { before, requestDeadline } from './deadline.ts';
import { describeIssues } from './json.ts';
import { createLog, describeError, isColdStart } from './log.ts';
import { type Calls, ConnectionId, OrganizationId } from './management-api.ts';
import { auth0Metrics } from './metrics.ts';
import { asProblem, Problem } from './problem.ts';

/** A call that ends at the deadline needs a moment to say so. */
const GRACE_MS = 200;

/** What a route gets: validated ids, the parsed body, who calls, and the deadline and log that its calls of Auth0 need. */
export interface HttpRequest {
  /** Empty on routes that have none, as is the connection's. */
  organizationId: string;
  connectionId: string;
  body: unknown;
  query: Record<string, string | undefined>;
  /** Method and path, as they were called. */
  route: string;
  /** The caller's AWS account. */
  account: string;
  idempotencyKey: string | undefined;
  requestId: string;
  correlationId: string | undefined;
  /** The ARN of the IAM identity that signed the request. */
  caller: string | undefined;
  calls: Calls;
}

export interface HttpResponse {
  status: number;
  /** Left out for an empty body. */
  body?: object;
}

interface RouteOptions {
  /** The path names an organization, or a connection, too. */
  organization?: boolean;
  connection?: boolean;
  /** The route takes a JSON body. */
  body?: boolean;
}

type GatewayEvent = APIGatewayProxyEventV2WithIAMAuthorizer;

/** The gateway's event with what was made of it, as it goes from one step of the pipeline to the next. */
interface PipelineEvent extends GatewayEvent {
  request: Omit<HttpRequest, 'body'> & { started: number; coldStart: boolean };
}
type Step = middy.Request<PipelineEvent, APIGatewayProxyStructuredResultV2 | HttpResponse, Error, Context>;

/**
 * A Lambda handler for a route of the HTTP API (payload 2.0) around `route`, which does the job.
 *
 * Path ids are validated before anything else, the body is parsed after them. Whatever is thrown becomes a problem
 * response (RFC 9457); every response carries `x-request-id` and the caller's `x-correlation-id`; each request leaves
 * one log line that holds its metrics, too.
 */
export function httpApi(route: (request: HttpRequest) => Promise<HttpResponse>, options: RouteOptions = {}) {
  const pipeline = middy<PipelineEvent, APIGatewayProxyStructuredResultV2 | HttpResponse>({ timeoutEarlyInMillis: 0 })
    .use(requestAndResponse)
    .before(({ event }) => {
      const { organizationId, connectionId, idempotencyKey } = event.request;
      if (options.organization && !v.is(OrganizationId, organizationId)) throw invalidPath('organization_id', 'org_');
      if (idempotencyKey !== undefined && !v.is(CorrelationId, idempotencyKey))
        throw new Problem('invalid_header', 'Idempotency-Key must be 1 to 128 visible ASCII characters');
      if (options.connection && !v.is(ConnectionId, connectionId)) throw invalidPath('connection_id', 'con_');
    });
  if (options.body) {
    pipeline.before(({ event }) => {
      if (typeof event.body !== 'string' || event.body === '') throw new Problem('invalid_body', 'The body is missing');
    });
    pipeline.use(httpJsonBodyParser());
  }
  // Calls of Auth0 keep to the deadline by themselves; this is for what an AWS service may add to them.
  const late = () => new Problem('internal_error', 'A service that the request needs did not answer in time');
  return pipeline.handler(({ request, body }: PipelineEvent) =>
    before(request.calls.deadline + GRACE_MS, route({ ...request, body }), late),
  );
}

/** The outermost step: what the request is before the others see it, and the one place that makes responses. */
const requestAndResponse = {
  before(step: Step) {
    const event = { ...step.event, headers: lowerCased(step.event?.headers) };
    step.event = { ...event, request: describe(event, step.context) };
  },

  after(step: Step) {
    const { status, body } = step.response as HttpResponse;
    answer(step, 'ok', {
      statusCode: status,
      ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
  },

  onError(step: Step) {
    const problem = asProblem(fromBodyParser(step.error));
    const { requestId, calls } = step.event.request;
    // A fault of this service or of its surroundings has a cause worth reading; a caller's mistake has none.
    if (problem.status >= 500) calls.log.error(problem.code, { error: describeError(problem) });
    answer(step, problem.code, {
      statusCode: problem.status,
      headers: {
        'content-type': 'application/problem+json',
        ...(problem.retryAfter !== undefined && { 'retry-after': String(problem.retryAfter) }),
      },
      body: JSON.stringify(problem.toMembers(requestId)),
    });
  },
};

function describe(event: GatewayEvent, context: Context): PipelineEvent['request'] {
  const { requestContext, pathParameters, headers, rawPath } = event;
  const ids = [requestContext?.requestId, context.awsRequestId].filter((id) => v.is(CorrelationId, id));
  const requestId = ids[0] ?? randomUUID();
  const correlationId = v.is(CorrelationId, headers['x-correlation-id']) ? headers['x-correlation-id'] : undefined;
  const organizationId = String(pathParameters?.organization_id ?? '');
  const connectionId = String(pathParameters?.connection_id ?? '');
  const log = createLog({
    request_id: requestId,
    correlation_id: correlationId,
    // What is not an id is cut short: it is the caller's text.
    organization_id: organizationId.slice(0, 50) || undefined,
    connection_id: connectionId.slice(0, 50) || undefined,
  });
  return {
    organizationId,
    connectionId,
    requestId,
    correlationId,
    caller: requestContext?.authorizer?.iam?.userArn,
    account: requestContext?.authorizer?.iam?.accountId ?? 'unknown',
    route: `${requestContext?.http?.method} ${rawPath}`,
    query: event.queryStringParameters ?? {},
    // What may be sent again without harm anyway takes no key.
    idempotencyKey: requestContext?.http?.method === 'POST' ? headers['idempotency-key'] : undefined,
    started: Date.now(),
    coldStart: isColdStart(),
    calls: { deadline: requestDeadline(context.getRemainingTimeInMillis?.()), log, statuses: [], auth0Ms: 0 },
  };
}

function answer(step: Step, outcome: string, response: APIGatewayProxyStructuredResultV2) {
  const { requestId, correlationId, caller, calls, started, coldStart } = step.event.request;
  const status = response.statusCode as number;
  step.response = {
    ...response,
    headers: {
      ...response.headers,
      'x-request-id': requestId,
      ...(correlationId && { 'x-correlation-id': correlationId }),
    },
  };
  calls.log.metrics(
    'request_answered',
    {
      Requests: [1, 'Count'],
      Faults: [status >= 500 ? 1 : 0, 'Count'],
      Latency: [Date.now() - started, 'Milliseconds'],
      ColdStarts: [coldStart ? 1 : 0, 'Count'],
      ...auth0Metrics(calls),
    },
    { status, caller, auth0_statuses: calls.statuses },
    ['outcome', outcome],
  );
}

/** Header names in lower case, as HTTP API sends them and as other senders of this event may not; values that are text. */
function lowerCased(headers: GatewayEvent['headers'] | undefined): Record<string, string> {
  const entries = Object.entries(headers ?? {}).filter(([, value]) => typeof value === 'string');
  return Object.fromEntries(entries.map(([name, value]) => [name.toLowerCase(), value as string]));
}

const invalidPath = (parameter: string, prefix: string) =>
  new Problem('invalid_path', `${parameter} must be ${prefix} followed by letters and digits, 50 characters at most`);

/** The body parser's refusals in the contract's terms: 400 for what is not JSON, 422 for JSON with a forbidden key. */
function fromBodyParser(error: unknown): unknown {
  const { statusCode, message, cause } = (error ?? {}) as {
    statusCode?: number;
    message?: string;
    cause?: { package?: string };
  };
  if (cause?.package !== '@middy/http-json-body-parser') return error;
  if (statusCode === 415) return new Problem('unsupported_media_type', 'The content type must be application/json');
  return message?.startsWith('Forbidden key')
    ? new Problem('invalid_body', 'The body has a member that is not taken', { status: 422 })
    : new Problem('invalid_body', 'The body is not JSON');
}

/** The body as `schema` has it; throws `invalid_body` (422) with the members that are wrong. */
export function parseBody<S extends v.GenericSchema>(schema: S, body: unknown): v.InferOutput<S> {
  const parsed = v.safeParse(schema, body);
  if (parsed.success) return parsed.output;
  throw new Problem('invalid_body', describeIssues(parsed.issues, 'body'), { status: 422 });
}
