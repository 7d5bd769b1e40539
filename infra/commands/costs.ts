// npm run costs: what a stage costs a month. Prices are AWS's published ones; how many alarms, metrics and secrets there are is
// read from the compiled template; what an operation does (calls of each service, lines and bytes of log, metrics) is counted while
// the built functions do it, on the stand-ins of `npm start`. What no count shows has a name and its reason below.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { startEnvironment } from '../local/environment.ts';

/** US dollars in us-east-1, without free tiers (aws.amazon.com/…/pricing, November 2026). */
const PRICES = {
  alarmMetric: 0.1,
  dashboard: 3,
  customMetric: 0.3,
  secret: 0.4,
  secretCall: 0.05 / 10_000,
  lambdaGbSecond: 0.0000133334, // arm64
  lambdaRequest: 0.2 / 1e6,
  apiRequest: 1 / 1e6,
  dynamoWrite: 0.625 / 1e6,
  dynamoRead: 0.125 / 1e6,
  dynamoGbMonth: 0.25 + 0.2, // and point-in-time recovery
  fifoRequest: 0.5 / 1e6,
  event: 1 / 1e6,
  archiveGb: 0.1,
  schedule: 1 / 1e6,
  logGb: 0.5,
  traceRecorded: 5 / 1e6,
};
const GB = 1024 ** 3;
const MONTH_S = 30 * 86_400;
/** What Lambda bills for one invocation: on Lambda mostly the wait for Auth0 (some 150 ms a call); here the machine would be timed. */
const REQUEST_S = 0.2;
const WORK_S = 1.2;
/** Memory in GB, as serverless.yml has it. */
const [HTTP_GB, WORK_GB] = [0.5, 0.25];
/** A record with its connections, rounded up: 2 KB in the table, and in each index what it projects. */
const RECORD_BYTES = 2048;
const WRITES_A_RECORD = RECORD_BYTES / 1024;
/** A look by the clock: found by the watch's query, a message, and the worker that reads the records and writes when the next is due. */
const LOOK = { query: 1, put: 2, fifo: 3, logBytes: 600, seconds: 0.4 };
/** SQS asks for messages all the time, five pollers that wait 20 s each (Lambda developer guide, "Using Lambda with Amazon SQS"). */
const IDLE_POLLS = (5 * MONTH_S) / 20;
/** By the clock: the watch, and four rotations a day with its Describe, Get and Put calls. */
const WATCH_RUNS = 30 * 24 * 4;
const ROTATIONS = 30 * 4;
const ROTATION_CALLS = 12;
/** X-Ray's default sampling: the first request of a second and one in twenty of the rest. */
const traced = (requests: number, seconds: number) =>
  Math.min(requests, seconds) + 0.05 * Math.max(0, requests - seconds);

interface Count {
  calls: Record<string, number>;
  logBytes: number;
  metrics: Set<string>;
}

// biome-ignore lint/suspicious/noExplicitAny: a template has no type
type Resource = { Type: string; Properties: any };

function resources(stage: string): Resource[] {
  const folder = mkdtempSync(join(tmpdir(), 'org-connections-costs-'));
  try {
    const root = fileURLToPath(new URL('../..', import.meta.url));
    const osls = [`${root}node_modules/.bin/osls`, 'package', '--stage', stage, '--package', folder];
    execFileSync(process.execPath, osls, { cwd: root, stdio: 'pipe' });
    const text = readFileSync(join(folder, 'cloudformation-template-update-stack.json'), 'utf8');
    return Object.values(JSON.parse(text).Resources);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What the functions do for one PATCH and one offboarding of three connections, each the average of several. */
async function measured(): Promise<{ patch: Count; offboarding: Count }> {
  const TIMES = 8;
  const lines: string[] = [];
  const local = await startEnvironment({ onLog: (line) => lines.push(line) });
  const org = (i: number) => `org_Cost${String(i).padStart(12, '0')}`;
  const connections = (i: number) =>
    ['a', 'b', 'c'].map((letter) => ({
      connection_id: `con_Cost${letter}${String(i).padStart(11, '0')}`,
      connection: { name: letter, strategy: 'okta' },
    }));
  local.tenant.setOrganizations(
    Object.fromEntries(Array.from({ length: TIMES + 1 }, (_, i) => [org(i), connections(i)])),
  );
  const count = async (work: () => Promise<unknown>): Promise<Count> => {
    const [calls, logged] = [local.aws.calls.length, lines.length];
    await work();
    const made: Record<string, number> = {};
    for (const name of local.aws.calls.slice(calls)) made[name] = (made[name] ?? 0) + 1 / TIMES;
    const written = lines.slice(logged);
    return { calls: made, logBytes: written.join('\n').length / TIMES, metrics: new Set(written.flatMap(metricsOf)) };
  };
  const client = local.functionNamed('disable-connection');
  const patch = (i: number) =>
    client.invoke({
      version: '2.0',
      routeKey: 'PATCH /organizations/{organization_id}/connections/{connection_id}',
      rawPath: `/organizations/${org(i)}/connections/${connections(i)[0]?.connection_id}`,
      headers: { 'content-type': 'application/json' },
      pathParameters: { organization_id: org(i), connection_id: connections(i)[0]?.connection_id },
      requestContext: { requestId: `cost-${i}`, http: { method: 'PATCH' }, stage: '$default' },
      body: JSON.stringify({ is_enabled: false }),
    });
  const bus = new EventBridgeClient({
    endpoint: local.aws.url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
  const offboard = async (i: number) => {
    const detail = {
      organization_id: org(i),
      action: 'disable_then_remove',
      requested_by: 'costs',
      reason: 'costs',
    };
    const DetailType = 'organization.offboarding.requested';
    const Entry = {
      EventBusName: local.environment.EVENT_BUS_NAME,
      Source: 'costs',
      DetailType,
      Detail: JSON.stringify(detail),
    };
    await bus.send(new PutEventsCommand({ Entries: [Entry] }));
    const told = (type: string) =>
      local.event(
        (event) =>
          event['detail-type'] === `organization.offboarding.${type}` && event.detail.organization_id === org(i),
      );
    const { detail: scheduled } = await told('scheduled');
    await local.worker.idle();
    const removal_due_at = new Date(Date.now() - 1000).toISOString();
    await local.changeRecord(org(i), String(scheduled.offboarding_id), { removal_due_at });
    await local.changeRecord(org(i), 'organization', { due_at: removal_due_at });
    local.aws.fireAll(org(i));
    await told('completed');
    await local.worker.idle();
  };
  const several = async (work: (i: number) => Promise<unknown>) => {
    for (let i = 1; i <= TIMES; i++) await work(i);
  };
  try {
    // The first of each starts a container and reads the token.
    await patch(0);
    await offboard(0);
    return { patch: await count(() => several(patch)), offboarding: await count(() => several(offboard)) };
  } finally {
    client.kill();
    await local.close();
  }
}

/** The metrics that CloudWatch would make of a log line: a name and one set of dimensions each. */
function metricsOf(line: string): string[] {
  if (!line.includes('"_aws"')) return [];
  const fields = JSON.parse(line);
  return fields._aws.CloudWatchMetrics.flatMap(
    ({ Dimensions, Metrics }: { Dimensions: string[][]; Metrics: { Name: string }[] }) =>
      Metrics.flatMap(({ Name }) =>
        Dimensions.map((set) => [Name, ...set.map((key) => `${key}=${fields[key]}`)].join(' ')),
      ),
  );
}

type Costs = Record<string, number>;
const add = (...all: Costs[]): Costs => {
  const sum: Costs = {};
  for (const [name, dollars] of all.flatMap((one) => Object.entries(one))) sum[name] = (sum[name] ?? 0) + dollars;
  return sum;
};
const total = (costs: Costs) => Object.values(costs).reduce((sum, dollars) => sum + dollars, 0);

const template = resources('prod');
const ofType = (type: string) => template.filter(({ Type }) => Type === type);
/** A metric-math alarm is billed for each metric in it. */
const alarmMetrics = ofType('AWS::CloudWatch::Alarm')
  .map(
    ({ Properties }) => Properties.Metrics?.filter(({ MetricStat }: { MetricStat?: object }) => MetricStat).length ?? 1,
  )
  .reduce((sum, metrics) => sum + metrics, 0);
const indexes: number = ofType('AWS::DynamoDB::Table')[0]?.Properties.GlobalSecondaryIndexes?.length ?? 0;

/** Nothing asked for: what is there, and what the clock does. The token's metric has a value four hours a day. */
const idle: Costs = {
  alarms: alarmMetrics * PRICES.alarmMetric,
  dashboard: ofType('AWS::CloudWatch::Dashboard').length * PRICES.dashboard,
  metrics: (4 / 24) * PRICES.customMetric,
  secrets:
    ofType('AWS::SecretsManager::Secret').length * PRICES.secret + ROTATIONS * ROTATION_CALLS * PRICES.secretCall,
  functions:
    (WATCH_RUNS + ROTATIONS * 4) * (PRICES.lambdaRequest + WORK_GB * PRICES.lambdaGbSecond) +
    (WATCH_RUNS + ROTATIONS * 4) * PRICES.traceRecorded,
  queue: IDLE_POLLS * PRICES.fifoRequest,
};

const { patch, offboarding } = await measured();
const of = ({ calls }: Count, ...names: string[]) => names.reduce((sum, name) => sum + (calls[name] ?? 0), 0);

/** One offboarding, its grace period's end included. */
const one: Costs = {
  table:
    // An update is this script's own.
    of(offboarding, 'PutItem', 'DeleteItem') * (WRITES_A_RECORD + indexes) * PRICES.dynamoWrite +
    of(offboarding, 'GetItem', 'Query', 'BatchGetItem') * WRITES_A_RECORD * PRICES.dynamoRead,
  // Two messages, each sent, received and deleted, and what the worker sends itself.
  queue: (6 + of(offboarding, 'SendMessage', 'ChangeMessageVisibility')) * PRICES.fifoRequest,
  events: (of(offboarding, 'PutEvents') + 1) * PRICES.event + (4096 / GB) * PRICES.archiveGb,
  schedules: of(offboarding, 'CreateSchedule') * PRICES.schedule,
  functions: 2 * (PRICES.lambdaRequest + WORK_S * WORK_GB * PRICES.lambdaGbSecond + PRICES.traceRecorded),
  logs: (offboarding.logBytes / GB) * PRICES.logGb,
};
const times = (n: number, costs: Costs): Costs =>
  Object.fromEntries(Object.entries(costs).map(([name, dollars]) => [name, n * dollars]));

/** PATCH at so many a second, day and night. The access log has a line of some 400 bytes a request. */
function steady(perSecond: number): Costs {
  const requests = perSecond * MONTH_S;
  return {
    api: requests * PRICES.apiRequest,
    functions: requests * (PRICES.lambdaRequest + REQUEST_S * HTTP_GB * PRICES.lambdaGbSecond),
    traces: traced(requests, MONTH_S) * PRICES.traceRecorded,
    logs: requests * ((patch.logBytes + 400) / GB) * PRICES.logGb,
    secrets: requests * of(patch, 'GetSecretValue', 'DescribeSecret') * PRICES.secretCall,
    // Each name and dimension that such traffic, and the work beside it, makes.
    metrics: new Set([...patch.metrics, ...offboarding.metrics]).size * PRICES.customMetric,
  };
}

/** Ten thousand organizations looked at once a day. */
const looks = 10_000 * 30;
const watching: Costs = {
  table:
    looks *
      (LOOK.put * (WRITES_A_RECORD + indexes) * PRICES.dynamoWrite + LOOK.query * WRITES_A_RECORD * PRICES.dynamoRead) +
    ((10_000 * RECORD_BYTES * 2) / GB) * PRICES.dynamoGbMonth,
  queue: looks * LOOK.fifo * PRICES.fifoRequest,
  functions: looks * (PRICES.lambdaRequest + LOOK.seconds * WORK_GB * PRICES.lambdaGbSecond),
  traces: 0.05 * looks * PRICES.traceRecorded,
  logs: looks * (LOOK.logBytes / GB) * PRICES.logGb,
};

const rows: [name: string, costs: Costs][] = [
  ['a stage, idle', idle],
  ['10,000 offboardings (once)', times(10_000, one)],
  ['1 request a second, a month', steady(1)],
  ['50 requests a second, a month', steady(50)],
  ['watching 10,000 organizations, a month', watching],
];
console.log('| on top of an idle stage | USD | of which |\n|---|---|---|');
for (const [name, costs] of rows) {
  const parts = Object.entries(add(costs))
    .filter(([, dollars]) => dollars >= 0.005)
    .sort(([, a], [, b]) => b - a)
    .map(([part, dollars]) => `${part} ${dollars.toFixed(2)}`);
  console.log(`| ${name} | ${total(costs).toFixed(2)} | ${parts.join(', ')} |`);
}
const perCall = (count: Count) =>
  Object.entries(count.calls)
    .map(([name, calls]) => `${name} ${Number(calls.toFixed(1))}`)
    .join(', ') || 'none';
console.log(`\nCounted: ${alarmMetrics} alarm metrics, ${indexes} indexes.`);
console.log(`A PATCH: ${perCall(patch)}; ${Math.round(patch.logBytes)} bytes of log; ${patch.metrics.size} metrics.`);
console.log(
  `An offboarding of three connections with its removal: ${perCall(offboarding)}; ${Math.round(offboarding.logBytes)} bytes of log; ${offboarding.metrics.size} metrics.`,
);
