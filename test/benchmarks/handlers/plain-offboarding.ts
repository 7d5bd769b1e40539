// An offboarding put on record and on the bus, and a list of them, with the AWS SDK's clients as they come and nothing else.
import { DynamoDBClient, PutItemCommand, QueryCommand } from '@aws-sdk/client-dynamodb';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { marshall, unmarshall } from '@aws-sdk/util-dynamodb';

const table = new DynamoDBClient({});
const bus = new EventBridgeClient({});
const { OFFBOARDINGS_TABLE = '', EVENT_BUS_NAME } = process.env;

async function request(organization_id: string, body: string) {
  const offboarding_id = crypto.randomUUID();
  const detail = { ...JSON.parse(body), organization_id, offboarding_id };
  const Item = marshall({ ...detail, offboarding_id: `plain ${offboarding_id}`, status: 'requested' });
  await table.send(new PutItemCommand({ TableName: OFFBOARDINGS_TABLE, Item }));
  const DetailType = 'organization.offboarding.requested';
  const entry = { EventBusName: EVENT_BUS_NAME, Source: 'plain', DetailType, Detail: JSON.stringify(detail) };
  await bus.send(new PutEventsCommand({ Entries: [entry] }));
  return { statusCode: 202, body: JSON.stringify({ offboarding_id }) };
}

async function list(organization_id: string) {
  const { Items = [] } = await table.send(
    new QueryCommand({
      TableName: OFFBOARDINGS_TABLE,
      KeyConditionExpression: 'organization_id = :id',
      ExpressionAttributeValues: marshall({ ':id': organization_id }),
      Limit: 100,
    }),
  );
  const offboardings = Items.map((item) => unmarshall(item));
  return { statusCode: 200, body: JSON.stringify({ offboardings }) };
}

// biome-ignore lint/suspicious/noExplicitAny: the gateway's event
export const handler = (event: any) =>
  event.requestContext.http.method === 'POST'
    ? request(event.pathParameters.organization_id, event.body)
    : list(event.queryStringParameters.organization_id);
