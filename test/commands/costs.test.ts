// How counts become dollars, and how the units of the table are counted. The counting itself takes a grace period of a minute:
// `npm run costs` is run by hand.
import { DynamoDBClient, GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { expect, test } from 'vitest';
import type { Measured } from '../../infra/commands/costs/measure.ts';
import { alarmMetricsIn, monthsOf, type Resource } from '../../infra/commands/costs/months.ts';
import { startTableMeter } from '../../infra/commands/costs/table-meter.ts';
import { startAws } from '../../infra/local/aws.ts';

type Count = Measured['patch'];
const count = (more: Partial<Count>): Count => ({
  ...{ calls: {}, table: { read: 0, write: 0 }, events: 0, eventBytes: 0, logBytes: 0, metrics: new Set<string>() },
  ...more,
});
const functionOf = (name: string, MemorySize: number): Resource => ({
  Type: 'AWS::Lambda::Function',
  Properties: { FunctionName: `org-connections-prod-${name}`, MemorySize },
});
const alarm = (Properties: object): Resource => ({ Type: 'AWS::CloudWatch::Alarm', Properties });
const template = [
  functionOf('disable-connection', 512),
  functionOf('offboard-organization', 256),
  { Type: 'AWS::SecretsManager::Secret', Properties: {} },
  alarm({}),
  alarm({ Metrics: [{ MetricStat: {} }, { MetricStat: {} }, { Expression: 'a + b' }] }),
];
const measured: Measured = {
  patch: count({ logBytes: 600, metrics: new Set(['a']) }),
  offboarding: count({
    calls: { CreateSchedule: 1 },
    table: { write: 30, read: 8 },
    events: 3,
    metrics: new Set(['b']),
  }),
  check: count({ table: { write: 3, read: 4 } }),
  organizationBytes: 2048,
};
const dollars = (name: string) => {
  const [, costs = {}] = monthsOf(template, measured).find(([row]) => row.startsWith(name)) ?? [];
  return Object.fromEntries(Object.entries(costs).map(([part, one]) => [part, Number(one.toFixed(3))]));
};

test('when an alarm has an expression, each metric in it is billed', () => {
  expect(alarmMetricsIn(template)).toBe(3);
  expect(dollars('an idle stage, a month')).toMatchObject({ alarms: 0.3, secrets: 0.407, dashboard: 0 });
});

test('when there is work, what was counted is billed as often as it happens', () => {
  expect(dollars('on top: 10,000 offboardings')).toEqual({
    ...{ table: 0.198, queue: 0.03, events: 0.03, schedules: 0.01, logs: 0 },
    functions: Number((20_000 * (0.2e-6 + 1.2 * 0.25 * 0.0000133334 + 5e-6)).toFixed(3)),
  });
  expect(dollars('on top: watching')).toMatchObject({ table: 0.721, queue: 0.45 });
  expect(dollars('on top: a PATCH a second')).toMatchObject({ api: 2.592, metrics: 0.6 });
});

test("when functions write and read, DynamoDB's own capacity units are counted, also of a refused write", async () => {
  const [aws, meter] = [await startAws(), await startTableMeter()];
  meter.connect(aws.url);
  const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
  const client = new DynamoDBClient({ endpoint: meter.url, region: 'us-east-1', credentials });
  const TableName = 'units';
  const key = { AttributeName: 'id', KeyType: 'HASH' as const };
  await aws.dynamoDb.create({
    TableName,
    AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
    KeySchema: [key],
    BillingMode: 'PAY_PER_REQUEST',
  });
  const Item = { id: { S: 'a' }, text: { S: 'x'.repeat(2500) } };
  await client.send(new PutItemCommand({ TableName, Item }));
  await client.send(new GetItemCommand({ TableName, Key: { id: Item.id }, ConsistentRead: true }));
  expect(meter.units()).toEqual({ write: 3, read: 1 });
  const refused = new PutItemCommand({ TableName, Item, ConditionExpression: 'attribute_not_exists(id)' });
  await expect(client.send(refused)).rejects.toThrow('conditional');
  expect(meter.units().write).toBe(4);
  await meter.close();
  await aws.close();
});
