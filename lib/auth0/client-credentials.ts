import { createPrivateKey, randomUUID, sign } from 'node:crypto';
import type { GetSecretValueCommandOutput } from '@aws-sdk/client-secrets-manager';
import * as v from 'valibot';
import { parseSecret } from '../aws/stored-secret.ts';
import { retry } from '../deadline.ts';
import { lenient, parseAs, parseJson } from '../json.ts';
import { registerSecret } from '../log.ts';
import { jsonOf } from './api-response.ts';
import { type Response, send } from './http-client.ts';
import { AccessToken } from './management-token.ts';
import { readRateLimit } from './rate-limit.ts';
import { claimsOf, scopeOf } from './token-claims.ts';

const Text = v.pipe(v.string(), v.trim(), v.nonEmpty('must not be empty'));

/** The value of the secret `org-connections/{stage}/management-client`: the client's id and its secret, or its private key. */
const ClientCredentials = v.object({ client_id: Text, client_secret: v.optional(Text), private_key: v.optional(Text) });
type ClientCredentials = v.InferOutput<typeof ClientCredentials>;

/** What OAuth makes optional (RFC 6749, 5.1) may be missing: the token's own claims have it. */
const TokenResponse = v.object({
  access_token: AccessToken,
  expires_in: lenient(v.pipe(v.union([v.number(), v.string()]), v.transform(Number), v.minValue(1))),
  scope: lenient(v.string()),
});
/** No token is trusted for longer than this, seconds. */
const LONGEST_LIFETIME_S = 30 * 86_400;
/** What an assertion is dated back by, and how long it lives, seconds: two clocks differ, and Auth0 takes five minutes at most. */
const CLOCK_MARGIN_S = 60;
const ASSERTION_LIFETIME_S = 180;

/** Why there is no token: `wrong_credentials`, `grant_not_allowed`, `audience_not_granted`, `quota_exceeded`, `unreachable`. */
export class ClientCredentialsError extends Error {
  override readonly name = 'ClientCredentialsError';
  readonly reason: string;
  /** Seconds. */
  readonly retryAfter: number | undefined;

  constructor(reason: string, message: string, options: { retryAfter?: number | undefined; cause?: unknown } = {}) {
    super(`${reason}: ${message}`, { cause: options.cause });
    this.reason = reason;
    this.retryAfter = options.retryAfter;
  }
}

const wrong = (what: string) => new ClientCredentialsError('wrong_credentials', what);

/** The client secret's value as credentials; throws `ClientCredentialsError` that says what is wrong and quotes nothing of it. */
export function parseClientCredentials(secret: GetSecretValueCommandOutput): ClientCredentials {
  const shape = '{"client_id": "…", "client_secret": "…"}';
  const malformed = (what: string) => wrong(`the client secret ${what}; it is to be ${shape}`);
  const credentials = parseSecret(secret, ClientCredentials, malformed);
  const secrets = [credentials.client_secret, credentials.private_key].filter((one) => one !== undefined);
  if (secrets.length === 0) throw wrong('the client secret has a client_id, but neither client_secret nor private_key');
  secrets.forEach(registerSecret);
  return credentials;
}

/**
 * Asks Auth0 for a Management API token by client credentials (RFC 6749, 4.4). A client with a private key proves itself by
 * a signed assertion (RFC 7523; Auth0: "Private Key JWT"), any other by its secret.
 * Returns the token, when it expires (Unix time in milliseconds) and its scope; throws `ClientCredentialsError`.
 */
export async function requestToken(origin: URL, audience: string, credentials: ClientCredentials, deadline: number) {
  const requestOnce = async () => {
    const requestedAt = Date.now();
    const timeout = Math.min(10_000, deadline - requestedAt);
    const body = { grant_type: 'client_credentials', audience, ...authentication(credentials, audience) };
    const response = await send({ method: 'POST', origin, path: '/oauth/token', body, timeout });
    const token = response.status === 200 ? parseAs(TokenResponse, parseJson(response.body)) : undefined;
    if (!token) throw refusal(response);
    return { ...token, requestedAt };
  };
  // A refusal stays one, and a quota is not gained by asking more often.
  const isUnreachable = (error: unknown) => error instanceof ClientCredentialsError && error.reason === 'unreachable';
  const { access_token: value, expires_in, scope, requestedAt } = await retry(requestOnce, isUnreachable, deadline);
  registerSecret(value);
  const claims = claimsOf(value);
  // The claims' own clock is Auth0's: only the difference of its times is of use here.
  const lifetime = expires_in ?? Number(claims.exp) - Number(claims.iat);
  if (!(lifetime > 0)) throw new ClientCredentialsError('unreachable', 'Auth0 did not say when the token expires');
  const expiresAt = requestedAt + Math.min(lifetime, LONGEST_LIFETIME_S) * 1000;
  return { value, expiresAt, scope: scope ?? scopeOf(claims) };
}

function authentication({ client_id, client_secret, private_key }: ClientCredentials, audience: string) {
  const key = private_key ?? (client_secret?.includes('-----BEGIN') ? client_secret : undefined);
  if (!key) return { client_id, client_secret };
  const now = Math.floor(Date.now() / 1000);
  // The assertion is for the tenant itself: the audience's origin, which is canonical also behind a custom domain.
  const times = { iat: now - CLOCK_MARGIN_S, exp: now + ASSERTION_LIFETIME_S };
  const claims = { iss: client_id, sub: client_id, aud: `${new URL(audience).origin}/`, ...times, jti: randomUUID() };
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const unsigned = `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode(claims)}`;
  const signature = sign('RSA-SHA256', Buffer.from(unsigned), privateKey(key)).toString('base64url');
  const client_assertion_type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
  return { client_id, client_assertion_type, client_assertion: `${unsigned}.${signature}` };
}

/**
 * A private key as people store it: PEM whose line ends are `\n`, CRLF, spaces or gone, or written out as two or three
 * characters, or all of it in base64. The body of PEM is base64, so what stands between its characters means nothing.
 */
function privateKey(stored: string) {
  const text = stored.includes('-----BEGIN') ? stored : Buffer.from(stored, 'base64').toString();
  const [, label = '', body = ''] = /-----BEGIN ([A-Z ]+)-----(.*?)-----END \1-----/s.exec(text) ?? [];
  if (!label) throw wrong('the private key is not PEM: its BEGIN line or its END line is missing');
  if (label.includes('ENCRYPTED') || body.includes('ENCRYPTED'))
    throw wrong('the private key is encrypted; store it without a passphrase');
  if (!label.endsWith('PRIVATE KEY')) throw wrong(`the private key is none: its PEM is a ${label.toLowerCase()}`);
  const base64 = body.replace(/\\+[nrt]|\s/g, '').replace(/(.{64})/g, '$1\n');
  try {
    const key = createPrivateKey(`-----BEGIN ${label}-----\n${base64}\n-----END ${label}-----\n`);
    if (key.asymmetricKeyType === 'rsa') return key;
  } catch {
    // The parser's message may quote its input.
    throw wrong('the private key is PEM, but its content is damaged');
  }
  throw wrong('the private key is not an RSA key; assertions are signed with RS256');
}

/** The errors by which an authorization server refuses a client for good (RFC 6749, 5.2), and Auth0's own `access_denied`. */
const REFUSALS = new Set([
  'access_denied',
  'invalid_request',
  'invalid_client',
  'invalid_grant',
  'invalid_scope',
  'unsupported_grant_type',
]);

/**
 * OAuth's errors as Auth0 uses them, told apart without quoting their descriptions: those repeat what was sent. A status says nothing by
 * itself: a proxy or a firewall in front of Auth0 answers 400, 401 and 403, too.
 */
function refusal(response: Response): ClientCredentialsError {
  const { status, headers, failure } = response;
  if (failure) return new ClientCredentialsError('unreachable', 'Auth0 gave no answer', { cause: failure.cause });
  if (status === 429) {
    const { reset, retryAfter: waitMs = reset } = readRateLimit(headers);
    const retryAfter = waitMs && Math.ceil(waitMs / 1000);
    return new ClientCredentialsError('quota_exceeded', 'the quota of tokens is used up', { retryAfter });
  }
  const { error = '' } = parseAs(v.object({ error: v.string() }), jsonOf(response)) ?? {};
  const isRefusal = [400, 401, 403].includes(status);
  if (isRefusal && error === 'unauthorized_client')
    return new ClientCredentialsError('grant_not_allowed', 'the application may not use client credentials');
  if (status === 403 && error === 'access_denied')
    return new ClientCredentialsError('audience_not_granted', 'the application has no grant for the Management API');
  if (isRefusal && REFUSALS.has(error))
    return status === 400
      ? wrong(`Auth0 refuses the client's request: ${error}`)
      : wrong('Auth0 does not know the client by these credentials');
  return new ClientCredentialsError('unreachable', `Auth0 answered ${status}, not as it documents`);
}
