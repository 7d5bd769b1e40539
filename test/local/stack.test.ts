// The local environment is made of the compiled template: what is deployed is what is simulated.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { localTemplate } from '../../infra/local/aws/template.ts';
import {
  DEAD_LETTERS,
  type LocalEnvironment,
  QUEUE,
  SCHEDULES,
  startEnvironment,
  TABLE,
  UNDELIVERED,
} from '../../infra/local/environment.ts';

let local: LocalEnvironment;
beforeAll(async () => {
  local = await startEnvironment({ connected: false });
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

test("each request goes to its message group by the rules' own patterns, and what nobody takes stays out", () => {
  const event = (detail: object, type = 'organization.offboarding.requested') => ({
    id: JSON.stringify(detail),
    source: 'billing',
    'detail-type': type,
    time: '2026-01-01T00:00:00Z',
    detail: { ...detail },
  });
  local.aws.publish(event({ organization_id: 'org_1' }));
  local.aws.publish(event({ organization_id: 'org_2', batch_id: 'b' }));
  local.aws.publish(event({ organization_id: 'org_3' }, 'organization.offboarding.completed'));
  expect(local.aws.messages(QUEUE).map(({ group }) => group)).toEqual(['single', 'batch']);
  expect(local.aws.lost()).toEqual([]);
});

test('a message that nobody finishes is a dead letter after as many receives as the template says', () => {
  const [{ maxReceiveCount }] = ofType('AWS::SQS::Queue').flatMap(({ RedrivePolicy }) => RedrivePolicy ?? []);
  const [message] = local.aws.messages(QUEUE);
  if (message) message.receiveCount = maxReceiveCount;
  local.aws.connect(QUEUE, [async () => ({ batchItemFailures: [] })]);
  return expect.poll(() => local.aws.messages(DEAD_LETTERS).length).toBe(1);
});
