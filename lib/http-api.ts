import { randomUUID } from 'node:crypto';
import middy from '@middy/core';
import httpJsonBodyParser from '@middy/http-json-body-parser';
import type { APIGatewayProxyEventV2WithIAMAuthorizer, APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda';
import * as v from 'valibot';
import { requestDeadline, withDeadline } from './deadline.ts';
import { ConnectionId, CorrelationId, OrganizationId } from './ids.ts';
import { describeIssues } from './json.ts';
import { createLog, describeError, workMetrics } from './log.ts';
import type { Calls } from './management-api.ts';
import { asProblem, Problem } from './problem.ts';
import { createPacer } from './rate-limit.ts';

/** A call that ends at the deadline needs a moment to say so. */
const GRACE_MS = 200;

/** What a route gets: validated ids, the parsed body, who calls, and the deadline and log that its calls of Auth0 need. */
export type HttpRequest = ReturnType<typeof describe> & { body: unknown };

/** What a route answers; the body is left out for an empty one. */
export type HttpResponse = { status: number; body?: object };

type Route = (request: HttpRequest) => Promise<HttpResponse>;

type GatewayEvent = APIGatewayProxyEventV2WithIAMAuthorizer;
type GatewayResponse = APIGatewayProxyStructuredResultV2;
/** The gateway's event with what was made of it, as it goes from one step of the pipeline to the next. */
type PipelineEvent = GatewayEvent & { request: ReturnType<typeof describe> };
type Step = middy.Request<PipelineEvent, GatewayResponse, Error, Context>;

/**
 * A Lambda handler for a route of the HTTP API (payload 2.0) around `route`, which does the job; `options` say whether its path
 * names an organization and a connection, and whether it takes a JSON body.
 *
 * Path ids are validated before anything else, the body is parsed after them. Whatever is thrown becomes a problem
 * response (RFC 9457); every response carries `x-request-id` and the caller's `x-correlation-id`; each request leaves
 * one log line that holds its metrics, too.
 */
export function httpApi(route: Route, options: { organization?: true; connection?: true; body?: true } = {}) {
  // Calls of Auth0 keep to the deadline by themselves; this is for what an AWS service may add to them.
  const late = () => new Problem('internal_error', 'A service that the request needs did not answer in time');
  return middy<PipelineEvent, GatewayResponse>({ timeoutEarlyInMillis: 0 })
    .use(requestAndResponse)
    .before(({ event: { request, body } }) => {
      if (options.organization && !v.is(OrganizationId, request.organizationId)) throw invalidPath('organization_id');
      if (request.idempotencyKey !== undefined && !v.is(CorrelationId, request.idempotencyKey))
        throw new Problem('invalid_header', 'Idempotency-Key must be 1 to 128 visible ASCII characters');
      if (options.connection && !v.is(ConnectionId, request.connectionId)) throw invalidPath('connection_id');
      if (options.body && !body) throw new Problem('invalid_body', 'The body is missing');
    })
    .use(options.body ? httpJsonBodyParser() : [])
    .handler(async ({ request, body: parsed }: PipelineEvent) => {
      const working = route({ ...request, body: parsed });
      const { status, body } = await withDeadline(request.calls.deadline + GRACE_MS, working, late);
      const json = body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
      return { statusCode: status, ...json };
    });
}

const invalidPath = (parameter: 'organization_id' | 'connection_id') => {
  const shape = `${parameter.slice(0, 3)}_ followed by letters and digits, 50 characters at most`;
  return new Problem('invalid_path', `${parameter} must be ${shape}`);
};

/** The outermost step: what the request is before the others see it, and the one place that completes responses. */
const requestAndResponse = {
  before(step: Step) {
    // Names in lower case, as HTTP API sends them and as other senders of this event may not; values that are text.
    const texts = Object.entries(step.event?.headers ?? {}).filter(([, value]) => typeof value === 'string');
    const headers = Object.fromEntries(texts.map(([name, value]) => [name.toLowerCase(), value]));
    step.event = { ...step.event, headers, request: describe({ ...step.event, headers }, step.context) };
  },

  after: (step: Step) => complete(step, 'ok'),

  onError(step: Step) {
    const problem = asProblem(fromBodyParser(step.error));
    const { requestId, calls } = step.event.request;
    // A fault of this service or of its surroundings has a cause worth reading; a caller's mistake has none.
    if (problem.status >= 500) calls.log.error(problem.code, { error: describeError(problem) });
    const retry = problem.retryAfter !== undefined && { 'retry-after': String(problem.retryAfter) };
    const headers = { 'content-type': 'application/problem+json', ...retry };
    step.response = { statusCode: problem.status, headers, body: JSON.stringify(problem.toMembers(requestId)) };
    complete(step, problem.code);
  },
};

function describe(event: GatewayEvent, context: Context) {
  const { requestContext, pathParameters, headers } = event;
  const ids = [requestContext?.requestId, context.awsRequestId];
  const requestId = ids.find((id) => v.is(CorrelationId, id)) ?? randomUUID();
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
  const { http, authorizer } = requestContext ?? {};
  const deadline = requestDeadline(context.getRemainingTimeInMillis?.());
  return {
    /** Empty on routes that have none, as is the connection's. */
    organizationId,
    connectionId,
    requestId,
    correlationId,
    /** The ARN of the IAM identity that signed the request, and its AWS account. */
    caller: authorizer?.iam?.userArn,
    account: authorizer?.iam?.accountId ?? 'unknown',
    /** Method and path, as they were called. */
    route: `${http?.method} ${event.rawPath}`,
    query: event.queryStringParameters ?? {},
    // What may be sent again without harm anyway takes no key.
    idempotencyKey: http?.method === 'POST' ? headers['idempotency-key'] : undefined,
    calls: { started: Date.now(), deadline, log, pacer: createPacer(0), statuses: [], auth0Ms: 0 } as Calls,
  };
}

/** Adds the ids to the response, and writes the request's log line. */
function complete(step: Step, outcome: string) {
  const { requestId, correlationId, caller, calls } = step.event.request;
  const { statusCode: status = 500, headers } = step.response ?? {};
  const ids = { 'x-request-id': requestId, ...(correlationId && { 'x-correlation-id': correlationId }) };
  step.response = { ...step.response, headers: { ...headers, ...ids } };
  const metrics = { Requests: 1, Faults: status >= 500 ? 1 : 0, ...workMetrics(calls) };
  const fields = { status, caller, auth0_statuses: calls.statuses };
  calls.log.metrics('request_answered', metrics, fields, ['outcome', outcome]);
}

/** The body parser's refusals in the contract's terms: 400 for what is not JSON, 422 for JSON with a forbidden key. */
function fromBodyParser(error: unknown): unknown {
  const { statusCode, message, cause } = Object(error);
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
