// The surroundings of the functions on a laptop and in tests: a tenant, the AWS services, and the two functions that no HTTP
// route calls, wired as serverless.yml wires them in AWS.
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateTableCommand, DynamoDBClient, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { marshall } from '@aws-sdk/util-dynamodb';
import { type Plan, startAuth0Tenant } from './auth0-tenant.ts';
import { type BusEvent, startAws } from './aws.ts';
import { createFunction, type FunctionOptions, type LocalFunction } from './lambda.ts';

export const CLIENT_SECRET = 'org-connections/local/management-client';
export const TOKEN_SECRET = 'org-connections/local/management-token';
export const QUEUE = 'org-connections-local-offboarding.fifo';
export const DEAD_LETTERS = 'org-connections-local-offboarding-dead-letters.fifo';
export const UNDELIVERED = 'org-connections-local-removals-undelivered';
export const SCOPES = 'read:organization_connections update:organization_connections delete:organization_connections';
export const SCHEDULES = 'org-connections-local';
export const TABLE = 'org-connections-local-offboardings';

/** The table's keys and indexes, as the deployment has them. */
const { AttributeDefinitions, KeySchema, GlobalSecondaryIndexes } = createRequire(import.meta.url)(
  '../offboardings-table.cjs',
).Resources.OffboardingsTable.Properties;

interface Options {
  plan?: Plan;
  /** Where chances of failing on purpose come from. */
  random?: () => number;
  tenantPort?: number;
  awsPort?: number;
  /** Gets each line that a function logs. */
  onLog?: (line: string) => void;
  /** More variables for the functions. */
  environment?: Record<string, string>;
  /** Milliseconds; the queue's visibility timeout. */
  visibilityTimeout?: number;
  /** Whether the queue's messages go to the worker by themselves; they do, unless this is false. */
  connected?: boolean;
  functions?: Pick<FunctionOptions, 'execArgv' | 'timeout'>;
}

/** Starts everything; the management token is in place, by a real rotation, when this resolves. */
export async function startEnvironment({ onLog = () => {}, visibilityTimeout = 60_000, ...options }: Options = {}) {
  const { plan = 'unlimited', random = Math.random } = options;
  const tenant = await startAuth0Tenant({ port: options.tenantPort ?? 0, plan, random });
  const aws = await startAws({ port: options.awsPort ?? 0 });
  tenant.setClient('org-connections-local', { client_secret: 'local-client-secret-0123456789', scope: SCOPES });

  aws.createQueue(DEAD_LETTERS);
  aws.createQueue(UNDELIVERED);
  const queueUrl = aws.createQueue(QUEUE, {
    visibilityTimeout,
    redrive: { deadLetterQueue: DEAD_LETTERS, maxReceiveCount: 1000 },
  });
  const isRequest = (event: BusEvent) => event['detail-type'] === 'organization.offboarding.requested';
  const isBatch = ({ detail }: BusEvent) => Object(detail).batch_id !== undefined;
  aws.addRule({ takes: (event) => isRequest(event) && !isBatch(event), queue: QUEUE, messageGroupId: 'single' });
  aws.addRule({ takes: (event) => isRequest(event) && isBatch(event), queue: QUEUE, messageGroupId: 'batch' });
  aws.createScheduleGroup(SCHEDULES);

  const environment: Record<string, string> = {
    AUTH0_DOMAIN: tenant.url,
    MANAGEMENT_TOKEN_SECRET_ID: TOKEN_SECRET,
    MANAGEMENT_CLIENT_SECRET_ID: CLIENT_SECRET,
    EVENT_BUS_NAME: 'org-connections-local',
    OFFBOARDING_QUEUE_URL: queueUrl,
    OFFBOARDINGS_TABLE: TABLE,
    REMOVAL_SCHEDULE_GROUP: SCHEDULES,
    REMOVAL_SCHEDULE_ROLE_ARN: 'arn:aws:iam::000000000000:role/org-connections-local-removal-schedules',
    AWS_ENDPOINT_URL: aws.url,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
    ...options.environment,
  };
  tenant.stream((organizationId, connectionId) => {
    const object = { organization: { id: organizationId }, connection: { id: connectionId }, is_enabled: true };
    const cloudEvent = { id: randomUUID(), type: 'organization.connection.updated', time: new Date().toISOString() };
    const envelope = { id: randomUUID(), time: cloudEvent.time, 'detail-type': cloudEvent.type };
    aws.publish({
      ...envelope,
      source: 'aws.partner/auth0.com/local/events',
      detail: { ...cloudEvent, data: { object } },
    });
  });

  const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
  const dynamoDb = new DynamoDBClient({ endpoint: aws.url, region: 'us-east-1', credentials });
  const schema = { AttributeDefinitions, KeySchema, GlobalSecondaryIndexes };
  await dynamoDb.send(new CreateTableCommand({ TableName: TABLE, BillingMode: 'PAY_PER_REQUEST', ...schema }));

  const functionNamed = (name: string) => createFunction(name, { environment, onLog, ...options.functions });
  // A container for each lane of the queue, as Lambda would start them.
  const containers = Array.from({ length: 3 }, () => functionNamed('offboard-organization'));
  const watch = functionNamed('watch-offboardings');
  // What comes from Auth0's Event Stream goes to the function as the rule on the partner's bus would send it.
  aws.onEvent((event) => {
    if (event.source.startsWith('aws.partner/auth0.com')) watch.invoke(event).catch(() => undefined);
  });
  const worker = {
    invoke: (event: unknown) => (containers[0] as LocalFunction).invoke(event),
    /** Resolves when no message is being processed. */
    async idle() {
      while (containers.some(({ isBusy }) => isBusy())) await sleep(10);
    },
    kill: () => containers.forEach((container) => void container.kill()),
  };
  const rotation = functionNamed('rotate-management-token');

  const client = { client_id: 'org-connections-local', client_secret: 'local-client-secret-0123456789' };
  aws.createSecret(CLIENT_SECRET, JSON.stringify(client));
  aws.createSecret(TOKEN_SECRET);
  aws.setRotation(TOKEN_SECRET, (event) => rotation.invoke(event));
  await aws.rotate(TOKEN_SECRET);
  if (options.connected !== false)
    aws.connect(
      QUEUE,
      containers.map(({ invoke }) => invoke),
    );

  return {
    tenant,
    aws,
    dynamoDb,
    environment,
    worker,
    watch,
    /** The clock of the watch: checks that are due are asked for now. */
    checkByClock: () => watch.invoke({ 'detail-type': 'Scheduled Event', source: 'aws.events', detail: {} }),
    rotation,
    functionNamed,
    /** Resolves to the first event for which `test` holds among those put on the bus since `since` (Unix ms); rejects after 60 s. */
    async event(test: (event: (typeof aws.events)[number]) => boolean): Promise<(typeof aws.events)[number]> {
      for (const end = Date.now() + 60_000; Date.now() < end; await sleep(20)) {
        const found = aws.events.find(test);
        if (found) return found;
      }
      throw new Error('The event did not come within a minute');
    },
    /** Sets attributes of a record behind the service's back: for what would take months. */
    async changeRecord(organization_id: string, offboarding_id: string, attributes: Record<string, string>) {
      const entries = Object.entries(attributes);
      await dynamoDb.send(
        new UpdateItemCommand({
          TableName: TABLE,
          Key: marshall({ organization_id, offboarding_id }),
          UpdateExpression: `SET ${entries.map((_, i) => `#${i} = :${i}`).join(', ')}`,
          ExpressionAttributeNames: Object.fromEntries(entries.map(([name], i) => [`#${i}`, name])),
          ExpressionAttributeValues: marshall(Object.fromEntries(entries.map(([, value], i) => [`:${i}`, value]))),
        }),
      );
    },
    async close() {
      worker.kill();
      watch.kill();
      rotation.kill();
      await aws.close();
      await tenant.close();
    },
  };
}

export type LocalEnvironment = Awaited<ReturnType<typeof startEnvironment>>;
