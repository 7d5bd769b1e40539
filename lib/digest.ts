import { createHash } from 'node:crypto';

/** SHA-256 of `parts` as hex digits; different lists of parts give different digests. */
export const sha256 = (...parts: string[]) => createHash('sha256').update(JSON.stringify(parts)).digest('hex');

/** Tells apart two requests that came with the same key; `parameters` are the body as its schema reads it. */
export const fingerprintOf = (parameters: object): string => sha256(JSON.stringify(parameters));

/** The UUID that `parts` determine: version 8, which is for ids that are made in a way of one's own (RFC 9562, 5.8). */
export function deterministicUuid(...parts: string[]): string {
  const [, a, b, c, variant = '0', d, e] = /^(.{8})(.{4}).(.{3})(.)(.{3})(.{12})/.exec(sha256(...parts)) ?? [];
  return `${a}-${b}-8${c}-${'89ab'[Number.parseInt(variant, 16) % 4]}${d}-${e}`;
}
