import { AwsSdkSigV4Signer } from '@aws-sdk/core/httpAuthSchemes';
import { Sha256 } from '@smithy/core/checksum';
import { parseUrl } from '@smithy/core/protocols';
import { getRetryAfterHint, isThrottlingError, isTransientError, StandardRetryStrategy } from '@smithy/core/retry';
import { operation } from '@smithy/core/schema';
import { fromBase64, fromUtf8, toBase64, toUtf8 } from '@smithy/core/serde';
import { NodeHttpHandler, streamCollector } from '@smithy/node-http-handler';
import { SignatureV4 } from '@smithy/signature-v4';
import type {
  ClientProtocol,
  Handler,
  HttpRequest,
  HttpResponse,
  OperationSchema,
  RetryErrorType,
  SdkError,
  StaticOperationSchema,
} from '@smithy/types';
import { endpointOf, type RegionalService, region } from './endpoint.ts';

// A client of an AWS service out of the SDK's own parts: its schemas, protocols, signatures, retries and HTTP handler. Left out is the
// pipeline of middleware that the SDK generates for all that its customers may want, a quarter of each bundle, and with it the
// comparison of a message with the MD5 that SQS answers: TLS has done that. `test/aws/client.test.ts` compares what is sent, retried
// and thrown with the SDK's own clients.

/** As many calls as this may be under way through one client of an AWS service: whoever makes many at once keeps to it. */
export const CALLS_AT_ONCE = 50;

/**
 * A client counts the wait for one of its sockets as connecting, so a call that finds none free fails although the service is well.
 * There are more than `CALLS_AT_ONCE`: a socket is free again some time after its call has ended.
 */
const agent = { maxSockets: 2 * CALLS_AT_ONCE };

/**
 * Each call is small: one that takes seconds is lost and better made again. `requestTimeout` (milliseconds) ends with the response's
 * headers, only `socketTimeout` sees a body that stalls.
 */
const HTTP = {
  connectionTimeout: 1000,
  requestTimeout: 3000,
  socketTimeout: 3000,
  throwOnRequestTimeout: true,
  httpAgent: agent,
  httpsAgent: agent,
};
const MAX_ATTEMPTS = 3;
const SERDE = {
  base64Decoder: fromBase64,
  base64Encoder: toBase64,
  utf8Decoder: fromUtf8,
  utf8Encoder: toUtf8,
  streamCollector,
};
const signer = new AwsSdkSigV4Signer();
type SignedRequest = Parameters<NodeHttpHandler['handle']>[0];

/** Lambda puts its role's credentials into the environment and renews them with the container. */
async function credentials() {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = process.env;
  if (!AWS_ACCESS_KEY_ID || !AWS_SECRET_ACCESS_KEY) throw new Error('The environment holds no AWS credentials');
  const key = { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY };
  return { ...key, ...(AWS_SESSION_TOKEN && { sessionToken: AWS_SESSION_TOKEN }) };
}

/** A service, as the SDK's own client of it has its settings. */
interface Service {
  /** Its name in signatures. */
  name: RegionalService | 'sqs';
  protocol: ClientProtocol<HttpRequest, HttpResponse>;
  /** The first wait before a call is made again, milliseconds, where it is not the SDK's. */
  baseDelay?: number;
}

/** One of the SDK's commands, as a type: its parameters and its response are those of the operation. */
type SdkCommand = abstract new (input: never) => { resolveMiddleware(...given: never[]): Handler<never, object> };
type InputOf<C extends SdkCommand> = ConstructorParameters<C>[0] & object;
type OutputOf<C extends SdkCommand> =
  ReturnType<InstanceType<C>['resolveMiddleware']> extends Handler<never, infer O extends object> ? O : never;

type UrlOf = (parameters: { QueueUrl?: string | undefined }) => string;

/** A failed call, with what the SDK's parts want to know of it. */
type CallError = SdkError & { $response?: HttpResponse };
type Client = ReturnType<typeof clientOf>;

function clientOf(service: Service) {
  const { name, protocol, baseDelay } = service;
  protocol.setSerdeContext(SERDE as never);
  const sigV4 = new SignatureV4({ service: name, region: async () => region(), credentials, sha256: Sha256 });
  return {
    service,
    protocol,
    handler: NodeHttpHandler.create(HTTP),
    retries: new StandardRetryStrategy({ maxAttempts: MAX_ATTEMPTS, ...(baseDelay && { baseDelay }) }),
    // A clock that is wrong is corrected by what a response says of the time.
    config: { systemClockOffset: 0, signer: async () => sigV4 },
  };
}

/**
 * A client of `service`, called at its region's endpoint or at the URL that `urlOf` has for the call's parameters. It makes a function of each of the SDK's
 * operations: that sends its parameters and gives the response, or throws the service's error, whose `name` is its code, after at
 * most three attempts.
 */
export function createClient(service: Service, urlOf: UrlOf = () => endpointOf(service.name as RegionalService)) {
  const client = clientOf(service);
  return <C extends SdkCommand>([, namespace, name, traits, input, output]: StaticOperationSchema) => {
    const schema = operation(namespace, name, traits, input, output);
    return async (parameters: InputOf<C>): Promise<OutputOf<C>> => {
      const endpoint = async () => parseUrl(urlOf(parameters));
      const request = await client.protocol.serializeRequest(schema, parameters, { ...SERDE, endpoint } as never);
      addHeaders(request);
      return (await send(client, schema, request)) as OutputOf<C>;
    };
  };
}

/** Sends a request as often as the SDK's strategy has it sent. */
async function send(client: Client, schema: OperationSchema, request: HttpRequest): Promise<unknown> {
  const { retries } = client;
  let token = await retries.acquireInitialRetryToken('');
  for (;;) {
    try {
      const output = await attempt(client, schema, request);
      retries.recordSuccess(token);
      return output;
    } catch (error) {
      // It waits, and rejects where the call is not to be made again.
      const next = await retries.refreshRetryTokenForRetry(token, errorInfo(error as CallError)).catch(() => undefined);
      if (!next) throw error;
      token = next;
    }
  }
}

async function attempt(client: Client, schema: OperationSchema, request: HttpRequest): Promise<unknown> {
  const { service, protocol, handler, config } = client;
  const signing = { config, context: {}, signingRegion: region(), signingName: service.name };
  const signed = await signer.sign(request, await credentials(), signing);
  const { response } = await handler.handle(signed as SignedRequest);
  const output = await protocol.deserializeResponse(schema, SERDE as never, response).catch((error: CallError) => {
    // What is no response of the service, such as a proxy's page, has no metadata.
    error.$metadata ??= { httpStatusCode: response.statusCode };
    Object.defineProperty(error, '$response', { value: response });
    return signer.errorHandler(signing)(error);
  });
  signer.successHandler(response, signing);
  return output;
}

/** What each request carries besides its body and its signature. */
function addHeaders({ headers, hostname, port, body }: HttpRequest): void {
  const trace = process.env.AWS_LAMBDA_FUNCTION_NAME && process.env._X_AMZN_TRACE_ID;
  headers.host = port ? `${hostname}:${port}` : hostname;
  headers['user-agent'] = 'org-connections';
  if (typeof body === 'string') headers['content-length'] = String(Buffer.byteLength(body));
  // By this Lambda sees messages that go round.
  if (trace) headers['x-amzn-trace-id'] = trace;
}

function errorInfo(error: CallError) {
  const notThrottled = isTransientError(error) ? 'TRANSIENT' : 'CLIENT_ERROR';
  const errorType: RetryErrorType = isThrottlingError(error) ? 'THROTTLING' : notThrottled;
  const retryAfterHint = getRetryAfterHint(error.$response);
  return { error, errorType, ...(retryAfterHint && { retryAfterHint }) };
}
