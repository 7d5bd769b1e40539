import { randomUUID } from 'node:crypto';
import { deterministicUuid, sha256 } from '../ids.ts';
import type { HttpRequest } from './http-api.ts';

/**
 * The id of what a request makes: the same for the same `Idempotency-Key`, caller's role (a new session of it goes on where the
 * last one was cut off) and route. A request without a key gets a new one each time.
 */
export const idOf = ({ idempotencyKey, role, route }: HttpRequest): string =>
  idempotencyKey === undefined ? randomUUID() : deterministicUuid(role, route, idempotencyKey);

/** Tells apart two bodies that came with the same key; `parameters` are the body as its schema reads it. */
export const fingerprintOf = (parameters: object): string => sha256(JSON.stringify(parameters));
