import type { Context, SecretsManagerRotationEvent } from 'aws-lambda';
import { ClientCredentialsError } from '../lib/auth0/client-credentials.ts';
import { rotate } from '../lib/auth0/token-rotation.ts';
import { createLog, describeError } from '../lib/log.ts';

const DEFAULT_TIME_MS = 30_000;

/**
 * A step of the rotation of a token, as Secrets Manager calls it ("Rotation function", Secrets Manager user guide). Throws when it
 * cannot be done; the current token then stays as it is and Secrets Manager tries again.
 */
export async function handler(event: SecretsManagerRotationEvent, context: Partial<Context> = {}): Promise<void> {
  const { SecretId, ClientRequestToken: versionId, Step: step } = event;
  const log = createLog({ request_id: context.awsRequestId, step, version_id: versionId });
  const deadline = Date.now() + (context.getRemainingTimeInMillis?.() ?? DEFAULT_TIME_MS);
  try {
    const pair = await rotate(step, SecretId, versionId, deadline, log);
    log.info('rotation_step_done', { pair });
  } catch (error) {
    const { reason = 'other', retryAfter } = error instanceof ClientCredentialsError ? error : {};
    const fields = { reason, error: describeError(error), retry_after_s: retryAfter };
    log.metrics('rotation_step_failed', { RotationFailures: 1 }, fields, undefined, 'ERROR');
    throw error;
  }
}
