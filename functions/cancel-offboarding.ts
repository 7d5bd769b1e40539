import * as v from 'valibot';
import { primeCalls } from '../lib/auth0/management-api.ts';
import { primeTable } from '../lib/aws/table.ts';
import { type HttpRequest, type HttpResponse, httpApi, parseQuery } from '../lib/http/http-api.ts';
import { ANSWER_TAKES_MS, cancelOrganization } from '../lib/offboarding/intake/cancel.ts';
import { CancellationQuery } from '../lib/offboarding/model/request.ts';
import { auth0Effects } from '../lib/offboarding/store/auth0-shell.ts';
import { DUE_EFFECTS } from '../lib/offboarding/store/offboarding-queue.ts';
import { endingAt, run, writerUntil } from '../lib/offboarding/store/shell.ts';
import { TABLE_EFFECTS } from '../lib/offboarding/store/table-shell.ts';
import { cancellationView } from '../lib/offboarding/views/cancellation.ts';
import { prime } from '../lib/priming.ts';

const Query = v.strictObject(CancellationQuery);

/** A cancellation waits for the tenant's limit no longer than this, milliseconds. */
const LONGEST_WAIT_MS = 1500;

export const handler = httpApi(cancelOffboarding, { organization: true, query: true });

/**
 * `DELETE /organizations/{organization_id}/offboarding`: from its response on nothing of this organization is removed. 200: what
 * its offboardings had disabled is enabled again, and the watch of what is completed has ended. 202: that goes on by itself, and
 * ends in its event.
 */
async function cancelOffboarding(http: HttpRequest): Promise<HttpResponse> {
  const { organizationId, query, caller = 'unknown', context } = http;
  const act = { caller, ...parseQuery(Query, query) };
  const input = { organization_id: organizationId, act, ...writerUntil(context.deadline) };
  // The core decides what is tried again, and writes to the table afterwards. What Auth0's limit holds up goes on by itself.
  const calls = { deadline: context.deadline - ANSWER_TAKES_MS, maxAttempts: 1, maxRateLimited: 2 };
  const performers = [
    endingAt(context.deadline, TABLE_EFFECTS, DUE_EFFECTS),
    auth0Effects({ ...context, ...calls, longestWait: LONGEST_WAIT_MS }),
  ];
  const result = await run(cancelOrganization(input, Date.now()), performers, context.log);
  const body = cancellationView(organizationId, result);
  context.log.info('cancellation_requested', { ...body, ...act });
  return { status: body.status === 'cancelling' ? 202 : 200, body };
}

await prime(primeCalls(), primeTable());
