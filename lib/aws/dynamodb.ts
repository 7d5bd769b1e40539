import * as dynamodb from '@aws-sdk/client-dynamodb';
import { AwsJson1_0Protocol } from '@aws-sdk/core/protocols';
import { createClient } from './client.ts';

const protocol = new AwsJson1_0Protocol({
  defaultNamespace: 'com.amazonaws.dynamodb',
  serviceTarget: 'DynamoDB_20120810',
});
const call = createClient({ name: 'dynamodb', protocol, baseDelay: 25 });

// The calls of DynamoDB that are made, each as the SDK's command of its name.
export const getItem = /* @__PURE__ */ call<typeof dynamodb.GetItemCommand>(dynamodb.GetItem$);
export const batchGetItem = /* @__PURE__ */ call<typeof dynamodb.BatchGetItemCommand>(dynamodb.BatchGetItem$);
export const putItem = /* @__PURE__ */ call<typeof dynamodb.PutItemCommand>(dynamodb.PutItem$);
export const updateItem = /* @__PURE__ */ call<typeof dynamodb.UpdateItemCommand>(dynamodb.UpdateItem$);
export const query = /* @__PURE__ */ call<typeof dynamodb.QueryCommand>(dynamodb.Query$);
