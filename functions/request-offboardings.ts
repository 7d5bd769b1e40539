import * as v from 'valibot';
import { dynamoDb, eventBridge } from '../lib/aws.ts';
import { inParallel } from '../lib/concurrency.ts';
import { required } from '../lib/environment.ts';
import { createEventBus } from '../lib/event-bus.ts';
import { type HttpRequest, type HttpResponse, httpApi, parseBody } from '../lib/http-api.ts';
import { fingerprintOf, idOf, uuidOf } from '../lib/idempotency.ts';
import { OrganizationId } from '../lib/management-api.ts';
import { createOffboardingRecords, type Offboarding } from '../lib/offboarding-record.ts';
import { BatchBody, REQUESTED } from '../lib/offboarding-request.ts';
import { Problem } from '../lib/problem.ts';

const eventBus = createEventBus(required('EVENT_BUS_NAME'), eventBridge());
const records = createOffboardingRecords(required('OFFBOARDINGS_TABLE'), dynamoDb());

/** As many as the client has sockets for. */
const WRITES_AT_ONCE = 50;

export const handler = httpApi(requestOffboardings, { body: true });

/**
 * `POST /offboardings`: 202 once each organization's request is on record and on the bus; what is no organization's id, or was
 * named before, is told. With an `Idempotency-Key` the same call is one batch, and goes on where it was cut off.
 */
async function requestOffboardings(request: HttpRequest): Promise<HttpResponse> {
  const { organization_ids, ...order } = parseBody(BatchBody, request.body);
  const batch_id = idOf(request);
  if (!(await records.createBatch(batch_id, fingerprintOf({ organization_ids, ...order })))) {
    throw new Problem('idempotency_key_reused', 'The Idempotency-Key was used with another body');
  }
  const { correlationId: correlation_id, caller, calls } = request;
  const detail = { ...order, requested_by: order.requested_by ?? caller ?? 'unknown', correlation_id, batch_id };
  const time = new Date().toISOString();
  const { accepted, rejected } = sort(organization_ids);
  const requested: Offboarding[] = [];
  await inParallel(accepted, WRITES_AT_ONCE, async (organization_id) => {
    const offboarding_id = uuidOf(batch_id, organization_id);
    const origin = { id: offboarding_id, source: 'org-connections', time };
    const { record } = await records.create({ ...detail, organization_id, offboarding_id, request: origin });
    if (record.status === 'requested') requested.push(record);
  });
  const details = requested.map(({ organization_id, offboarding_id }) => ({
    ...detail,
    organization_id,
    offboarding_id,
  }));
  await eventBus.put(REQUESTED, details);
  calls.log.info('offboardings_requested', {
    batch_id,
    caller,
    accepted: accepted.size,
    rejected: rejected.length,
    ...order,
  });
  return { status: 202, body: { batch_id, accepted: accepted.size, rejected } };
}

function sort(ids: string[]) {
  const accepted = new Set<string>();
  const rejected: { organization_id: string; code: 'invalid_organization_id' | 'duplicate' }[] = [];
  for (const organization_id of ids) {
    if (!v.is(OrganizationId, organization_id)) rejected.push({ organization_id, code: 'invalid_organization_id' });
    else if (accepted.has(organization_id)) rejected.push({ organization_id, code: 'duplicate' });
    else accepted.add(organization_id);
  }
  return { accepted, rejected };
}
