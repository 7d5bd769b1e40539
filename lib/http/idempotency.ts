import { createHash, randomUUID } from 'node:crypto';
import type { HttpRequest } from './http-api.ts';

const sha256 = (...parts: string[]) => createHash('sha256').update(JSON.stringify(parts)).digest('hex');

/** A UUID that `parts` determine: version 8, the one for ids that are made in a way of one's own (RFC 9562, 5.8). */
export function uuidOf(...parts: string[]): string {
  const [, a, b, c, variant = '0', d, e] = /^(.{8})(.{4}).(.{3})(.)(.{3})(.{12})/.exec(sha256(...parts)) ?? [];
  return `${a}-${b}-8${c}-${'89ab'[Number.parseInt(variant, 16) % 4]}${d}-${e}`;
}

/**
 * The id of what a request makes: the same for the same `Idempotency-Key`, caller's role (a new session of it goes on where the
 * last one was cut off) and route; else one of its own.
 */
export const idOf = ({ idempotencyKey, role, route }: HttpRequest): string =>
  idempotencyKey === undefined ? randomUUID() : uuidOf(role, route, idempotencyKey);

/** What tells two bodies apart that came with the same key; `parameters` are the body as its schema reads it. */
export const fingerprintOf = (parameters: object): string => sha256(JSON.stringify(parameters));
