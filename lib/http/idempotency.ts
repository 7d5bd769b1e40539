import { randomUUID } from 'node:crypto';
import { deterministicUuid } from '../digest.ts';
import type { HttpRequest } from './http-api.ts';

/**
 * The id of what a request makes: the same for the same `Idempotency-Key`, caller's role (a new session of it goes on where the
 * last one was cut off) and route. A request without a key gets a new one each time.
 */
export const idOf = ({ idempotencyKey, role, route }: HttpRequest): string =>
  idempotencyKey === undefined ? randomUUID() : deterministicUuid(role, route, idempotencyKey);
