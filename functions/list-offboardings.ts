import * as v from 'valibot';
import { primeQuery } from '../lib/aws/table.ts';
import { type HttpRequest, type HttpResponse, httpApi, parseQuery } from '../lib/http/http-api.ts';
import { OrganizationId } from '../lib/ids.ts';
import { BatchId } from '../lib/offboarding/model/request.ts';
import { STATUSES } from '../lib/offboarding/model/status.ts';
import { type ListedBy, listOffboardings } from '../lib/offboarding/views/list.ts';
import { prime } from '../lib/priming.ts';

/** A day or a moment; to the millisecond in UTC, as records have it. */
const Time = v.pipe(
  v.string(),
  v.regex(/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/, 'must be an ISO 8601 date or time'),
  v.check(isDate, 'must be an ISO 8601 date or time'),
  v.transform((text) => new Date(text).toISOString()),
);
const Query = v.pipe(
  v.strictObject({
    organization_id: v.optional(OrganizationId),
    offboarding_id: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(128))),
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
  v.check(
    ({ organization_id, offboarding_id }) => organization_id !== undefined || offboarding_id === undefined,
    'takes an offboarding_id with its organization_id alone',
  ),
);

/** Whether the day that a time begins with is one: 30 February is taken for 2 March by `Date`. */
function isDate(text: string): boolean {
  const day = text.slice(0, 10);
  const time = Date.parse(`${day}T00:00:00Z`);
  return !Number.isNaN(Date.parse(text)) && !Number.isNaN(time) && new Date(time).toISOString().startsWith(day);
}

export const handler = httpApi(getPage, { query: true });

/** `GET /offboardings`: 200, a page of offboardings by organization (or one of them), batch or status; with a batch its counts by status. */
async function getPage({ query }: HttpRequest): Promise<HttpResponse> {
  const { limit, cursor, since, until, offboarding_id, ...by } = parseQuery(Query, query);
  const [name = '', value = ''] = Object.entries(by).find(([, given]) => given !== undefined) ?? [];
  const page = { limit: Number(limit), cursor, since, until, offboarding_id };
  return { status: 200, body: await listOffboardings(name as ListedBy, value, page) };
}

await prime(primeQuery());
