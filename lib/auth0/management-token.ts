import type { GetSecretValueCommandOutput } from '@aws-sdk/client-secrets-manager';
import * as v from 'valibot';
import { getSecretValue } from '../aws/secrets-manager.ts';
import { parseSecret } from '../aws/stored-secret.ts';
import { withDeadline } from '../deadline.ts';
import { type Log, registerSecret } from '../log.ts';
import { Problem } from '../problem.ts';
import { createRotationRequest } from './rotation-request.ts';
import { claimsOf, scopeOf } from './token-claims.ts';

/** Before this much of its life is left, a token is used from memory without asking; then the secret is read again. */
const RENEW_BEFORE_EXPIRY_MS = 60_000;
/** The four steps take a few seconds; what is not done after twice that long has failed. */
const ROTATION_TAKES_S = 15;
const ROTATION_IS_LATE_MS = 2 * ROTATION_TAKES_S * 1000;
const UNAVAILABLE_RETRY_S = 30;

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
  registerSecret(value);
  const claims = claimsOf(value);
  const expiresAt = expires_at ?? Number(claims.exp) * 1000;
  if (!Number.isFinite(expiresAt)) throw malformed('is malformed: expires_at: is missing');
  return { value, expiresAt, scope: scope ?? scopeOf(claims), versionId: secret.VersionId };
}

export type TokenSource = ReturnType<typeof createTokenSource>;

/**
 * The Management API token that the secret `SecretId` holds, kept in memory until shortly before it expires. It is never minted
 * here: that is what the secret's rotation is for.
 */
export function createTokenSource(SecretId: string) {
  let current: ManagementToken | undefined;
  let reading: Promise<ManagementToken> | undefined;
  const requestRotation = createRotationRequest(SecretId);

  async function readSecret(): Promise<ManagementToken> {
    current = parseManagementToken(await getSecretValue({ SecretId }));
    if (current.expiresAt > Date.now()) return current;
    throw new Error(`The token expired at ${new Date(current.expiresAt).toISOString()}`);
  }

  return {
    /**
     * The token, from memory or from the secret; after Auth0 rejected `rejected`, the newer one that another request has read
     * meanwhile, or what the secret holds now. Throws `management_token_unavailable`.
     */
    async get(deadline: number, rejected?: ManagementToken): Promise<ManagementToken> {
      const isFresh = current && current.expiresAt - RENEW_BEFORE_EXPIRY_MS > Date.now();
      if (current && isFresh && current.value !== rejected?.value) return current;
      // One read in flight however many wait for it; each waits no longer than its own deadline.
      reading ??= readSecret().finally(() => (reading = undefined));
      return withDeadline(deadline, reading, late).catch((cause) => {
        const detail = 'The token could not be read; the log has the cause';
        throw new Problem('management_token_unavailable', detail, { retryAfter: UNAVAILABLE_RETRY_S, cause });
      });
    },

    /**
     * What a caller is told when Auth0 rejects even the token that was just read again; a rotation is requested where that is
     * due. Why a rotation has failed is nothing that this role may read: the rotation's own log has it.
     */
    async rejected({ versionId }: ManagementToken, deadline: number, log: Log): Promise<Problem> {
      const rotation = await withDeadline(deadline, requestRotation(versionId, log), late).catch(() => undefined);
      const rejected = (why: string) => new Problem('management_token_rejected', `Auth0 rejected the token, ${why}`);
      if (rotation?.result === 'too early') {
        const seconds = Math.max(1, Math.ceil((rotation.nextAt - Date.now()) / 1000));
        const wait = `the next one is requested in ${seconds} s, and an operator may start it now`;
        return rejected(`which is fresh from a rotation; ${wait}`);
      }
      if (!rotation || rotation.result === 'not requested' || rotation.versionId !== versionId)
        return rejected('also after it was read again');
      if (Date.now() - rotation.requestedAt > ROTATION_IS_LATE_MS)
        return rejected('and its rotation has not succeeded; the log of the rotation says why');
      const unfinished = 'its rotation has not finished: where that lasts, the log of the rotation says why';
      const detail = `Auth0 rejected the token; ${rotation.result === 'started' ? 'a new one is on its way' : unfinished}`;
      return new Problem('management_token_unavailable', detail, { retryAfter: ROTATION_TAKES_S });
    },
  };
}

const late = () => new Error('Secrets Manager did not answer in time');
