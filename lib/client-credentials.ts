import { createPrivateKey, type KeyObject, randomUUID, sign } from 'node:crypto';
import type { GetSecretValueCommandOutput } from '@aws-sdk/client-secrets-manager';
import * as v from 'valibot';
import { backoff, sleep } from './deadline.ts';
import { type Answer, ExchangeError, exchangeOrError } from './http-client.ts';
import { claimsOf, parseJson, parseSecret } from './json.ts';
import { hide } from './log.ts';
import { AccessToken, scopeOf } from './management-token.ts';
import { readRateLimit } from './rate-limit.ts';

const Text = v.pipe(v.string(), v.trim(), v.nonEmpty());

/** The value of the secret `org-connections/{stage}/management-client`: the client's id and its secret, or its private key. */
const ClientCredentials = v.object({
  client_id: Text,
  client_secret: v.optional(Text),
  private_key: v.optional(Text),
});
type ClientCredentials = v.InferOutput<typeof ClientCredentials>;

/** What OAuth makes optional (RFC 6749, 5.1) may be missing: the token's own claims have it. */
const TokenResponse = v.object({
  access_token: AccessToken,
  expires_in: v.fallback(
    v.optional(v.pipe(v.union([v.number(), v.string()]), v.transform(Number), v.minValue(1))),
    undefined,
  ),
  scope: v.fallback(v.optional(v.string()), undefined),
});
/** No token is trusted for longer than this, seconds. */
const LONGEST_LIFETIME_S = 30 * 86_400;
/** What an assertion is dated back by, and how long it lives, seconds: two clocks differ, and Auth0 takes five minutes at most. */
const CLOCK_MARGIN_S = 60;
const ASSERTION_LIFETIME_S = 180;

/** Why there is no token: `wrong_credentials`, `grant_not_allowed`, `audience_not_granted`, `quota_exceeded`, `unreachable`. */
export class ClientCredentialsError extends Error {
  readonly reason: string;
  readonly retryAfter: number | undefined;

  constructor(reason: string, message: string, options: { retryAfter?: number | undefined; cause?: unknown } = {}) {
    super(`${reason}: ${message}`, { cause: options.cause });
    this.name = 'ClientCredentialsError';
    this.reason = reason;
    this.retryAfter = options.retryAfter;
  }
}

/** The client secret's value as credentials; throws `ClientCredentialsError` that says what is wrong and quotes nothing of it. */
export function parseClientCredentials(secret: GetSecretValueCommandOutput): ClientCredentials {
  const wrong = (what: string) => new ClientCredentialsError('wrong_credentials', `the client secret ${what}`);
  const json = parseSecret(secret);
  if (json === undefined) throw wrong('is not JSON; it is to be {"client_id": "…", "client_secret": "…"}');
  const parsed = v.safeParse(ClientCredentials, json);
  if (!parsed.success) {
    const members = new Set(parsed.issues.map((issue) => v.getDotPath(issue)?.split('.')[0]));
    if (members.has(undefined)) throw wrong('is JSON, but not an object with client_id');
    throw wrong(`has no usable ${[...members].join(' and no usable ')}: each is text that is not empty`);
  }
  const { client_secret, private_key } = parsed.output;
  if (!client_secret && !private_key) throw wrong('has a client_id, but neither client_secret nor private_key');
  hide(client_secret ?? '');
  return parsed.output;
}

/**
 * Asks Auth0 for a Management API token by client credentials (RFC 6749, 4.4). A client with a private key proves itself by
 * a signed assertion (RFC 7523; Auth0: "Private Key JWT"), any other by its secret.
 * Returns the token, when it expires (Unix time in milliseconds) and its scope; throws `ClientCredentialsError`.
 */
export async function requestToken(origin: URL, audience: string, credentials: ClientCredentials, deadline: number) {
  for (let tries = 1; ; tries++) {
    const asked = Date.now();
    const answer = await exchangeOrError({
      method: 'POST',
      origin,
      path: '/oauth/token',
      headers: { accept: 'application/json', 'content-type': 'application/json' },
      body: JSON.stringify({ grant_type: 'client_credentials', audience, ...authentication(credentials, audience) }),
      timeout: Math.min(10_000, deadline - asked),
    });
    const body = answer instanceof ExchangeError ? undefined : parseJson(answer.body);
    if (!(answer instanceof ExchangeError) && answer.status === 200 && v.is(TokenResponse, body)) {
      const { access_token, expires_in, scope } = v.parse(TokenResponse, body);
      hide(access_token);
      const claims = claimsOf(access_token);
      // The claims' own clock is Auth0's: only the difference of its times is of use here.
      const lifetime = expires_in ?? Number(claims?.exp) - Number(claims?.iat);
      if (!(lifetime > 0)) throw new ClientCredentialsError('unreachable', 'Auth0 did not say when the token expires');
      const expiresAt = asked + Math.min(lifetime, LONGEST_LIFETIME_S) * 1000;
      return { value: access_token, expiresAt, scope: scope ?? scopeOf(claims) };
    }
    const error = refusal(answer, body);
    const pause = backoff(tries, 500, 5000);
    // A refusal stays one, and a quota is not gained by asking more often.
    if (error.reason !== 'unreachable' || tries >= 3 || Date.now() + pause >= deadline) throw error;
    await sleep(pause);
  }
}

function authentication({ client_id, client_secret, private_key }: ClientCredentials, audience: string) {
  const key = private_key ?? (client_secret?.includes('-----BEGIN') ? client_secret : undefined);
  if (!key) return { client_id, client_secret };
  const now = Math.floor(Date.now() / 1000);
  // The assertion is for the tenant itself: the audience's origin, which is canonical also behind a custom domain.
  const claims = {
    iss: client_id,
    sub: client_id,
    aud: `${new URL(audience).origin}/`,
    iat: now - CLOCK_MARGIN_S,
    exp: now + ASSERTION_LIFETIME_S,
    jti: randomUUID(),
  };
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const unsigned = `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode(claims)}`;
  const signature = sign('RSA-SHA256', Buffer.from(unsigned), privateKey(key)).toString('base64url');
  return {
    client_id,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: `${unsigned}.${signature}`,
  };
}

/**
 * A private key as people store it: PEM whose line ends are `\n`, CRLF, spaces or gone, or written out as two or three
 * characters, or all of it in base64. The body of PEM is base64, so what stands between its characters means nothing.
 */
function privateKey(stored: string) {
  const wrong = (what: string) => new ClientCredentialsError('wrong_credentials', `the private key ${what}`);
  const text = stored.includes('-----BEGIN') ? stored : Buffer.from(stored, 'base64').toString();
  const [, label = '', body = ''] = /-----BEGIN ([A-Z ]+)-----(.*?)-----END \1-----/s.exec(text) ?? [];
  if (!label) throw wrong('is not PEM: its BEGIN line or its END line is missing');
  if (label.includes('ENCRYPTED') || body.includes('ENCRYPTED'))
    throw wrong('is encrypted; store it without a passphrase');
  if (!label.endsWith('PRIVATE KEY')) throw wrong(`is none: its PEM is a ${label.toLowerCase()}`);
  const base64 = body.replace(/\\+[nrt]|\s/g, '').replace(/(.{64})/g, '$1\n');
  let key: KeyObject;
  try {
    key = createPrivateKey(`-----BEGIN ${label}-----\n${base64}\n-----END ${label}-----\n`);
  } catch {
    // The parser's message may quote its input.
    throw wrong('is PEM, but its content is damaged');
  }
  if (key.asymmetricKeyType !== 'rsa') throw wrong('is not an RSA key; assertions are signed with RS256');
  return key;
}

/** OAuth's errors as Auth0 uses them, told apart without quoting their descriptions: those repeat what was sent. */
function refusal(answer: Answer | ExchangeError, body: unknown): ClientCredentialsError {
  if (answer instanceof ExchangeError)
    return new ClientCredentialsError('unreachable', 'Auth0 gave no answer', { cause: answer });
  const { status, headers } = answer;
  const name = v.is(v.looseObject({ error: v.string() }), body) ? body.error : undefined;
  if (status === 429) {
    const { retryAfter, reset } = readRateLimit(headers);
    const wait = retryAfter ?? reset;
    return new ClientCredentialsError('quota_exceeded', 'the quota of tokens is used up', {
      retryAfter: wait === undefined ? undefined : Math.ceil(wait / 1000),
    });
  }
  if (status === 403 && name === 'access_denied') {
    return new ClientCredentialsError('audience_not_granted', 'the application has no grant for the Management API');
  }
  if (name === 'unauthorized_client') {
    return new ClientCredentialsError('grant_not_allowed', 'the application may not use client credentials');
  }
  if (status === 401 || status === 403)
    return new ClientCredentialsError('wrong_credentials', 'Auth0 does not know the client by these credentials');
  return new ClientCredentialsError('unreachable', `Auth0 answered ${status}, not as it documents`);
}
