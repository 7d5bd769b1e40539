// One real event for each function, in an order in which each has something to do.
import { ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { type LocalEnvironment, QUEUE, SESSION_QUEUE, TOKEN_SECRET } from '../../../infra/local/environment.ts';
import { CON, gatewayEvent, ORG, type RequestOptions } from '../../service.ts';

/** Invokes a function by name; resolves to its answer as text. */
type InvokeByName = (name: string, event: unknown) => Promise<string>;

const OTHER = 'org_Qk2vN8sT5rWx1YzA';
const [SECOND, THIRD] = ['con_Yt4Lw9QeRb7UiXc3', 'con_Wd3Ef5GhTy7UjKl9'];
const reason = 'contract ended';
const clock = { source: 'aws.events', 'detail-type': 'Scheduled Event', detail: {} };

/** Invokes every function of the service in a fresh environment; resolves to their answers, in order. */
export async function playEveryFunction(local: LocalEnvironment, invoke: InvokeByName): Promise<[string, string][]> {
  const answers: [string, string][] = [];
  const play = async (name: string, event: unknown) => void answers.push([name, await invoke(name, event)]);
  const request = (name: string, options: RequestOptions = {}) => play(name, gatewayEvent(name, options));
  const ids = (...all: string[]) => all.map((connection_id) => ({ connection_id }));
  local.tenant.setOrganizations({ [ORG]: ids(CON, SECOND), [OTHER]: ids(THIRD) });
  local.tenant.addMembers(ORG, ['auth0|ann']);

  await request('disable-connection');
  await request('remove-connection');
  await request('request-offboarding', { body: { action: 'disable', end_sessions: true, reason } });
  await play('offboard-organization', await sqsEvent(local, QUEUE));
  await play('end-sessions', await sqsEvent(local, SESSION_QUEUE));
  await request('get-offboarding');
  await request('cancel-offboarding', { query: { reason } });
  await request('request-offboardings', { body: { organization_ids: [OTHER], action: 'disable', reason } });
  const { batch_id } = JSON.parse(JSON.parse(answers.at(-1)?.[1] ?? '').body);
  await request('list-offboardings', { query: { batch_id } });
  await request('cancel-offboardings', { query: { batch_id, reason } });
  await play('watch-offboardings', clock);
  local.aws.setRotation(TOKEN_SECRET, (event) => play('rotate-management-token', event));
  await local.aws.rotate(TOKEN_SECRET);
  return answers;
}

/** The next messages of a queue, as an event source mapping hands them to a function. */
async function sqsEvent(local: LocalEnvironment, queue: string) {
  const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
  const client = new SQSClient({ endpoint: local.aws.url, region: 'us-east-1', credentials });
  const input = { QueueUrl: `${local.aws.url}/000000000000/${queue}`, MaxNumberOfMessages: 10 };
  const { Messages = [] } = await client.send(new ReceiveMessageCommand(input));
  client.destroy();
  if (Messages.length === 0) throw new Error(`Nothing is in ${queue}`);
  return {
    Records: Messages.map(({ MessageId, ReceiptHandle, Body, MD5OfBody, Attributes }) => ({
      messageId: MessageId,
      receiptHandle: ReceiptHandle,
      body: Body,
      attributes: Attributes,
      messageAttributes: {},
      md5OfBody: MD5OfBody,
      eventSource: 'aws:sqs',
      eventSourceARN: `arn:aws:sqs:us-east-1:000000000000:${queue}`,
      awsRegion: 'us-east-1',
    })),
  };
}
