import pMap from 'p-map';
import * as v from 'valibot';
import { putEvents } from '../lib/event-bus.ts';
import { type HttpRequest, type HttpResponse, httpApi, parseBody } from '../lib/http-api.ts';
import { fingerprintOf, idOf, uuidOf } from '../lib/idempotency.ts';
import { OrganizationId } from '../lib/ids.ts';
import { createBatch, createRecord } from '../lib/offboarding-record.ts';
import { BatchBody, REQUESTED } from '../lib/offboarding-request.ts';
import { Problem } from '../lib/problem.ts';

/** As many as the client has sockets for. */
const WRITES_AT_ONCE = 50;

export const handler = httpApi(requestOffboardings, { body: true });

/**
 * `POST /offboardings`: 202 once each organization's request is on record and on the bus; what is no organization's id, or was
 * named before, is rejected. With an `Idempotency-Key` the same call is one batch, and goes on where it was cut off.
 */
async function requestOffboardings(request: HttpRequest): Promise<HttpResponse> {
  const { organization_ids, ...order } = parseBody(BatchBody, request.body);
  const batch_id = idOf(request);
  if (!(await createBatch(batch_id, fingerprintOf({ organization_ids, ...order }))))
    throw new Problem('idempotency_key_reused', 'The Idempotency-Key was used with another body');
  const { correlationId: correlation_id, caller, calls } = request;
  const { requested_by = caller ?? 'unknown' } = order;
  const checked = organization_ids.map((id, index, all) => ({ organization_id: id, code: rejection(id, index, all) }));
  const rejected = checked.filter(({ code }) => code !== undefined);
  const ids = checked.flatMap(({ organization_id, code }) => (code === undefined ? [organization_id] : []));
  const details = ids.map((organization_id) => {
    const offboarding_id = uuidOf(batch_id, organization_id);
    return { ...order, requested_by, correlation_id, batch_id, organization_id, offboarding_id };
  });
  const all = await pMap(details, createRecord, { concurrency: WRITES_AT_ONCE });
  const toPublish = details.filter((_, index) => all[index]?.status === 'requested');
  await putEvents(REQUESTED, toPublish);
  const body = { batch_id, accepted: ids.length, rejected };
  calls.log.info('offboardings_requested', { ...body, rejected: rejected.length, caller, ...order });
  return { status: 202, body };
}

/** Why an organization of the batch is rejected; undefined when it is not. */
function rejection(id: string, index: number, all: string[]): 'invalid_organization_id' | 'duplicate' | undefined {
  if (!v.is(OrganizationId, id)) return 'invalid_organization_id';
  return all.indexOf(id) < index ? 'duplicate' : undefined;
}
