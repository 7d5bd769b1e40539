// Whether what the stage's stack has made is there and set up: table, queues, bus, policies, the worker.
import { DescribeTableCommand, DynamoDBClient, ListTagsOfResourceCommand } from '@aws-sdk/client-dynamodb';
import { DescribeEventBusCommand, EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { GetPolicyCommand, IAMClient } from '@aws-sdk/client-iam';
import {
  GetFunctionRecursionConfigCommand,
  LambdaClient,
  ListEventSourceMappingsCommand,
} from '@aws-sdk/client-lambda';
import { ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { GetQueueAttributesCommand, SQSClient } from '@aws-sdk/client-sqs';
import { deployAccountStack, deployStage, type Place } from './place.ts';
import type { Stack } from './stacks.ts';

/** The tag by which an operator says that a restored table was compared; its value is the moment that it was restored to. */
const RESTORE_CHECKED = 'restore-checked';

export async function lookAtResources(place: Place, { outputs }: Stack): Promise<void> {
  const { client, findings, stack, partition, account, region } = place;
  const there = async <T>(what: string, look: Promise<T>): Promise<T | undefined> => {
    const found = await findings.seen(what, look, () =>
      findings.missing(what, `${stack} is there and it is not`, deployStage(place)),
    );
    if (found) findings.ok(what);
    return found;
  };
  const sqs = new SQSClient({ ...client, useQueueUrlAsEndpoint: false });
  for (const [key, QueueUrl] of outputs)
    if (/(Queue|DeadLetters)Url$/.test(key)) {
      const query = new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] });
      await there(key.replace('Url', ''), sqs.send(query));
    }
  const Bucket = outputs.get('ServerlessDeploymentBucketName');
  if (Bucket) {
    const s3 = new S3Client({ ...client, forcePathStyle: true });
    await there('bucket of artifacts', s3.send(new ListObjectsV2Command({ Bucket, MaxKeys: 1 })));
  }
  const how = `${deployAccountStack(place)} ApiId=${outputs.get('HttpApiId')}`;
  const bus = await there('bus', new EventBridgeClient(client).send(new DescribeEventBusCommand({ Name: stack })));
  // What a policy says is compared with the templates (policies.ts).
  if (bus && !bus.Policy)
    findings.missing(
      "bus's policy",
      'whoever in the account may put events can request an offboarding in the name of anybody, the service included',
      `${how}, and npm run publishers -- --stage ${place.stage}`,
    );

  const PolicyArn = `arn:${partition}:iam::${account}:policy/${stack}-offboard-${region}`;
  const look = new IAMClient(client).send(new GetPolicyCommand({ PolicyArn }));
  const policy = await findings.seen("callers' policies", look, () =>
    findings.missing(
      "callers' policies",
      'nobody can be let call the API, and the deploy role reaches any HTTP API of the region',
      how,
    ),
  );
  if (policy) findings.ok("callers' policies");
}

/** The worker, which alone disables and removes: it may send to its own queue, and its queue invokes it. */
export async function lookAtWorker(place: Place): Promise<void> {
  const { client, findings, stack } = place;
  const lambda = new LambdaClient(client);
  const FunctionName = `${stack}-offboard-organization`;
  const recursion = lambda.send(new GetFunctionRecursionConfigCommand({ FunctionName }));
  const loop = await findings.seen('recursion', recursion, () => {});
  if (loop?.RecursiveLoop === 'Allow') findings.ok('recursion', `${FunctionName} may send to its own queue`);
  else if (loop)
    findings.missing(
      'recursion',
      `Lambda stops ${FunctionName} after 16 deliveries of a request that waits, and its queue stands still`,
      deployStage(place),
    );
  const mappings = lambda.send(new ListEventSourceMappingsCommand({ FunctionName }));
  const found = await findings.seen('worker', mappings, () => {});
  for (const { UUID, State } of found?.EventSourceMappings ?? [])
    if (State === 'Enabled') findings.ok('worker', 'its queue invokes it');
    else
      findings.missing(
        'worker',
        `its event source is ${State}: nothing is disabled, removed or enabled again`,
        `When that is not on purpose: aws lambda update-event-source-mapping --uuid ${UUID} --enabled`,
      );
}

/**
 * The table, and whether it was made by a restore: then decisions that were made since the moment that it shows are gone, and older
 * ones count again. DynamoDB keeps this in the table's description; an operator who has compared it says so by a tag.
 */
export async function lookAtTable(place: Place, { outputs }: Stack): Promise<void> {
  const { client, findings, stack, stage } = place;
  const TableName = outputs.get('OffboardingsTableName') ?? `${stack}-offboardings`;
  const dynamoDb = new DynamoDBClient(client);
  const found = await findings.seen('table', dynamoDb.send(new DescribeTableCommand({ TableName })), () =>
    findings.missing('table', `${stack} is there and it is not`, deployStage(place)),
  );
  if (!found) return;
  const { TableArn: ResourceArn, RestoreSummary: { RestoreDateTime, RestoreInProgress } = {} } = found.Table ?? {};
  if (!RestoreDateTime) return findings.ok('table');
  if (RestoreInProgress) return findings.missing('table', 'it is being restored', 'Wait until it is there');
  const to = RestoreDateTime.toISOString();
  const tags = await findings.seen(
    'tags of the table',
    dynamoDb.send(new ListTagsOfResourceCommand({ ResourceArn })),
    () => {},
  );
  if (tags?.Tags?.some(({ Key, Value }) => Key === RESTORE_CHECKED && Value === to))
    return findings.ok('table', `made by a restore (of ${to}), and compared by an operator since`);
  findings.missing(
    'table',
    `it was made by a restore (of ${to}): what was cancelled, moved or completed since then counts again`,
    `With the worker's event source disabled, compare it: npm run doctor -- --stage ${stage} --archive QUEUE (docs/runbook.md, "A restored table"). Then say so: aws dynamodb tag-resource --resource-arn ${ResourceArn} --tags Key=${RESTORE_CHECKED},Value=${to}`,
  );
}
