import * as v from 'valibot';
import { primeTable } from '../lib/aws/table.ts';
import { type HttpRequest, type HttpResponse, httpApi, parseQuery } from '../lib/http/http-api.ts';
import { memberIdOf } from '../lib/offboarding/intake/batch-members.ts';
import { cancelBatch } from '../lib/offboarding/intake/cancel-batch.ts';
import { BatchId, CancellationQuery } from '../lib/offboarding/model/request.ts';
import { DUE_EFFECTS, primeQueue } from '../lib/offboarding/store/offboarding-queue.ts';
import { endingAt, run, writerUntil } from '../lib/offboarding/store/shell.ts';
import { READ_TOGETHER, TABLE_EFFECTS } from '../lib/offboarding/store/table-shell.ts';
import { unavailable } from '../lib/offboarding/views/cancellation.ts';
import { prime } from '../lib/priming.ts';
import { Problem } from '../lib/problem.ts';

const Query = v.strictObject({ batch_id: BatchId, ...CancellationQuery });

export const handler = httpApi(cancelOffboardings, { query: true });

/**
 * `DELETE /offboardings?batch_id=…`: 202 once nothing of the batch can begin to be removed any more; what it had disabled is enabled
 * at the tenant's pace. May be sent again, and goes on where it was cut off.
 */
async function cancelOffboardings({ query, caller = 'unknown', context }: HttpRequest): Promise<HttpResponse> {
  const { batch_id, ...said } = parseQuery(Query, query);
  const act = { at: new Date().toISOString(), caller, ...said };
  const core = cancelBatch({ batch_id, act, memberIdOf, ...writerUntil(context.deadline) }, Date.now());
  const result = await run(core, [endingAt(context.deadline, TABLE_EFFECTS, READ_TOGETHER, DUE_EFFECTS)], context.log);
  if (result.is === 'not found') throw new Problem('not_found', 'There is no such batch');
  if (result.is === 'unavailable') throw unavailable('unavailable');
  const { cancelling, not_pending } = result;
  const body = { batch_id, cancelling, not_pending };
  context.log.info('batch_cancellation_requested', { ...body, ...act });
  return { status: 202, body };
}

await prime(primeTable(), primeQueue());
