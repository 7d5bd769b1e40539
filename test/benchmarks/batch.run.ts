// A batch of 1,000 accepted and cancelled, the same as 1,000 requests of each bundle in BUNDLES, fifty at once, and lists over a
// table of many records: `batch.run.ts RECORDS BUNDLES…`. Prints figures as JSON.
import { BatchWriteItemCommand } from '@aws-sdk/client-dynamodb';
import { marshall } from '@aws-sdk/util-dynamodb';
import pMap from 'p-map';
import { startEnvironment, TABLE } from '../../infra/local/environment.ts';
import { createFunction } from '../../infra/local/lambda.ts';
import type { ConnectionRecord, OffboardingRecord } from '../../lib/offboarding/model/record.ts';
import { answerOf, gatewayEvent } from '../service.ts';

const write = process.stdout.write.bind(process.stdout);
const print = (figures: object) => write(`${JSON.stringify(figures)}\n`);
const [records = '100000', ...bundles] = process.argv.slice(2);
const count = Number(records);
const local = await startEnvironment({ connected: false });
const { aws, dynamoDb } = local;
const organization_ids = Array.from({ length: 1000 }, (_, i) => `org_${String(i).padStart(16, '0')}`);
const post = local.functionNamed('request-offboardings');
const SINGLE = { action: 'disable', reason: 'bench' };
const body = { organization_ids, action: 'disable', reason: 'bench' };
await post.invoke(gatewayEvent('request-offboardings', { body: { ...body, organization_ids: ['org_warm'] } }));
const calls = aws.calls.length;
const time = async <T>(run: () => Promise<T>) => {
  const started = performance.now();
  const value = await run();
  return { value, ms: Math.round(performance.now() - started) };
};
const posted = await time(async () => answerOf(await post.invoke(gatewayEvent('request-offboardings', { body }))));
const accepted = { status: posted.value.status, ms: posted.ms, calls: aws.calls.length - calls };
post.kill();
const { batch_id = '' } = posted.value.body as { batch_id?: string };
const cancel = local.functionNamed('cancel-offboardings');
const deletion = gatewayEvent('cancel-offboardings', { query: { batch_id } });
const cancelled = { ms: (await time(() => cancel.invoke(deletion))).ms };
cancel.kill();

/** Milliseconds that the bundle takes for a request of each organization, fifty at once. */
async function oneByOne(bundle: string): Promise<number> {
  const { NODE_OPTIONS: _, ...environment } = local.environment;
  const container = createFunction('request-offboarding', { bundle, environment });
  const event = (organization: string) => gatewayEvent('request-offboarding', { organization, body: SINGLE });
  await container.invoke(event('org_warm'));
  const { ms } = await time(() => pMap(organization_ids, (id) => container.invoke(event(id)), { concurrency: 50 }));
  container.kill();
  return ms;
}
const peers: number[] = [];
for (const bundle of bundles) peers.push(await oneByOne(bundle));
if (count === 0) {
  print({ accepted, cancelled, peers });
  process.exit(0);
}

process.env.OFFBOARDINGS_TABLE = TABLE;
const { toRecordItem } = await import('../../lib/offboarding/store/items.ts');
const connections: ConnectionRecord[] = Array.from({ length: 10 }, (_, n) => ({
  connection_id: `con_${n}`,
  name: `connection-${n}`,
  strategy: 'okta',
  before: { is_enabled: true, show_as_button: true, assign_membership_on_login: false },
  outcome: 'disabled',
  error: null,
  disabled_by_offboarding: true,
}));
const WORDS = { action: 'disable', requested_by: 'bench', reason: 'bench' } as const;
const OPTIONS = { dry_run: false, on_reenable: 'report', end_sessions: false, end_machine_access: false } as const;
const STATE = { caller: 'bench', revision: 1, status: 'completed', attempts: 0, connections } as const;
const chunks = Array.from({ length: count / 25 }, (_, chunk) => chunk);
const putChunk = async (chunk: number) => {
  const items = Array.from({ length: 25 }, (_, i) => {
    const time = new Date(1_700_000_000_000 + (chunk * 25 + i) * 1000).toISOString();
    const keys = { organization_id: `org_l${chunk % 100}`, offboarding_id: `record-${chunk}-${i}` };
    const dates = { requested_at: time, accepted_at: time, updated_at: time, ended_at: time };
    const request = { id: keys.offboarding_id, source: 'bench', time };
    const record: OffboardingRecord = { ...keys, ...dates, ...WORDS, ...OPTIONS, ...STATE, request };
    const Item = marshall(JSON.parse(JSON.stringify(toRecordItem(record))));
    return { PutRequest: { Item } };
  });
  await dynamoDb.send(new BatchWriteItemCommand({ RequestItems: { [TABLE]: items } }));
};
await pMap(chunks, putChunk, { concurrency: 8 });
Object.assign(process.env, local.environment, { LOG_LEVEL: 'ERROR' });
const { handler } = await import(new URL('../../dist/list-offboardings.mjs', import.meta.url).href);
process.stdout.write = (() => true) as typeof process.stdout.write;
const page = (query: Record<string, string>) => handler(gatewayEvent('list-offboardings', { query }), {});
await page({ status: 'completed' });
globalThis.gc?.();
const [heap, before, at] = [process.memoryUsage().heapUsed, aws.calls.length, performance.now()];
let cursor: string | null = null;
for (let pages = 0; pages < 20; pages++) {
  const query: Record<string, string> = { status: 'completed', ...(cursor && { cursor }) };
  cursor = (answerOf(await page(query)).body as { cursor: string }).cursor;
}
globalThis.gc?.();
const list = {
  records: count,
  ms_a_page: Math.round((performance.now() - at) / 20),
  calls_a_page: (aws.calls.length - before) / 20,
  heap_growth_kb: Math.round((process.memoryUsage().heapUsed - heap) / 1000),
};
print({ accepted, cancelled, peers, list });
process.exit(0);
