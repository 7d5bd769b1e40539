import { createHash, randomUUID } from 'node:crypto';
import type { HttpRequest } from './http-api.ts';

const sha256 = (...parts: string[]) => createHash('sha256').update(JSON.stringify(parts)).digest('hex');

/** A UUID that `parts` determine. */
export const uuidOf = (...parts: string[]): string =>
  sha256(...parts).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/, '$1-$2-$3-$4-$5');

/** The id of what a request makes: the same for the same `Idempotency-Key`, caller's account and route; else one of its own. */
export const idOf = ({ idempotencyKey, account, route }: HttpRequest): string =>
  idempotencyKey === undefined ? randomUUID() : uuidOf(account, route, idempotencyKey);

/** What tells two bodies apart that came with the same key; `order` is the body as its schema reads it. */
export const fingerprintOf = (order: object): string => sha256(JSON.stringify(order));
