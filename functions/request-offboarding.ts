import { primeTable } from '../lib/aws/table.ts';
import { fingerprintOf } from '../lib/digest.ts';
import { type HttpRequest, type HttpResponse, httpApi, parseBody } from '../lib/http/http-api.ts';
import { idOf } from '../lib/http/idempotency.ts';
import { acceptOffboarding } from '../lib/offboarding/intake/accept.ts';
import { assertPermitted } from '../lib/offboarding/intake/permitted.ts';
import { OffboardingBody } from '../lib/offboarding/model/request.ts';
import { DUE_EFFECTS, primeQueue } from '../lib/offboarding/store/offboarding-queue.ts';
import { endingAt, run, writerUntil } from '../lib/offboarding/store/shell.ts';
import { TABLE_EFFECTS } from '../lib/offboarding/store/table-shell.ts';
import { acceptanceOf } from '../lib/offboarding/views/acceptance.ts';
import { prime } from '../lib/priming.ts';
import { Problem } from '../lib/problem.ts';

export const handler = httpApi(requestOffboarding, { organization: true, body: true });

/**
 * `POST /organizations/{organization_id}/offboarding`: 202 once the request is stored and counts. With an `Idempotency-Key` the
 * same request is one offboarding however often it is sent, and a repetition finishes what the first began.
 */
async function requestOffboarding(http: HttpRequest): Promise<HttpResponse> {
  const { organizationId: organization_id, correlationId: correlation_id, apiStage, context, idempotencyKey } = http;
  const caller = http.caller ?? 'unknown';
  const { organization_id: named, ...body } = parseBody(OffboardingBody, http.body);
  if ((named ?? organization_id) !== organization_id)
    throw new Problem('invalid_body', 'organization_id: must be the one of the path, or left out', { status: 422 });
  assertPermitted(body, apiStage);
  const offboarding_id = idOf(http);
  const parameters = { ...body, requested_by: body.requested_by ?? caller, ...(correlation_id && { correlation_id }) };
  const hasKey = idempotencyKey !== undefined;
  const request = { offboarding_id, parameters, caller, ...(hasKey && { fingerprint: fingerprintOf(body) }) };
  const writer = writerUntil(context.deadline);
  const core = acceptOffboarding({ organization_id, request, mayBeRepeated: hasKey, ...writer }, Date.now());
  const performers = [endingAt(context.deadline, TABLE_EFFECTS, DUE_EFFECTS)];
  const accepted = acceptanceOf(await run(core, performers, context.log), { offboarding_id });
  const { action, dry_run } = body;
  const answer = { offboarding_id, organization_id, action, dry_run, ...accepted };
  context.log.info('offboarding_requested', { ...parameters, caller, ...answer });
  return { status: 202, body: answer };
}

await prime(primeTable(), primeQueue());
