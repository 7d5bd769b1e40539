import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';
import type { Context, SecretsManagerRotationEvent } from 'aws-lambda';
import { ClientCredentialsError, parseClientCredentials, requestToken } from '../lib/client-credentials.ts';
import { backoff, sleep } from '../lib/deadline.ts';
import { auth0Tenant, required } from '../lib/environment.ts';
import { exchange } from '../lib/http-client.ts';
import { parseJson } from '../lib/json.ts';
import { createLog, describeError, type Log } from '../lib/log.ts';
import { type ManagementToken, parseManagementToken, SCOPES, secretsManager } from '../lib/management-token.ts';

const { origin, audience } = auth0Tenant();
const CLIENT_SECRET_ID = required('MANAGEMENT_CLIENT_SECRET_ID');
const TOKEN_SECRET_ID = required('MANAGEMENT_TOKEN_SECRET_ID');

/** Connections of an organization that no tenant has: asking for them proves a token and reads nothing. */
const PROOF_PATH = '/api/v2/organizations/org_0000000000000000/connections';
const MARGIN_MS = 1000;
/** What one call of Auth0 may take, and how often it is made while its answer says nothing of the token. */
const ATTEMPT_MS = 5000;
const MAX_TRIES = 4;

/** The version that a step is about, when the step must be done, and its log. */
type Rotation = { SecretId: string; versionId: string; deadline: number; log: Log };

const STEPS = new Map<string, (rotation: Rotation) => Promise<void>>([
  ['createSecret', createSecret],
  // The token is good at Auth0 from the moment that it is issued: there is nothing to set.
  ['setSecret', async () => {}],
  ['testSecret', testSecret],
  ['finishSecret', finishSecret],
]);

/**
 * A step of the rotation of the management token, as Secrets Manager calls it ("Rotation function", Secrets Manager user
 * guide). Each may be called twice or be cut off at any point. Throws when the step can not be done; the current token then
 * stays as it is and Secrets Manager tries again.
 */
export async function handler(event: SecretsManagerRotationEvent, context: Partial<Context> = {}): Promise<void> {
  const { SecretId, ClientRequestToken: versionId, Step: step } = event;
  const log = createLog({ request_id: context.awsRequestId, step, version_id: versionId });
  const deadline = Date.now() + (context.getRemainingTimeInMillis?.() ?? 30_000) - MARGIN_MS;
  try {
    const run = STEPS.get(step);
    if (!run) throw new Error('The rotation has no such step');
    if (await isPending(SecretId, versionId)) await run({ SecretId, versionId, deadline, log });
    log.info('rotation_step_done');
  } catch (error) {
    const { reason = 'other', retryAfter } = error instanceof ClientCredentialsError ? error : {};
    const fields = { error: describeError(error), retry_after_s: retryAfter };
    log.metrics('rotation_step_failed', { RotationFailures: 1 }, fields, ['reason', reason]);
    throw error;
  }
}

/** Whether the version waits to become current; false when it is current already. Throws when it must not be rotated. */
async function isPending(SecretId: string, versionId: string): Promise<boolean> {
  const secret = await secretsManager.send(new DescribeSecretCommand({ SecretId }));
  // Secrets Manager names the secret by its ARN, the configuration may by its name.
  if (![SecretId, secret.ARN, secret.Name].includes(TOKEN_SECRET_ID))
    throw new Error('The secret is not the management token');
  if (!secret.RotationEnabled) throw new Error('The secret is not set up for rotation');
  const stages = secret.VersionIdsToStages?.[versionId] ?? [];
  if (stages.includes('AWSCURRENT')) return false;
  if (!stages.includes('AWSPENDING')) throw new Error('The version is not staged for rotation');
  return true;
}

/** Asks Auth0 for a token and stores it as the pending version, unless that holds one already. */
async function createSecret({ SecretId, versionId, deadline, log }: Rotation): Promise<void> {
  await reportTimeToExpiry(SecretId, log);
  const pending = await readToken(SecretId, 'AWSPENDING', versionId).catch(() => undefined);
  if (pending && pending.expiresAt > Date.now()) return;
  if (pending) await discard(SecretId, versionId, 'The pending token has expired');
  const stored = await secretsManager.send(new GetSecretValueCommand({ SecretId: CLIENT_SECRET_ID }));
  const { value, expiresAt, scope } = await requestToken(origin, audience, parseClientCredentials(stored), deadline);
  const secret = { access_token: value, expires_at: new Date(expiresAt).toISOString(), scope };
  const put = { SecretId, ClientRequestToken: versionId, VersionStages: ['AWSPENDING'] };
  await secretsManager.send(new PutSecretValueCommand({ ...put, SecretString: JSON.stringify(secret) }));
}

/** Proves that Auth0 takes the pending token and that it carries every scope; throws with the scopes that are missing. */
async function testSecret({ SecretId, versionId, deadline }: Rotation): Promise<void> {
  const { value, scope } = await readToken(SecretId, 'AWSPENDING', versionId);
  // Where nobody says what was granted, the call below and each later one shows it.
  const missing = Object.values(SCOPES).filter((one) => scope && !scope.split(' ').includes(one));
  if (missing.length > 0) await discard(SecretId, versionId, `The new token lacks the scopes ${missing.join(', ')}`);
  const call = { method: 'GET' as const, origin, path: PROOF_PATH, headers: { authorization: `Bearer ${value}` } };
  for (let tries = 1; ; tries++) {
    const { status, body, failure } = await exchange({ ...call, timeout: Math.min(ATTEMPT_MS, deadline - Date.now()) });
    if (status === 401 || status === 403) await discard(SecretId, versionId, `Auth0 refused the new token (${status})`);
    // Not found, or found after all, is the answer of an Auth0 that has taken the token.
    if ((status === 404 || status === 200) && parseJson(body) !== undefined) return;
    const pause = backoff(tries, 300, 2000);
    if (tries >= MAX_TRIES || Date.now() + pause >= deadline)
      throw new Error(`Auth0 answered ${status} to the new token`, { cause: failure?.cause });
    await sleep(pause);
  }
}

/**
 * Gives up a pending token that will never be good, and throws why. A version's value can not be replaced, and Secrets
 * Manager attempts a rotation again with the same version: without this it would fail for ever, also after its cause is repaired.
 */
async function discard(SecretId: string, versionId: string, why: string): Promise<never> {
  const label = { SecretId, VersionStage: 'AWSPENDING', RemoveFromVersionId: versionId };
  await secretsManager.send(new UpdateSecretVersionStageCommand(label));
  throw new Error(why);
}

/** Makes the pending version the current one. */
async function finishSecret({ SecretId, versionId, log }: Rotation): Promise<void> {
  const { VersionIdsToStages = {} } = await secretsManager.send(new DescribeSecretCommand({ SecretId }));
  const current = Object.keys(VersionIdsToStages).find((version) =>
    VersionIdsToStages[version]?.includes('AWSCURRENT'),
  );
  const move = { SecretId, VersionStage: 'AWSCURRENT', MoveToVersionId: versionId, RemoveFromVersionId: current };
  await secretsManager.send(new UpdateSecretVersionStageCommand(move));
  await reportTimeToExpiry(SecretId, log);
}

const readToken = async (SecretId: string, VersionStage: string, VersionId?: string): Promise<ManagementToken> =>
  parseManagementToken(await secretsManager.send(new GetSecretValueCommand({ SecretId, VersionStage, VersionId })));

/** How long the current token has still to live; its alarm warns when several rotations in a row have failed. */
async function reportTimeToExpiry(SecretId: string, log: Log): Promise<void> {
  const token = await readToken(SecretId, 'AWSCURRENT').catch(() => undefined);
  const seconds = token ? Math.max(0, (token.expiresAt - Date.now()) / 1000) : 0;
  log.metrics('token_time_to_expiry', { TokenTimeToExpiry: seconds });
}
