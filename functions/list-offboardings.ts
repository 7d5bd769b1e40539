import * as v from 'valibot';
import { type HttpRequest, type HttpResponse, httpApi, parseQuery } from '../lib/http/http-api.ts';
import { OrganizationId } from '../lib/ids.ts';
import { type ListedBy, showPage } from '../lib/offboarding/list.ts';
import { STATUSES } from '../lib/offboarding/offboarding.ts';
import { BatchId } from '../lib/offboarding/request.ts';

/** A day or a moment; to the millisecond in UTC, as records have it. */
const Time = v.pipe(
  v.string(),
  v.regex(/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/, 'must be an ISO 8601 date or time'),
  v.check((text) => !Number.isNaN(Date.parse(text)), 'must be an ISO 8601 date or time'),
  v.transform((text) => new Date(text).toISOString()),
);
const Query = v.pipe(
  v.strictObject({
    organization_id: v.optional(OrganizationId),
    batch_id: v.optional(BatchId),
    status: v.optional(v.picklist(STATUSES, `must be one of ${STATUSES.join(', ')}`)),
    limit: v.optional(v.pipe(v.string(), v.regex(/^([1-9]\d?|100)$/, 'must be a number from 1 to 100')), '100'),
    cursor: v.optional(v.pipe(v.string(), v.maxLength(2000, 'is too long'))),
    since: v.optional(Time),
    until: v.optional(Time),
  }),
  v.check(
    ({ organization_id, batch_id, status }) => [organization_id, batch_id, status].filter(Boolean).length === 1,
    'takes exactly one of organization_id, batch_id and status',
  ),
  v.check(({ since = '', until = '~' }) => since <= until, 'takes no since that is after until'),
  v.check(
    ({ status, since, until }) => status !== undefined || !(since || until),
    'takes since and until with status alone',
  ),
);

export const handler = httpApi(getPage);

/** `GET /offboardings`: 200, a page of offboardings by organization, batch or status; with a batch its counts by status. */
async function getPage({ query }: HttpRequest): Promise<HttpResponse> {
  const { limit, cursor, since, until, ...by } = parseQuery(Query, query);
  const [name = '', value = ''] = Object.entries(by).find(([, given]) => given !== undefined) ?? [];
  return { status: 200, body: await showPage(name as ListedBy, value, { limit: Number(limit), cursor, since, until }) };
}
