import { randomUUID } from 'node:crypto';
import middy from '@middy/core';
import httpJsonBodyParser from '@middy/http-json-body-parser';
import type { APIGatewayProxyEventV2WithIAMAuthorizer, APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda';
import * as v from 'valibot';
import { createCallContext, workFields, workMetrics } from '../auth0/call-context.ts';
import { createPacer, HEADROOM } from '../auth0/rate-limit.ts';
import { requestDeadline, withDeadline } from '../deadline.ts';
import { ConnectionId, CorrelationId, OrganizationId } from '../ids.ts';
import { parseOr } from '../json.ts';
import { createLog, describeError } from '../log.ts';
import { asProblem, Problem } from '../problem.ts';

/** A call that ends at the deadline needs a moment to say so. */
const GRACE_MS = 200;
/**
 * How a route shares the tenant's limit, however many callers it has. One pacer for all requests of a container: a pacer that knows
 * one request alone asks Auth0 anew each time, and one that leaves tokens to the worker gives way to it. A request waits for the
 * limit as long as its deadline allows; only then it is answered 429, with the rest of the wait in `Retry-After`. Without a 429 of
 * Auth0's no request waits for longer than the headroom takes to come in at the slowest limit.
 */
const PACE = { pacer: createPacer(HEADROOM.route, 10_000), maxRateLimited: Number.POSITIVE_INFINITY };
const ID_SHAPE = 'followed by letters and digits, 50 characters at most';

/** What a route gets: validated ids, the parsed body, who calls, and the deadline and log that its calls of Auth0 need. */
export type HttpRequest = ReturnType<typeof readRequest> & { body: unknown };

/** What a route answers; the body is left out for an empty one. */
export type HttpResponse = { status: number; body?: object };

interface Options {
  /** Whether the path names an organization and a connection, and whether the route takes a JSON body and a query of its own. */
  organization?: true;
  connection?: true;
  body?: true;
  query?: true;
}

type GatewayEvent = APIGatewayProxyEventV2WithIAMAuthorizer;
type GatewayResponse = APIGatewayProxyStructuredResultV2;
/** The gateway's event with what was made of it, as it goes from one step of the pipeline to the next. */
type PipelineEvent = GatewayEvent & { request: ReturnType<typeof readRequest> };
type Step = middy.Request<PipelineEvent, GatewayResponse, Error, Context>;

/**
 * A Lambda handler for a route of the HTTP API (payload 2.0) around `route`, which does the job.
 *
 * Path ids are validated before anything else, the body is parsed after them. Whatever is thrown becomes a problem
 * response (RFC 9457); every response carries `x-request-id` and the caller's `x-correlation-id`; each request leaves
 * one log line that holds its metrics, too.
 */
export function httpApi(route: (request: HttpRequest) => Promise<HttpResponse>, options: Options = {}) {
  // Calls of Auth0 and whatever writes keep to the deadline by themselves; this is for reads of the table.
  const late = () => new Problem('record_unavailable', 'The record of offboardings did not answer in time');
  return middy<PipelineEvent, GatewayResponse>({ timeoutEarlyInMillis: 0 })
    .use(requestAndResponse)
    .before(({ event: { request, body } }) => {
      if (options.organization && !v.is(OrganizationId, request.organizationId))
        throw new Problem('invalid_path', `organization_id must be org_ ${ID_SHAPE}`);
      if (options.connection && !v.is(ConnectionId, request.connectionId))
        throw new Problem('invalid_path', `connection_id must be con_ ${ID_SHAPE}`);
      // What a route ignored, its caller would take for done: `dry_run=true`.
      if (!options.query) parseQuery(v.strictObject({}), request.query);
      if (request.idempotencyKey !== undefined && !v.is(CorrelationId, request.idempotencyKey))
        throw new Problem('invalid_header', 'Idempotency-Key must be 1 to 128 visible ASCII characters');
      if (options.body && !body) throw new Problem('invalid_body', 'The body is missing');
    })
    .use(options.body ? httpJsonBodyParser() : [])
    .handler(async ({ request, body: parsed }: PipelineEvent) => {
      const working = route({ ...request, body: parsed });
      const { status, body } = await withDeadline(request.context.deadline + GRACE_MS, working, late);
      const json = body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
      return { statusCode: status, ...json };
    });
}

/** The outermost step: what the request is before the others see it, and the one place that completes responses. */
const requestAndResponse = {
  before(step: Step) {
    // Names in lower case, as HTTP API sends them and as other senders of this event may not; values that are text.
    const texts = Object.entries(step.event?.headers ?? {}).filter(([, value]) => typeof value === 'string');
    const headers = Object.fromEntries(texts.map(([name, value]) => [name.toLowerCase(), value]));
    // Blanks before a parameter are allowed (RFC 9110, 5.6.6), and the parser of the body does not know them.
    if (headers['content-type']) headers['content-type'] = headers['content-type'].replace(/\s*;\s*/g, ';').trim();
    step.event = { ...step.event, headers, request: readRequest({ ...step.event, headers }, step.context) };
  },

  after: (step: Step) => complete(step, 'ok'),

  onError(step: Step) {
    const problem = asProblem(fromBodyParser(step.error));
    const { requestId, context } = step.event.request;
    // An error of this service or of its surroundings has a cause worth reading; a caller's mistake has none.
    if (problem.status >= 500) context.log.error(problem.code, { error: describeError(problem) });
    const retry = problem.retryAfter !== undefined && { 'retry-after': String(problem.retryAfter) };
    const headers = { 'content-type': 'application/problem+json', ...retry };
    step.response = { statusCode: problem.status, headers, body: JSON.stringify(problem.toMembers(requestId)) };
    complete(step, problem.code);
  },
};

/** The gateway's event as a route reads it. */
function readRequest(event: GatewayEvent, context: Context) {
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
  const { http, authorizer, stage: apiStage = '$default' } = requestContext ?? {};
  const caller = authorizer?.iam?.userArn;
  const deadline = requestDeadline(context.getRemainingTimeInMillis?.());
  return {
    /** Empty on routes that have none, as is the connection's. */
    organizationId,
    connectionId,
    requestId,
    correlationId,
    /** The ARN of the IAM identity that signed the request; and the role or user that it is, whatever its session. */
    caller,
    role: roleOf(caller),
    /** The stage of the API that was called; `reversible` takes only what can be undone. */
    apiStage,
    /** Method and path, the same at each stage. */
    route: `${http?.method} ${event.rawPath?.replace(`/${apiStage}/`, '/')}`,
    query: event.queryStringParameters ?? {},
    // What may be sent again without harm anyway takes no key.
    idempotencyKey: http?.method === 'POST' ? headers['idempotency-key'] : undefined,
    context: createCallContext({ deadline, log, ...PACE }),
  };
}

/** `arn:aws:sts::123456789012:assumed-role/billing/session` without the session ("IAM identifiers", IAM user guide). */
const roleOf = (caller = 'unknown') => caller.replace(/^(arn:[\w-]+:sts::\d*:assumed-role\/[^/]+)\/.*$/s, '$1');

/** Adds the ids to the response, and writes the request's log line. */
function complete(step: Step, outcome: string) {
  const { requestId, correlationId, caller, context } = step.event.request;
  const { statusCode: status = 500, headers } = step.response ?? {};
  const ids = { 'x-request-id': requestId, ...(correlationId && { 'x-correlation-id': correlationId }) };
  step.response = { ...step.response, headers: { ...headers, ...ids } };
  context.log.metrics('request_answered', workMetrics(context), { status, outcome, caller, ...workFields(context) });
}

/** The body parser's refusals in the contract's terms: 400 for what is not JSON, 422 for JSON with a forbidden key or without a bottom. */
function fromBodyParser(error: unknown): unknown {
  const { statusCode, message, cause } = Object(error);
  if (cause?.package !== '@middy/http-json-body-parser') return error;
  if (statusCode === 415) return new Problem('unsupported_media_type', 'The content type must be application/json');
  const isForbidden = message?.startsWith('Forbidden key');
  // Its reader calls itself for each level, until there is no stack left.
  if (isForbidden || /call stack/.test(cause.message))
    return new Problem('invalid_body', 'The body has a member that is not taken', { status: 422 });
  return new Problem('invalid_body', 'The body is not JSON');
}

/** The body as `schema` has it; throws `invalid_body` (422) with the members that are wrong. */
export const parseBody = <S extends v.GenericSchema>(schema: S, body: unknown) =>
  parseOr(schema, body, 'body', (what) => new Problem('invalid_body', what, { status: 422 }));

/** The query as `schema` has it; throws `invalid_query` with the parameters that are wrong. */
export const parseQuery = <S extends v.GenericSchema>(schema: S, query: unknown) =>
  parseOr(schema, query, 'query', (what) => new Problem('invalid_query', what));
