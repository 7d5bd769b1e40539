import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  type GetSecretValueCommandOutput,
  RotateSecretCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import * as v from 'valibot';
import { withDeadline } from './deadline.ts';
import { AWS_CLIENT, required } from './environment.ts';
import { claimsOf, parseSecret } from './json.ts';
import { describeError, hide, type Log } from './log.ts';
import { Problem } from './problem.ts';

/** Before this much of its life is left, a token is used from memory without asking; then the secret is read again. */
const RENEW_BEFORE_EXPIRY_MS = 60_000;
/** No container asks for a rotation more often, and none does when the secret was rotated this recently: a wrong setup can not cause a storm of tokens. */
const ROTATION_PAUSE_MS = 5 * 60_000;
/** The four steps take a few seconds. */
const ROTATION_TAKES_S = 15;
const UNAVAILABLE_RETRY_S = 30;

/** The scope that each kind of call of organization connections needs (Management API reference). */
export const SCOPES = {
  GET: 'read:organization_connections',
  PATCH: 'update:organization_connections',
  DELETE: 'delete:organization_connections',
} as const;

/** Visible ASCII, so that it fits a header; pasted line ends around it are not part of it. */
export const AccessToken = v.pipe(v.string(), v.trim(), v.regex(/^[\x21-\x7e]{1,16384}$/, 'must be a token'));

/** The value of the secret `org-connections/{stage}/management-token`; what it leaves out, the token's own claims have. */
const ManagementTokenSecret = v.object({
  access_token: AccessToken,
  expires_at: v.optional(v.pipe(v.string(), v.transform(Date.parse), v.finite('must be a time'))),
  scope: v.optional(v.string()),
});

export type ManagementToken = ReturnType<typeof parseManagementToken>;

/**
 * A secret's value as a token: when it expires (Unix time in milliseconds), its scope (empty when neither the secret nor the
 * token says), and the secret's version. Throws an error that says what is wrong and quotes nothing.
 */
export function parseManagementToken(secret: GetSecretValueCommandOutput) {
  const malformed = (what: string) => new Error(`The management token secret ${what}`);
  const { access_token: value, expires_at, scope } = parseSecret(secret, ManagementTokenSecret, malformed);
  hide(value);
  const claims = claimsOf(value);
  const expiresAt = expires_at ?? Number(claims?.exp) * 1000;
  if (!Number.isFinite(expiresAt)) throw malformed('is malformed: expires_at: is missing');
  return { value, expiresAt, scope: scope ?? scopeOf(claims), versionId: secret.VersionId };
}

/** The scope that a token's claims have; empty where they have none. */
export const scopeOf = (claims: Record<string, unknown> | undefined): string =>
  typeof claims?.scope === 'string' ? claims.scope : '';

// The Management API token as Secrets Manager holds it, kept in memory until shortly before it expires. It is never minted
// here: that is what the secret's rotation is for.

const SecretId = required('MANAGEMENT_TOKEN_SECRET_ID');
/** The one client of Secrets Manager that a function has. */
export const secretsManager = new SecretsManagerClient(AWS_CLIENT);
let current: ManagementToken | undefined;
let reading: Promise<ManagementToken> | undefined;
let rotation: { askedAt: number; accepted: Promise<boolean> } | undefined;

function unavailable(cause: unknown): Problem {
  const detail = 'The token could not be read; the log has the cause';
  return new Problem('management_token_unavailable', detail, { retryAfter: UNAVAILABLE_RETRY_S, cause });
}

async function readSecret(): Promise<ManagementToken> {
  try {
    current = parseManagementToken(await secretsManager.send(new GetSecretValueCommand({ SecretId })));
    if (current.expiresAt > Date.now()) return current;
  } catch (error) {
    throw unavailable(error);
  }
  throw unavailable(new Error(`The token expired at ${new Date(current.expiresAt).toISOString()}`));
}

/** One read in flight however many wait for it; each waits no longer than its own deadline. */
function read(deadline: number): Promise<ManagementToken> {
  reading ??= readSecret().finally(() => {
    reading = undefined;
  });
  return withDeadline(deadline, reading, () => unavailable(new Error('Secrets Manager did not answer in time')));
}

async function askForRotation(log: Log): Promise<boolean> {
  try {
    const { RotationEnabled, LastRotatedDate } = await secretsManager.send(new DescribeSecretCommand({ SecretId }));
    const since_rotation_ms = Date.now() - (LastRotatedDate?.getTime() ?? 0);
    if (!RotationEnabled || since_rotation_ms < ROTATION_PAUSE_MS) {
      const reason = RotationEnabled ? 'the refused token is fresh from a rotation' : 'the secret is not rotated';
      log.error('rotation_not_asked_for', { reason, since_rotation_ms });
      return false;
    }
    const asked = await secretsManager.send(new RotateSecretCommand({ SecretId, RotateImmediately: true }));
    const accepted = asked.VersionId !== undefined && asked.VersionId !== current?.versionId;
    log.warn('rotation_asked_for', { accepted });
    return accepted;
  } catch (error) {
    // Secrets Manager refuses a second request while one is under way, and attempts that one again.
    const accepted = error instanceof Error && /previous rotation/i.test(error.message);
    log.warn('rotation_asked_for', { accepted, error: describeError(error) });
    return accepted;
  }
}

/**
 * The token, from memory or from the secret; after Auth0 refused `rejected`, the newer one that another request has read
 * meanwhile, or what the secret holds now. Throws `management_token_unavailable`.
 */
export async function managementToken(deadline: number, rejected?: ManagementToken): Promise<ManagementToken> {
  const isFresh = current && current.expiresAt - RENEW_BEFORE_EXPIRY_MS > Date.now();
  return current && isFresh && current.value !== rejected?.value ? current : read(deadline);
}

/** What a caller is told when Auth0 refuses even the token that was just read; asks for a rotation, at most once in five minutes. */
export async function tokenRefused(deadline: number, log: Log): Promise<Problem> {
  if (!rotation || Date.now() - rotation.askedAt > ROTATION_PAUSE_MS)
    rotation = { askedAt: Date.now(), accepted: askForRotation(log) };
  const { askedAt, accepted } = rotation;
  const underWay = await withDeadline(deadline, accepted, () => new Error('late')).catch(() => false);
  if (!underWay || Date.now() - askedAt > 4 * ROTATION_TAKES_S * 1000)
    return new Problem('management_token_rejected', 'Auth0 refused the token, also after it was read again');
  const detail = 'Auth0 refused the token; a new one is on its way';
  return new Problem('management_token_unavailable', detail, { retryAfter: ROTATION_TAKES_S });
}
