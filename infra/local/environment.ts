// The surroundings of the functions on a laptop and in tests: a tenant, the AWS services, and the functions that no HTTP route
// calls, wired as the compiled template wires them in AWS.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { DynamoDBClient, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import { marshall } from '@aws-sdk/util-dynamodb';
import { type Plan, startAuth0Tenant } from './auth0-tenant.ts';
import { type DeployedMapping, deployStack } from './aws/stack.ts';
import { localTemplate } from './aws/template.ts';
import { type Invoke, startAws } from './aws.ts';
import { createFunction, type FunctionOptions, type LocalFunction } from './lambda.ts';

export const CLIENT_SECRET = 'org-connections/local/management-client';
export const TOKEN_SECRET = 'org-connections/local/management-token';
export const QUEUE = 'org-connections-local-offboarding.fifo';
export const DEAD_LETTERS = 'org-connections-local-offboarding-dead-letters.fifo';
export const UNDELIVERED = 'org-connections-local-removals-undelivered';
const SESSION_CLIENT_SECRET = 'org-connections/local/session-client';
export const SESSION_TOKEN_SECRET = 'org-connections/local/session-token';
export const SESSION_QUEUE = 'org-connections-local-sessions.fifo';
/** What the tenant grants to the management client of a stage that may end machine access. */
export const SCOPES =
  'read:organization_connections update:organization_connections delete:organization_connections read:organization_client_grants create:organization_client_grants delete:organization_client_grants';
const SESSION_SCOPES = 'read:organization_members read:organizations delete:sessions delete:refresh_tokens';
export const SCHEDULES = 'org-connections-local';
export const TABLE = 'org-connections-local-offboardings';

interface Options {
  plan?: Plan;
  /** Where chances of failing on purpose come from. */
  random?: () => number;
  /** The scopes that the tenant grants to the management client, separated by blanks; `SCOPES` when left out. */
  scopes?: string;
  tenantPort?: number;
  awsPort?: number;
  /** Gets each line that a function logs. */
  onLog?: (line: string) => void;
  /** More variables for the functions. */
  environment?: Record<string, string>;
  /** Milliseconds; the queues' visibility timeout in place of the template's. */
  visibilityTimeout?: number;
  /** Whether queues and schedules invoke functions by themselves; they do, unless this is false. */
  connected?: boolean;
  functions?: Pick<FunctionOptions, 'execArgv' | 'timeout' | 'freezes' | 'logsErrors'>;
  /** What makes a container of a function; a process of its own when left out. */
  createContainer?: typeof createFunction;
  /** AWS's own retries come so many times as soon. */
  retrySpeed?: number;
  /** Resolves when the bundles are there; no function is invoked before. */
  bundles?: Promise<unknown>;
}

/** Starts everything; the management token is in place, by a real rotation, when this resolves. */
export async function startEnvironment({ onLog: showLog = () => {}, ...options }: Options = {}) {
  const { plan = 'unlimited', random = Math.random, connected = true, retrySpeed = 1, scopes = SCOPES } = options;
  const { createContainer = createFunction } = options;
  const tenant = await startAuth0Tenant({ port: options.tenantPort ?? 0, plan, random });
  const aws = await startAws({ port: options.awsPort ?? 0, retrySpeed });
  /** Each line that a function logs goes through here: subscriptions read it, too. */
  const onLog = (line: string) => {
    showLog(line);
    aws.logs.write(line);
  };
  tenant.setClient('org-connections-local', { client_secret: 'local-client-secret-0123456789', scope: scopes });
  const session = { client_id: 'org-connections-local-sessions', client_secret: 'local-session-secret-0123456789' };
  tenant.setClient(session.client_id, { client_secret: session.client_secret, scope: SESSION_SCOPES });

  /** The containers that AWS itself invokes, one a function; a queue has one for each message that it hands out at a time. */
  const invoked = new Map<string, LocalFunction>();
  const invoke =
    (name: string): Invoke =>
    (...given) => {
      const container = invoked.get(name) ?? functionNamed(name);
      invoked.set(name, container);
      return container.invoke(...given);
    };
  const { visibilityTimeout } = options;
  const stack = await deployStack(aws, localTemplate(), { invoke, visibilityTimeout, schedules: connected });

  const place: Record<string, string> = {
    AUTH0_DOMAIN: tenant.url,
    AWS_ENDPOINT_URL: aws.url,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
    ...options.environment,
  };
  /** What all functions together are told. */
  const environment = Object.assign({}, ...stack.functions.map((one) => one.environment), place) as Record<
    string,
    string
  >;

  function functionNamed(name: string): LocalFunction {
    const found = stack.functions.find((one) => one.name === name);
    if (!found) throw new Error(`${name} is not in the template`);
    const variables = { ...found.environment, ...place };
    return createContainer(name, { timeout: found.timeout, environment: variables, onLog, ...options.functions });
  }
  tenant.stream((organizationId, connectionId) => {
    const object = { organization: { id: organizationId }, connection: { id: connectionId }, is_enabled: true };
    const cloudEvent = { id: randomUUID(), type: 'organization.connection.updated', time: new Date().toISOString() };
    const envelope = { id: randomUUID(), time: cloudEvent.time, 'detail-type': cloudEvent.type };
    aws.publish({
      ...envelope,
      source: 'aws.partner/auth0.com/local/auth0.events',
      detail: { ...cloudEvent, data: { object } },
    });
  });

  const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
  const dynamoDb = new DynamoDBClient({ endpoint: aws.url, region: 'us-east-1', credentials });

  const containersOf = ({ functionName, concurrency }: DeployedMapping) =>
    Array.from({ length: concurrency }, () => functionNamed(functionName));
  const mappings = stack.mappings.map((mapping) => ({ ...mapping, containers: containersOf(mapping) }));
  const workers = mappings.flatMap(({ containers }) => containers);
  const [ofQueue] = mappings.find(({ queue }) => queue === QUEUE)?.containers ?? [];
  /** Containers as one: a message that comes back while it is processed, or after a kill, may go to any of them. */
  const together = (containers: LocalFunction[]) => ({
    isBusy: (text?: string) => containers.some(({ isBusy }) => isBusy(text)),
    kill: () => containers.forEach((container) => void container.kill()),
    signal: (name: NodeJS.Signals) => containers.forEach((container) => void container.signal(name)),
    /** Resolves when no message is being processed. */
    async idle() {
      while (containers.some(({ isBusy }) => isBusy())) await sleep(10);
    },
  });
  const worker = { ...together(workers), invoke: (event: unknown) => (ofQueue as LocalFunction).invoke(event) };
  const ending = together(mappings.find(({ queue }) => queue === SESSION_QUEUE)?.containers ?? []);
  const watch = functionNamed('dispatch-due-work');
  const rotation = functionNamed('rotate-management-token');
  invoked.set('dispatch-due-work', watch).set('rotate-management-token', rotation);

  const client = { client_id: 'org-connections-local', client_secret: 'local-client-secret-0123456789' };
  await options.bundles;
  aws.setSecretValue(CLIENT_SECRET, JSON.stringify(client));
  aws.setSecretValue(SESSION_CLIENT_SECRET, JSON.stringify(session));
  await aws.rotate(TOKEN_SECRET);
  await aws.rotate(SESSION_TOKEN_SECRET);
  if (connected)
    for (const { queue, containers, ...mapping } of mappings)
      aws.connect(
        queue,
        containers.map((container) => container.invoke),
        mapping,
      );

  return {
    tenant,
    aws,
    dynamoDb,
    environment,
    worker,
    watch,
    /** For lines of functions that others run, as the gateway does. */
    onLog,
    /** The clock of the watch: checks that are due are asked for now. */
    checkByClock: () => watch.invoke({ 'detail-type': 'Scheduled Event', source: 'aws.events', detail: {} }),
    rotation,
    ending,
    functionNamed,
    /** How the template has queues invoke functions, for tests that bring functions of their own. */
    mappings: stack.mappings,
    /** Resolves to the first event for which `test` holds among those put on the bus since `since` (Unix ms); rejects after 60 s. */
    async event(test: (event: (typeof aws.events)[number]) => boolean): Promise<(typeof aws.events)[number]> {
      for (const end = Date.now() + 60_000; Date.now() < end; await sleep(20)) {
        const found = aws.events.find(test);
        if (found) return found;
      }
      throw new Error('The event did not come within a minute');
    },
    /**
     * Sets attributes of a record behind the service's back: for what would take months. It is a write like any other, with a
     * version of its own, so that whoever is at work just then reads it anew and does not write over it.
     */
    async changeRecord(organization_id: string, offboarding_id: string, attributes: Record<string, unknown>) {
      const entries = Object.entries({ version: randomUUID(), ...attributes });
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
      for (const container of invoked.values()) container.kill();
      await aws.close();
      await tenant.close();
    },
  };
}

export type LocalEnvironment = Awaited<ReturnType<typeof startEnvironment>>;
