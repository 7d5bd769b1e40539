// The local environment is made of the compiled template: what is deployed is what is simulated.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { localTemplate } from '../../infra/local/aws/template.ts';
import {
  DEAD_LETTERS,
  type LocalEnvironment,
  QUEUE,
  SCHEDULES,
  TABLE,
  UNDELIVERED,
} from '../../infra/local/environment.ts';
import { startEnvironmentInProcess } from '../in-process.ts';

let local: LocalEnvironment;
beforeAll(async () => {
  local = await startEnvironmentInProcess({ connected: false });
});
afterAll(() => local.close());

const resources = Object.values(localTemplate().Resources);
const ofType = (type: string) => resources.filter(({ Type }) => Type === type).map(({ Properties }) => Properties);

test("queues, functions and variables are the template's", async () => {
  for (const { QueueName } of ofType('AWS::SQS::Queue')) expect(local.aws.messages(QueueName)).toEqual([]);
  const names = ofType('AWS::Lambda::Function').map(({ FunctionName }) =>
    FunctionName.replace('org-connections-local-', ''),
  );
  for (const name of names) expect(() => local.functionNamed(name)).not.toThrow();
  expect(() => local.functionNamed('another')).toThrow(/not in the template/);
  expect(local.environment).toMatchObject({
    OFFBOARDING_QUEUE_URL: `${local.aws.url}/000000000000/${QUEUE}`,
    OFFBOARDINGS_TABLE: TABLE,
    REMOVAL_SCHEDULE_GROUP: SCHEDULES,
    EVENT_BUS_NAME: 'org-connections-local',
    REMOVAL_DEAD_LETTER_QUEUE_ARN: `arn:aws:sqs:us-east-1:000000000000:${UNDELIVERED}`,
  });
});

test("when a publisher requests an offboarding it reaches the queue, and the service's own request and outcomes do not", () => {
  const event = (organization_id: string, source: string, type = 'organization.offboarding.requested') => ({
    id: organization_id,
    source,
    'detail-type': type,
    time: '2026-01-01T00:00:00Z',
    detail: { organization_id },
  });
  local.aws.publish(event('org_1', 'billing'));
  local.aws.publish(event('org_2', 'billing', 'organization.offboarding.cancellation_requested'));
  local.aws.publish(event('org_3', 'org-connections'));
  local.aws.publish(event('org_4', 'org-connections', 'organization.offboarding.completed'));
  const messages = local.aws.messages(QUEUE);
  expect(messages.map(({ group, body }) => [group, JSON.parse(body).id])).toEqual([
    ['single', 'org_1'],
    ['single', 'org_2'],
  ]);
  expect(local.aws.lost()).toEqual([]);
});

test('a message that nobody finishes is a dead letter after as many receives as the template says', () => {
  const [{ maxReceiveCount }] = ofType('AWS::SQS::Queue').flatMap(({ RedrivePolicy }) => RedrivePolicy ?? []);
  const [message] = local.aws.messages(QUEUE);
  if (message) message.receiveCount = maxReceiveCount;
  local.aws.connect(QUEUE, [async () => ({ batchItemFailures: [] })]);
  return expect.poll(() => local.aws.messages(DEAD_LETTERS).length).toBe(1);
});
