import { primeTable } from '../lib/aws/table.ts';
import { fingerprintOf } from '../lib/digest.ts';
import { type HttpRequest, type HttpResponse, httpApi, parseBody } from '../lib/http/http-api.ts';
import { idOf } from '../lib/http/idempotency.ts';
import { acceptBatch } from '../lib/offboarding/intake/accept-batch.ts';
import { memberIdOf, membersOf } from '../lib/offboarding/intake/batch-members.ts';
import { assertPermitted } from '../lib/offboarding/intake/permitted.ts';
import { BatchBody } from '../lib/offboarding/model/request.ts';
import { DUE_EFFECTS, primeQueue } from '../lib/offboarding/store/offboarding-queue.ts';
import { endingAt, run, writerUntil } from '../lib/offboarding/store/shell.ts';
import { TABLE_EFFECTS } from '../lib/offboarding/store/table-shell.ts';
import { acceptanceOf } from '../lib/offboarding/views/acceptance.ts';
import { prime } from '../lib/priming.ts';

export const handler = httpApi(requestOffboardings, { body: true });

/**
 * `POST /offboardings`: 202 once one write has accepted the whole batch. What is no organization's id, or was named before, is
 * rejected. With an `Idempotency-Key` the same call is one batch, and a repetition finishes what the first began.
 */
async function requestOffboardings(http: HttpRequest): Promise<HttpResponse> {
  const { correlationId: correlation_id, idempotencyKey, apiStage, context } = http;
  const caller = http.caller ?? 'unknown';
  const { organization_ids: named, urgent, ...body } = parseBody(BatchBody, http.body);
  assertPermitted({ ...body, urgent }, apiStage);
  const batch_id = idOf(http);
  const parameters = { ...body, requested_by: body.requested_by ?? caller, ...(correlation_id && { correlation_id }) };
  const { organization_ids, rejected } = membersOf(named);
  const request = { parameters, caller, ...(urgent && { urgent }) };
  const fingerprint = fingerprintOf({ organization_ids: named, urgent, ...body });
  const about = { batch_id, fingerprint, hasKey: idempotencyKey !== undefined, organization_ids, request, memberIdOf };
  const core = acceptBatch({ ...about, ...writerUntil(context.deadline) }, Date.now());
  const performers = [endingAt(context.deadline, TABLE_EFFECTS, DUE_EFFECTS)];
  const accepted = acceptanceOf(await run(core, performers, context.log), { batch_id });
  const answer = { batch_id, ...accepted, rejected };
  context.log.info('offboardings_requested', { ...parameters, caller, ...answer, rejected: rejected.length });
  return { status: 202, body: answer };
}

await prime(primeTable(), primeQueue());
