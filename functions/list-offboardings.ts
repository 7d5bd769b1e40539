import * as v from 'valibot';
import { type HttpRequest, type HttpResponse, httpApi } from '../lib/http-api.ts';
import { OrganizationId } from '../lib/ids.ts';
import { describeIssues } from '../lib/json.ts';
import { countBatch, type ListedBy, listOffboardings } from '../lib/offboarding-list.ts';
import { type Offboarding, STATUSES } from '../lib/offboarding-record.ts';
import { Problem } from '../lib/problem.ts';

const Query = v.pipe(
  v.strictObject({
    organization_id: v.optional(OrganizationId),
    batch_id: v.optional(v.pipe(v.string(), v.uuid('must be the batch_id that POST /offboardings answered'))),
    status: v.optional(v.picklist(STATUSES, `must be one of ${STATUSES.join(', ')}`)),
    limit: v.optional(v.pipe(v.string(), v.regex(/^([1-9]\d?|100)$/, 'must be a number from 1 to 100')), '100'),
    cursor: v.optional(v.pipe(v.string(), v.maxLength(2000, 'is too long'))),
  }),
  v.check(
    ({ organization_id, batch_id, status }) => [organization_id, batch_id, status].filter(Boolean).length === 1,
    'takes exactly one of organization_id, batch_id and status',
  ),
);

export const handler = httpApi(getPage);

/** `GET /offboardings`: 200, a page of offboardings by organization, batch or status; with a batch its counts by status. */
async function getPage({ query }: HttpRequest): Promise<HttpResponse> {
  const parsed = v.safeParse(Query, query);
  if (!parsed.success) throw new Problem('invalid_query', describeIssues(parsed.issues, 'query'));
  const { limit, cursor, ...by } = parsed.output;
  const [name = '', value = ''] = Object.entries(by).find(([, given]) => given !== undefined) ?? [];
  const [page, counts] = await Promise.all([
    listOffboardings(name as ListedBy, value, Number(limit), cursor),
    by.batch_id === undefined ? undefined : countBatch(by.batch_id),
  ]);
  return { status: 200, body: { offboardings: page.offboardings.map(shown), cursor: page.cursor, counts } };
}

/** A record as its readers see it: what serves the table alone is left out. */
function shown(record: Offboarding) {
  const { revision, fingerprint, unpublished, expires_at, cursor_key, ...rest } = record;
  const { check_at, disabling_until, ...seen } = rest;
  return seen;
}
