import { describeSecret, rotateSecret } from '../aws/secrets-manager.ts';
import { describeError, type Log } from '../log.ts';

/**
 * No container requests a rotation more often, and none does when the secret was rotated this recently: a wrong setup cannot cause a
 * storm of tokens, which Auth0 meters.
 */
const PAUSE_MS = 5 * 60_000;

/** A rotation that was requested, or why not. */
interface Rotation {
  /**
   * `unfinished`: one was under way already, or has failed and is attempted again. `too early`: the secret was rotated just now.
   */
  result: 'started' | 'unfinished' | 'too early' | 'not requested';
  /** When it was requested, and when the next one may be; Unix time in milliseconds. */
  requestedAt: number;
  nextAt: number;
  /** The version of the token that was rejected. */
  versionId: string | undefined;
}

/**
 * Requests rotations of the secret `SecretId`, at most one in five minutes and none within five minutes of the last rotation.
 * The function that it returns takes the version of the rejected token, and gives the request that was made, also where that was a
 * moment ago. It never rejects.
 */
export function createRotationRequest(SecretId: string) {
  let latest: Promise<Rotation> | undefined;
  let nextAt = 0;

  return async (versionId: string | undefined, log: Log): Promise<Rotation> => {
    if (!latest || Date.now() > nextAt) {
      nextAt = Date.now() + PAUSE_MS;
      latest = requestRotation(SecretId, versionId, log);
    }
    const rotation = await latest;
    nextAt = rotation.nextAt;
    return rotation;
  };
}

async function requestRotation(SecretId: string, versionId: string | undefined, log: Log): Promise<Rotation> {
  const requestedAt = Date.now();
  const about = { requestedAt, nextAt: requestedAt + PAUSE_MS, versionId };
  try {
    const description = await describeSecret({ SecretId });
    const since_rotation_ms = Date.now() - (description.LastRotatedDate?.getTime() ?? 0);
    const pause = PAUSE_MS - since_rotation_ms;
    if (!description.RotationEnabled) {
      log.error('rotation_not_requested', { reason: 'the secret is not rotated' });
      return { ...about, result: 'not requested' };
    }
    if (pause > 0) {
      const reason = 'the rejected token is fresh from a rotation; an operator may rotate it at once (rotate-secret)';
      log.error('rotation_not_requested', { reason, since_rotation_ms, next_request_in_s: Math.ceil(pause / 1000) });
      return { ...about, result: 'too early', nextAt: Date.now() + pause };
    }
    const answer = await rotateSecret({ SecretId, RotateImmediately: true });
    const result = (answer.VersionId ?? versionId) === versionId ? 'not requested' : 'started';
    log.warn('rotation_requested', { rotation: result });
    return { ...about, result };
  } catch (error) {
    // Secrets Manager refuses a second request while one is not complete, and attempts that one again.
    const result = /previous rotation/i.test(String(error)) ? 'unfinished' : 'not requested';
    log.warn('rotation_requested', { rotation: result, error: describeError(error) });
    return { ...about, result };
  }
}
