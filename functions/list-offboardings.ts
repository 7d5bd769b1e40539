import * as v from 'valibot';
import { dynamoDb } from '../lib/aws.ts';
import { required } from '../lib/environment.ts';
import { type HttpRequest, type HttpResponse, httpApi } from '../lib/http-api.ts';
import { describeIssues } from '../lib/json.ts';
import { OrganizationId } from '../lib/management-api.ts';
import { createOffboardingList, type ListedBy } from '../lib/offboarding-list.ts';
import { createOffboardingRecords, type Offboarding, STATUSES } from '../lib/offboarding-record.ts';
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

const table = required('OFFBOARDINGS_TABLE');
const client = dynamoDb();
const list = createOffboardingList(table, client, createOffboardingRecords(table, client));

export const handler = httpApi(listOffboardings);

/** `GET /offboardings`: 200, a page of offboardings by organization, batch or status; with a batch its counts by status. */
async function listOffboardings({ query }: HttpRequest): Promise<HttpResponse> {
  const parsed = v.safeParse(Query, query);
  if (!parsed.success) throw new Problem('invalid_query', describeIssues(parsed.issues, 'query'));
  const { limit, cursor, ...by } = parsed.output;
  const [name = '', value = ''] = Object.entries(by).find(([, given]) => given !== undefined) ?? [];
  const [page, counts] = await Promise.all([
    list.page(name as ListedBy, value, Number(limit), cursor),
    by.batch_id === undefined ? undefined : list.countsOf(by.batch_id),
  ]);
  const body = { offboardings: page.offboardings.map(shown), cursor: page.cursor, ...(counts && { counts }) };
  return { status: 200, body };
}

/** A record as its readers see it: what serves the table alone is left out. */
function shown({ revision, fingerprint, unpublished, expires_at, look_at, disabling_until, ...record }: Offboarding) {
  return record;
}
