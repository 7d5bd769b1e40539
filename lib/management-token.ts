import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  type GetSecretValueCommandOutput,
  RotateSecretCommand,
  type SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import * as v from 'valibot';
import { before } from './deadline.ts';
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

/** Visible ASCII, so that it fits a header; pasted line ends around it are not part of it. */
export const AccessToken = v.pipe(v.string(), v.trim(), v.regex(/^[\x21-\x7e]{1,16384}$/));

/** The value of the secret `org-connections/{stage}/management-token`; what it leaves out, the token's own claims have. */
const ManagementTokenSecret = v.object({
  access_token: AccessToken,
  expires_at: v.optional(
    v.pipe(
      v.string(),
      v.check((text) => Number.isFinite(Date.parse(text))),
    ),
  ),
  scope: v.optional(v.string()),
});

export interface ManagementToken {
  value: string;
  /** Unix time in milliseconds. */
  expiresAt: number;
  /** Empty when neither the secret nor the token says. */
  scope: string;
  /** The version of the secret that it came from. */
  versionId: string | undefined;
}

/** A secret's value as a token. Throws an error that says what is wrong and quotes nothing. */
export function parseManagementToken(secret: GetSecretValueCommandOutput): ManagementToken {
  const json = parseSecret(secret);
  if (json === undefined) throw new Error('The management token secret is not JSON');
  const parsed = v.safeParse(ManagementTokenSecret, json);
  if (!parsed.success) {
    const members = parsed.issues.map((issue) => v.getDotPath(issue) ?? 'value');
    throw new Error(`The management token secret is malformed: ${members.join(', ')}`);
  }
  const { access_token: value, expires_at, scope } = parsed.output;
  hide(value);
  const claims = claimsOf(value);
  const expiresAt = expires_at === undefined ? Number(claims?.exp) * 1000 : Date.parse(expires_at);
  if (!Number.isFinite(expiresAt)) throw new Error('The management token secret is malformed: expires_at');
  return { value, expiresAt, scope: scope ?? scopeOf(claims), versionId: secret.VersionId };
}

/** The scope that a token's claims have; empty where they have none. */
export const scopeOf = (claims: Record<string, unknown> | undefined): string =>
  typeof claims?.scope === 'string' ? claims.scope : '';

/**
 * The Management API token as Secrets Manager holds it, kept in memory until shortly before it expires. It is never
 * minted here: that is what the secret's rotation is for.
 */
export function createManagementTokenSource(secretId: string, client: SecretsManagerClient) {
  let current: ManagementToken | undefined;
  let reading: Promise<ManagementToken> | undefined;
  let rotation: { askedAt: number; accepted: Promise<boolean> } | undefined;

  const unavailable = (cause: unknown, detail = 'The token could not be read; the log has the cause') =>
    new Problem('management_token_unavailable', detail, { retryAfter: UNAVAILABLE_RETRY_S, cause });

  async function readSecret(): Promise<ManagementToken> {
    try {
      const secret = await client.send(new GetSecretValueCommand({ SecretId: secretId }));
      current = parseManagementToken(secret);
    } catch (error) {
      throw unavailable(error);
    }
    if (current.expiresAt <= Date.now())
      throw unavailable(new Error(`The token expired at ${new Date(current.expiresAt).toISOString()}`));
    return current;
  }

  /** One read in flight however many wait for it; each waits no longer than its own deadline. */
  function read(deadline: number): Promise<ManagementToken> {
    reading ??= readSecret().finally(() => {
      reading = undefined;
    });
    return before(deadline, reading, () => unavailable(new Error('Secrets Manager did not answer in time')));
  }

  async function askForRotation(log: Log): Promise<boolean> {
    try {
      const { RotationEnabled, LastRotatedDate } = await client.send(new DescribeSecretCommand({ SecretId: secretId }));
      const sinceRotation = Date.now() - (LastRotatedDate?.getTime() ?? 0);
      if (!RotationEnabled || sinceRotation < ROTATION_PAUSE_MS) {
        const reason = RotationEnabled ? 'the refused token is fresh from a rotation' : 'the secret is not rotated';
        log.error('rotation_not_asked_for', { reason, since_rotation_ms: sinceRotation });
        return false;
      }
      const asked = await client.send(new RotateSecretCommand({ SecretId: secretId, RotateImmediately: true }));
      const accepted = asked.VersionId !== undefined && asked.VersionId !== current?.versionId;
      log.warn('rotation_asked_for', { accepted });
      return accepted;
    } catch (error) {
      // Secrets Manager refuses a second request while one is under way, and attempts that one again.
      const underWay = error instanceof Error && /previous rotation/i.test(error.message);
      log.warn('rotation_asked_for', { accepted: underWay, error: describeError(error) });
      return underWay;
    }
  }

  return {
    /** The token, from memory or from the secret. Throws `management_token_unavailable`. */
    async get(deadline: number): Promise<ManagementToken> {
      if (current && current.expiresAt - RENEW_BEFORE_EXPIRY_MS > Date.now()) return current;
      return read(deadline);
    },

    /** After Auth0 refused `rejected`: the newer token that another request has read meanwhile, or what the secret holds now. */
    async refresh(rejected: ManagementToken, deadline: number): Promise<ManagementToken> {
      return current && current.value !== rejected.value ? current : read(deadline);
    },

    /** What a caller is told when Auth0 refuses even the token that was just read; asks for a rotation, at most once in five minutes. */
    async rejected(deadline: number, log: Log): Promise<Problem> {
      if (!rotation || Date.now() - rotation.askedAt > ROTATION_PAUSE_MS) {
        rotation = { askedAt: Date.now(), accepted: askForRotation(log) };
      }
      const { askedAt, accepted } = rotation;
      const underWay = await before(deadline, accepted, () => new Error('late')).catch(() => false);
      return underWay && Date.now() - askedAt < 4 * ROTATION_TAKES_S * 1000
        ? new Problem('management_token_unavailable', 'Auth0 refused the token; a new one is on its way', {
            retryAfter: ROTATION_TAKES_S,
          })
        : new Problem('management_token_rejected', 'Auth0 refused the token, also after it was read anew');
    },
  };
}

export type ManagementTokenSource = ReturnType<typeof createManagementTokenSource>;
