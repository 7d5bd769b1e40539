import { createHash } from 'node:crypto';
import * as v from 'valibot';

const ORGANIZATION_ID = /^org_[A-Za-z0-9]{1,46}$/;
const CONNECTION_ID = /^con_[A-Za-z0-9]{1,46}$/;

/** Ids as Auth0 gives them out: a prefix, letters and digits. Nothing else ever becomes part of a URL. */
export const OrganizationId = v.pipe(v.string(), v.regex(ORGANIZATION_ID, 'must be org_ and letters and digits'));
export const ConnectionId = v.pipe(v.string(), v.regex(CONNECTION_ID, 'must be con_ and letters and digits'));

/** What a caller names a request by: visible ASCII, so that it fits a header and a log line. */
export const CorrelationId = v.pipe(v.string(), v.regex(/^[\x21-\x7e]{1,128}$/));

/** The id of a client grant. Auth0 does not document its form: one path segment at any rate. */
export const ClientGrantId = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,100}$/, 'must be letters, digits, _ and -'));

/** SHA-256 of `parts` as hex digits; different lists of parts give different digests. */
export const sha256 = (...parts: string[]) => createHash('sha256').update(JSON.stringify(parts)).digest('hex');

/** The UUID that `parts` determine: version 8, which is for ids that are made in a way of one's own (RFC 9562, 5.8). */
export function deterministicUuid(...parts: string[]): string {
  const [, a, b, c, variant = '0', d, e] = /^(.{8})(.{4}).(.{3})(.)(.{3})(.{12})/.exec(sha256(...parts)) ?? [];
  return `${a}-${b}-8${c}-${'89ab'[Number.parseInt(variant, 16) % 4]}${d}-${e}`;
}
