import * as v from 'valibot';
import { type HttpRequest, type HttpResponse, httpApi, parseBody } from '../lib/http/http-api.ts';
import { fingerprintOf, idOf } from '../lib/http/idempotency.ts';
import { OrganizationId } from '../lib/ids.ts';
import { cancelBatch, offboardingIdOf } from '../lib/offboarding/batch.ts';
import { createBatch } from '../lib/offboarding/record.ts';
import { BatchBody } from '../lib/offboarding/request.ts';
import { assertPermitted, submit } from '../lib/offboarding/submission.ts';
import { Problem } from '../lib/problem.ts';

/** What may be left of a request's time when it has failed, milliseconds. */
const UNDONE_WITHIN_MS = 2000;

export const handler = httpApi(requestOffboardings, { body: true });

/**
 * `POST /offboardings`: 202 once each organization's request is on record and on the bus; what is no organization's id, or was
 * named before, is rejected. With an `Idempotency-Key` the same call is one batch, and goes on where it was cut off.
 */
async function requestOffboardings(request: HttpRequest): Promise<HttpResponse> {
  const { organization_ids: named, ...asked } = parseBody(BatchBody, request.body);
  const { correlationId: correlation_id, apiStage, calls } = request;
  const caller = request.caller ?? 'unknown';
  assertPermitted(asked, apiStage);
  const batch_id = idOf(request);
  const fingerprint = fingerprintOf({ organization_ids: named, ...asked });
  const checked = named.map((id, index, all) => ({ organization_id: id, code: rejection(id, index, all) }));
  const rejected = checked.filter(({ code }) => code !== undefined);
  const organization_ids = named.filter((_, index) => checked[index]?.code === undefined);
  const batch = await createBatch({ batch_id, fingerprint, organization_ids });
  if (batch.fingerprint !== fingerprint)
    throw new Problem('idempotency_key_reused', 'The Idempotency-Key was used with another body');
  const about = { requested_by: asked.requested_by ?? caller, correlation_id, caller, batch_id, fingerprint };
  const offboardings = organization_ids.map((organization_id) => {
    return { ...asked, ...about, organization_id, offboarding_id: offboardingIdOf(batch_id, organization_id) };
  });
  // Of a batch that was cancelled nothing begins any more.
  const toSubmit = batch.cancelled ? [] : offboardings;
  const hasKey = request.idempotencyKey !== undefined;
  // Nobody can repeat it without a key: what of it was accepted before it failed is cancelled.
  const act = { at: new Date().toISOString(), caller, reason: 'The request of the batch failed' };
  const undo = () => cancelBatch(batch_id, act, Date.now() + UNDONE_WITHIN_MS);
  const { submitted, full } = await submit(toSubmit, hasKey, calls.deadline, undo);
  const replayed = batch.cancelled === true || (submitted.length > 0 && submitted.every(({ isNew }) => !isNew));
  const status = batch.cancelled ? 'cancelled' : 'accepted';
  const accepted = organization_ids.length - full.size;
  const all = [...rejected, ...[...full].map((organization_id) => ({ organization_id, code: 'conflict' as const }))];
  const body = { batch_id, accepted, rejected: all, status, replayed };
  calls.log.info('offboardings_requested', { ...asked, caller, ...body, rejected: all.length });
  return { status: 202, body };
}

/** Why an organization of the batch is rejected; undefined when it is not. */
function rejection(id: string, index: number, all: string[]): 'invalid_organization_id' | 'duplicate' | undefined {
  if (!v.is(OrganizationId, id)) return 'invalid_organization_id';
  return all.indexOf(id) < index ? 'duplicate' : undefined;
}
