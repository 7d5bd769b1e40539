// `requeue`: has the service look again at what is overdue or stuck. It goes on by the same steps as ever.
import { Failure, Refusal } from './ending.ts';
import { ORGANIZATION_ID, UUID } from './records.ts';
import { byId } from './restore.ts';
import { connect, type Place } from './service.ts';
import { many, plain, reasonOf } from './terminal.ts';

export interface RequeueOptions extends Place {
  offboarding?: string;
  overdue?: true;
}

export async function requeue(organization: string | undefined, options: RequeueOptions): Promise<number> {
  const { offboarding, overdue, stage, url } = options;
  const given = [organization, offboarding, overdue].filter((one) => one !== undefined);
  if (given.length !== 1) throw new Refusal('Say what: an organization, --offboarding ID, or --overdue.');
  if (organization !== undefined && !ORGANIZATION_ID.test(organization))
    throw new Refusal(`"${plain(organization)}" is no organization id (org_ and letters and digits).`);
  if (offboarding !== undefined && !UUID.test(offboarding))
    throw new Refusal(`"${plain(offboarding)}" is no offboarding id.`);
  if (url !== undefined)
    throw new Refusal(
      'requeue calls a function of a deployed stage, not the API: say --stage. "npm start" prints how to do it there.',
    );
  if (!stage || !/^[a-z][a-z0-9-]{0,19}$/.test(stage)) throw new Refusal('Say where: --stage (dev, staging or prod).');
  const { InvokeCommand, LambdaClient } = await import('@aws-sdk/client-lambda');
  const { operator } = await import('./credentials.ts');
  const who = await operator(options as { profile?: string; region?: string });
  const FunctionName = `org-connections-${stage}-watch-offboardings`;
  const [found] = offboarding === undefined ? [] : await byId(await connect({ stage, ...options }), offboarding);
  const about = overdue ? 'overdue' : { organization_id: organization ?? found?.organization_id };
  const Payload = Buffer.from(JSON.stringify({ requeue: about }));
  console.log(`You are ${who.arn}, in account ${who.account}; stage ${stage} (${who.region}).`);
  const answer = await new LambdaClient(who.client)
    .send(new InvokeCommand({ FunctionName, Payload }))
    .catch((error: unknown) => {
      throw new Failure(`${FunctionName} was not called: ${reasonOf(error)}.`);
    });
  const json = Object(parsed(Buffer.from(answer.Payload ?? []).toString()));
  if (answer.FunctionError || typeof json.requeued !== 'number')
    throw new Failure(`${FunctionName} failed: ${plain(json.errorMessage ?? 'no more was said')}.`);
  console.log(
    json.requeued === 0
      ? 'Nothing was overdue or pending: nothing was requeued.'
      : `Requeued: ${many(json.requeued, 'offboarding')}. "list" shows how they go on.`,
  );
  return 0;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
