import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';
import type { Context, SecretsManagerRotationEvent } from 'aws-lambda';
import { secretsManager } from '../lib/aws.ts';
import { ClientCredentialsError, parseClientCredentials, requestToken } from '../lib/client-credentials.ts';
import { auth0Tenant, required } from '../lib/environment.ts';
import { createLog, describeError, type Log } from '../lib/log.ts';
import { createManagementApi, REQUIRED_SCOPES } from '../lib/management-api.ts';
import { type ManagementToken, parseManagementToken } from '../lib/management-token.ts';
import { Problem } from '../lib/problem.ts';

const { origin, audience } = auth0Tenant();
const CLIENT_SECRET_ID = required('MANAGEMENT_CLIENT_SECRET_ID');
const TOKEN_SECRET_ID = required('MANAGEMENT_TOKEN_SECRET_ID');
const client = secretsManager();

/** An organization that no tenant has: asking for its connections proves a token and reads nothing. */
const NO_ORGANIZATION = 'org_0000000000000000';
const MARGIN_MS = 1000;

interface Rotation {
  secretId: string;
  versionId: string;
  deadline: number;
  log: Log;
}

const STEPS: Record<string, (rotation: Rotation) => Promise<void>> = {
  createSecret,
  // The token is good at Auth0 from the moment that it is issued: there is nothing to set.
  setSecret: async () => {},
  testSecret,
  finishSecret,
};

/**
 * A step of the rotation of the management token, as Secrets Manager calls it ("Rotation function", Secrets Manager user
 * guide). Each may be called twice or be cut off at any point. Throws when the step can not be done; the current token then
 * stays as it is and Secrets Manager tries again.
 */
export async function handler(event: SecretsManagerRotationEvent, context: Partial<Context> = {}): Promise<void> {
  const { SecretId: secretId, ClientRequestToken: versionId, Step: step } = event;
  const log = createLog({ request_id: context.awsRequestId, step, version_id: versionId });
  const deadline = Date.now() + (context.getRemainingTimeInMillis?.() ?? 30_000) - MARGIN_MS;
  try {
    if (await isPending(secretId, versionId)) {
      const run = Object.hasOwn(STEPS, step) ? STEPS[step] : undefined;
      if (!run) throw new Error('The rotation has no such step');
      await run({ secretId, versionId, deadline, log });
    }
    log.info('rotation_step_done');
  } catch (error) {
    const { reason = 'other', retryAfter } = error instanceof ClientCredentialsError ? error : {};
    const fields = { error: describeError(error), retry_after_s: retryAfter };
    log.metrics('rotation_step_failed', { RotationFailures: [1, 'Count'] }, fields, ['reason', reason]);
    throw error;
  }
}

/** Whether the version waits to become current; false when it is current already. Throws when it must not be rotated. */
async function isPending(secretId: string, versionId: string): Promise<boolean> {
  const secret = await client.send(new DescribeSecretCommand({ SecretId: secretId }));
  // Secrets Manager names the secret by its ARN, the configuration may by its name.
  if (![secretId, secret.ARN, secret.Name].includes(TOKEN_SECRET_ID))
    throw new Error('The secret is not the management token');
  if (!secret.RotationEnabled) throw new Error('The secret is not set up for rotation');
  const stages = secret.VersionIdsToStages?.[versionId];
  if (stages?.includes('AWSCURRENT')) return false;
  if (!stages?.includes('AWSPENDING')) throw new Error('The version is not staged for rotation');
  return true;
}

/** Asks Auth0 for a token and stores it as the pending version, unless that holds one already. */
async function createSecret({ secretId, versionId, deadline, log }: Rotation): Promise<void> {
  await reportTimeToExpiry(secretId, log);
  const pending = await tokenOf(secretId, 'AWSPENDING', versionId).catch(() => undefined);
  if (pending && pending.expiresAt > Date.now()) return;
  if (pending) await discard(secretId, versionId, new Error('The pending token has expired'));
  const stored = await client.send(new GetSecretValueCommand({ SecretId: CLIENT_SECRET_ID }));
  const token = await requestToken(origin, audience, parseClientCredentials(stored), deadline);
  const value = {
    access_token: token.value,
    expires_at: new Date(token.expiresAt).toISOString(),
    scope: token.scope,
  };
  const put = { SecretId: secretId, ClientRequestToken: versionId, VersionStages: ['AWSPENDING'] };
  await client.send(new PutSecretValueCommand({ ...put, SecretString: JSON.stringify(value) }));
}

/** Proves that Auth0 takes the pending token and that it carries every scope; throws with the scopes that are missing. */
async function testSecret({ secretId, versionId, deadline, log }: Rotation): Promise<void> {
  const token = await tokenOf(secretId, 'AWSPENDING', versionId);
  const granted = token.scope.split(' ');
  // Where nobody says what was granted, the call below and each later one shows it.
  const missing = token.scope ? Object.values(REQUIRED_SCOPES).filter((scope) => !granted.includes(scope)) : [];
  if (missing.length > 0) {
    await discard(secretId, versionId, new Error(`The new token lacks the scopes ${missing.join(', ')}`));
  }
  const refused = async () => new Problem('management_token_rejected', 'Auth0 refused the new token');
  const source = { get: async () => token, refresh: async () => token, rejected: refused };
  const calls = { deadline, log, statuses: [], auth0Ms: 0 };
  try {
    await createManagementApi(origin, source).list(NO_ORGANIZATION, calls);
  } catch (error) {
    const code = error instanceof Problem ? error.code : undefined;
    if (code === 'management_token_rejected' || code === 'management_token_scope_missing')
      await discard(secretId, versionId, error);
    // Not found is the answer of an Auth0 that has taken the token.
    if (code !== 'not_found') throw error;
  }
}

/**
 * Gives up a pending token that will never be good, and throws `reason`. A version's value can not be replaced, and Secrets
 * Manager attempts a rotation again with the same version: without this it would fail for ever, also after its cause is mended.
 */
async function discard(secretId: string, versionId: string, reason: unknown): Promise<never> {
  const label = { SecretId: secretId, VersionStage: 'AWSPENDING', RemoveFromVersionId: versionId };
  await client.send(new UpdateSecretVersionStageCommand(label));
  throw reason;
}

/** Makes the pending version the current one. */
async function finishSecret({ secretId, versionId, log }: Rotation): Promise<void> {
  const secret = await client.send(new DescribeSecretCommand({ SecretId: secretId }));
  const current = Object.entries(secret.VersionIdsToStages ?? {}).find(([, stages]) =>
    stages.includes('AWSCURRENT'),
  )?.[0];
  const move = { SecretId: secretId, VersionStage: 'AWSCURRENT', MoveToVersionId: versionId };
  await client.send(new UpdateSecretVersionStageCommand({ ...move, ...(current && { RemoveFromVersionId: current }) }));
  await reportTimeToExpiry(secretId, log);
}

async function tokenOf(secretId: string, stage: string, versionId?: string): Promise<ManagementToken> {
  const query = { SecretId: secretId, VersionStage: stage, ...(versionId && { VersionId: versionId }) };
  return parseManagementToken(await client.send(new GetSecretValueCommand(query)));
}

/** How long the current token has still to live; its alarm warns when several rotations in a row have failed. */
async function reportTimeToExpiry(secretId: string, log: Log): Promise<void> {
  const token = await tokenOf(secretId, 'AWSCURRENT').catch(() => undefined);
  const seconds = token ? Math.max(0, (token.expiresAt - Date.now()) / 1000) : 0;
  log.metrics('token_time_to_expiry', { TokenTimeToExpiry: [seconds, 'Seconds'] });
}
