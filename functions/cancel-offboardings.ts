import * as v from 'valibot';
import { type HttpRequest, type HttpResponse, httpApi, parseQuery } from '../lib/http/http-api.ts';
import { cancelBatch } from '../lib/offboarding/batch.ts';
import { sendDue } from '../lib/offboarding/queue.ts';
import { BatchId, CancellingQuery } from '../lib/offboarding/request.ts';

const Query = v.strictObject({ batch_id: BatchId, ...CancellingQuery });

export const handler = httpApi(cancelOffboardings);

/**
 * `DELETE /offboardings?batch_id=…`: 202 once nothing of the batch can be removed any more; what it had disabled is enabled by
 * itself, at the tenant's pace. May be called again, and goes on where it was cut off.
 */
async function cancelOffboardings({ query, caller, context }: HttpRequest): Promise<HttpResponse> {
  const { batch_id, ...said } = parseQuery(Query, query);
  const act = { at: new Date().toISOString(), caller: caller ?? 'unknown', ...said };
  const { accepted, not_pending } = await cancelBatch(batch_id, act, context.deadline);
  // What is accepted is found by the watch in any case; this makes it sooner.
  await sendDue(accepted).catch(() => undefined);
  const body = { batch_id, cancelling: accepted.length, not_pending };
  context.log.info('batch_cancelling_requested', { ...body, ...act });
  return { status: 202, body };
}
