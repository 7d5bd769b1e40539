// The limit of plain-offboarding: the same calls over Node's own modules with a hand-made signature.
import { callAws } from './signed.ts';

const { OFFBOARDINGS_TABLE = '', EVENT_BUS_NAME } = process.env;
const dynamoDb = (operation: string, body: object) =>
  callAws('dynamodb', `DynamoDB_20120810.${operation}`, '1.0', { TableName: OFFBOARDINGS_TABLE, ...body });

async function request(organization_id: string, body: string) {
  const offboarding_id = crypto.randomUUID();
  const detail = { ...JSON.parse(body), organization_id, offboarding_id };
  const Item = { organization_id: { S: organization_id }, offboarding_id: { S: `limit ${offboarding_id}` } };
  await dynamoDb('PutItem', { Item: { ...Item, detail: { S: JSON.stringify(detail) } } });
  const DetailType = 'organization.offboarding.requested';
  const entry = { EventBusName: EVENT_BUS_NAME, Source: 'limit', DetailType, Detail: JSON.stringify(detail) };
  await callAws('events', 'AWSEvents.PutEvents', '1.1', { Entries: [entry] });
  return { statusCode: 202, body: JSON.stringify({ offboarding_id }) };
}

async function list(organization_id: string) {
  const { Items: offboardings = [] } = await dynamoDb('Query', {
    KeyConditionExpression: 'organization_id = :id',
    ExpressionAttributeValues: { ':id': { S: organization_id } },
    Limit: 100,
  });
  return { statusCode: 200, body: JSON.stringify({ offboardings }) };
}

// biome-ignore lint/suspicious/noExplicitAny: the gateway's event
export const handler = (event: any) =>
  event.requestContext.http.method === 'POST'
    ? request(event.pathParameters.organization_id, event.body)
    : list(event.queryStringParameters.organization_id);
