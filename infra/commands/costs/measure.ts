// What an operation does (calls of each service, capacity units, events, log, metrics), counted while the built functions do it on
// the stand-ins of `npm start`. It goes by what everybody can see of the service, and knows nothing of how the table is laid out.
import { setTimeout as sleep } from 'node:timers/promises';
import { ScanCommand } from '@aws-sdk/client-dynamodb';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { type LocalEnvironment, QUEUE, startEnvironment, TABLE } from '../../local/environment.ts';
import { startTableMeter, type Units } from './table-meter.ts';

export interface Count {
  /** Of each operation of AWS. */
  calls: Record<string, number>;
  table: Units;
  events: number;
  eventBytes: number;
  logBytes: number;
  /** Each a name with one set of dimensions. */
  metrics: Set<string>;
}

export interface Measured {
  patch: Count;
  /** An offboarding of three connections, its notice and its removal included. */
  offboarding: Count;
  /** A drift check that finds nothing. */
  check: Count;
  /** What the table holds for an organization afterwards. */
  organizationBytes: number;
}

/** Each count is the average of so many. */
const TIMES = 8;
/** The shortest grace period that a request may ask for, seconds: this is waited for. */
const GRACE_PERIOD_S = 60;
/** A drift check is due this long after the removal, seconds: one that is due within ten is waited for by the message before it. */
const CHECK_AFTER_S = 20;
const LONGEST_WAIT_MS = 5 * 60_000;
const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };

const organization = (i: number) => `org_Cost${String(i).padStart(12, '0')}`;
const connectionsOf = (i: number) =>
  ['a', 'b', 'c'].map((letter) => ({
    connection_id: `con_Cost${letter}${String(i).padStart(11, '0')}`,
    connection: { name: letter, strategy: 'okta' },
  }));
const numbers = Array.from({ length: TIMES }, (_, i) => i + 1);

/** Counts it all; takes some two minutes, most of which is a grace period. Throws where the service does not get done. */
export async function measure(): Promise<Measured> {
  const meter = await startTableMeter();
  const lines: string[] = [];
  const environment = { AWS_ENDPOINT_URL_DYNAMODB: meter.url, WATCH_INTERVAL: `PT${GRACE_PERIOD_S + CHECK_AFTER_S}S` };
  const local = await startEnvironment({ onLog: (line) => lines.push(line), environment });
  meter.connect(local.aws.url);
  local.tenant.setOrganizations(Object.fromEntries([0, ...numbers].map((i) => [organization(i), connectionsOf(i)])));
  const { count, disable, offboard, check, close } = operationsOf(local, lines, meter.units);
  try {
    // The first of each starts a container and reads the token.
    await disable(0);
    await offboard([0], { action: 'disable', dry_run: true });
    const patch = await count(async () => {
      for (const i of numbers) await disable(i);
    });
    const offboarding = await count(() =>
      offboard(numbers, { action: 'disable_then_remove', grace_period: `PT${GRACE_PERIOD_S}S` }),
    );
    // So that each is due.
    await sleep(CHECK_AFTER_S * 1000);
    return { patch, offboarding, check: await count(check), organizationBytes: await bytesAnOrganization(local) };
  } finally {
    close();
    await local.close();
    await meter.close();
  }
}

function operationsOf(local: LocalEnvironment, lines: string[], units: () => Units) {
  const client = local.functionNamed('disable-connection');
  const bus = new EventBridgeClient({ endpoint: local.aws.url, region: 'us-east-1', credentials });
  const idle = async () => {
    for (const end = Date.now() + LONGEST_WAIT_MS; Date.now() < end; await sleep(50))
      if (local.aws.messages(QUEUE).length === 0 && !local.worker.isBusy()) return;
    throw new Error(`The queue is not empty after ${LONGEST_WAIT_MS / 60_000} minutes`);
  };
  return {
    close: () => client.kill(),
    async count(work: () => Promise<void>): Promise<Count> {
      const [calls, logged, events, before] = [local.aws.calls.length, lines.length, local.aws.events.length, units()];
      await work();
      await idle();
      const written = lines.slice(logged);
      const published = local.aws.events.slice(events);
      const after = units();
      const made = Map.groupBy(local.aws.calls.slice(calls), (name) => name);
      return {
        calls: Object.fromEntries([...made].map(([name, all]) => [name, all.length / TIMES])),
        table: { read: (after.read - before.read) / TIMES, write: (after.write - before.write) / TIMES },
        events: published.length / TIMES,
        eventBytes: JSON.stringify(published).length / TIMES,
        logBytes: written.join('\n').length / TIMES,
        metrics: new Set(written.flatMap(metricsOf)),
      };
    },
    async disable(i: number): Promise<void> {
      await client.invoke(patchOf(i));
    },
    /** Asks by event for an offboarding of each, and waits until all are completed. */
    async offboard(which: number[], parameters: object): Promise<void> {
      for (const i of which) await bus.send(new PutEventsCommand({ Entries: [requestOf(local, i, parameters)] }));
      const isCompleted = (i: number) =>
        local.aws.events.some(
          (event) =>
            event['detail-type'] === 'organization.offboarding.completed' &&
            event.detail.organization_id === organization(i),
        );
      for (const end = Date.now() + LONGEST_WAIT_MS; !which.every(isCompleted); await sleep(100))
        if (Date.now() > end) throw new Error(`The offboardings are not completed: ${lines.slice(-3).join('\n')}`);
      await idle();
    },
    /** A drift check of each that is due, at once. */
    async check(): Promise<void> {
      await local.watch.invoke({ requeue: 'overdue' });
    },
  };
}

/** An event as API Gateway sends it (payload 2.0). */
const patchOf = (i: number) => ({
  version: '2.0',
  routeKey: 'PATCH /organizations/{organization_id}/connections/{connection_id}',
  rawPath: `/organizations/${organization(i)}/connections/${connectionsOf(i)[0]?.connection_id}`,
  headers: { 'content-type': 'application/json' },
  pathParameters: { organization_id: organization(i), connection_id: connectionsOf(i)[0]?.connection_id },
  requestContext: { requestId: `cost-${i}`, http: { method: 'PATCH' }, stage: '$default' },
  body: JSON.stringify({ is_enabled: false }),
});

const requestOf = ({ environment }: LocalEnvironment, i: number, parameters: object) => ({
  EventBusName: environment.EVENT_BUS_NAME,
  Source: 'costs',
  DetailType: 'organization.offboarding.requested',
  Detail: JSON.stringify({
    organization_id: organization(i),
    ...parameters,
    requested_by: 'costs',
    reason: 'costs',
  }),
});

async function bytesAnOrganization({ dynamoDb }: LocalEnvironment): Promise<number> {
  const { Items = [] } = await dynamoDb.send(new ScanCommand({ TableName: TABLE }));
  return JSON.stringify(Items).length / (TIMES + 1);
}

/** The metrics that CloudWatch would make of a log line (embedded metric format). */
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
