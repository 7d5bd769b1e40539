// `requeue` and `redrive`: the stage's dispatcher sends due work again, or moves dead letters back. No queue is touched from here.
import { parseJson } from '../../../lib/json.ts';
import { Failure, Refusal } from './ending.ts';
import { ORGANIZATION_ID } from './records.ts';
import type { Place } from './service.ts';
import { many, plain, print, reasonOf } from './terminal.ts';

export interface RequeueOptions extends Place {
  overdue?: true;
}
export interface RedriveOptions extends Place {
  all?: true;
}

/** Has the service work now on one organization, or on everything that is overdue. */
export async function requeue(
  organization: string | undefined,
  { overdue, ...place }: RequeueOptions,
): Promise<number> {
  const what = scopeOf(organization, overdue && 'overdue', '--overdue');
  const { requeued } = await dispatch(place, { requeue: what }, 'requeued');
  if (requeued === 0) print('Nothing was overdue or pending: nothing was requeued.');
  else print(`Requeued: ${many(requeued, 'organization')}. "list" shows how they go on.`);
  return 0;
}

/** Has the service move dead letters back to the queue that they came from. */
export async function redrive(organization: string | undefined, { all, ...place }: RedriveOptions): Promise<number> {
  const what = scopeOf(organization, all && 'all', '--all');
  const { redriven, left = 0 } = await dispatch(place, { redrive: what }, 'redriven');
  if (redriven === 0) print('There was no dead letter to move back.');
  else print(`Moved back: ${many(redriven, 'dead letter')}. "list" shows how they go on.`);
  if (left === 0) return 0;
  if (organization) print(`${many(left, 'dead letter')} stayed: of other organizations, or such as nobody can read.`);
  else print(`! ${many(left, 'dead letter')} stayed: the "reason" of each says why (the runbook, "Dead letters").`);
  return organization ? 0 : 1;
}

function scopeOf(organization: string | undefined, all: string | undefined, option: string) {
  if ((organization === undefined) === (all === undefined))
    throw new Refusal(`Say what: an organization, or ${option}.`);
  if (organization !== undefined && !ORGANIZATION_ID.test(organization))
    throw new Refusal(`"${plain(organization)}" is no organization id (org_ and letters and digits).`);
  return all ?? { organization_id: organization };
}

/** Invokes the stage's dispatcher and resolves to its answer, in which `counted` is a number. Throws a `Failure`. */
async function dispatch<N extends string>(
  place: Place,
  payload: object,
  counted: N,
): Promise<Record<N, number> & { left?: number }> {
  const { stage, url, region, profile } = place;
  if (url !== undefined)
    throw new Refusal(
      'This calls a function of a deployed stage, not the API: say --stage. "npm start" prints how to do it there.',
    );
  if (!stage || !/^[a-z][a-z0-9-]{0,19}$/.test(stage)) throw new Refusal('Say where: --stage (dev, staging or prod).');
  const { InvokeCommand, LambdaClient } = await import('@aws-sdk/client-lambda');
  const { operator } = await import('./credentials.ts');
  const who = await operator({ ...(region && { region }), ...(profile && { profile }) });
  const FunctionName = `org-connections-${stage}-dispatch-due-work`;
  print(`You are ${who.arn}, in account ${who.account}; stage ${stage} (${who.region}).`);
  const answer = await new LambdaClient(who.client)
    .send(new InvokeCommand({ FunctionName, Payload: Buffer.from(JSON.stringify(payload)) }))
    .catch((error: unknown) => {
      throw new Failure(`${FunctionName} was not called: ${reasonOf(error)}.`);
    });
  const json = Object(parseJson(Buffer.from(answer.Payload ?? []).toString()));
  if (answer.FunctionError || typeof json[counted] !== 'number')
    throw new Failure(`${FunctionName} failed: ${plain(json.errorMessage ?? 'no more was said')}.`);
  return json;
}
