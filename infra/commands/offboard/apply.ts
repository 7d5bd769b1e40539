// `apply`: exactly what the plan says. Applied again, it is the same batches, and goes on where it was cut off.

import { Failure, onInterrupt, Refusal } from './ending.ts';
import { remember } from './plan.ts';
import { batchesOf, isStale, type Plan, readPlan, startedBatches } from './plan-file.ts';
import { nameOf, type Offboarding, records } from './records.ts';
import { hasFailed, howToUndo, linesOf, show, summarize, titleOf, tryReport, writeReport } from './report.ts';
import { CallFailed, connect, PATIENT_MS, type Place, type Service } from './service.ts';
import { ask, dateOf, lengthOf, many, plain, quoted, reasonOf } from './terminal.ts';
import { follow } from './watching.ts';

export interface ApplyOptions extends Place {
  yes?: true;
  report?: string;
}

/** What is as far as it goes for now; `scheduled` waits for its grace period. */
export const SETTLED = ['completed', 'scheduled', 'failed', 'cancelled', 'superseded'];

export async function apply(path: string, options: ApplyOptions): Promise<number> {
  const plan = readPlan(path);
  tryReport(options.report);
  const service = await connectTo(plan, options);
  const started = await startedBatches(service, plan).catch((error: unknown) => {
    throw new Refusal(`${reasonOf(error)}. Whether it was started before is not known; nothing was started now.`);
  });
  const whole = await wholeBatches(service, plan, started);
  const report = options.report ? ` --report ${quoted(options.report)}` : '';
  const again = `npm run offboard -- apply ${quoted(path)}${report}${placeOptions(options)}`;
  if (whole.size < plan.keys.length) {
    if (started.size === 0 && isStale(plan))
      throw new Refusal(
        `The plan is of ${dateOf(plan.created_at)}, more than a day old: plan anew. Nothing was started.`,
      );
    refuseOtherCaller(service, started);
    await question(service, plan, started, options.yes);
  }
  const begun = Date.now();
  const { batches, accepted } = await post(service, plan, { whole, again, mayBeStarted: started.size > 0 });
  remember(service, plan.organizations.length);
  service.patience = PATIENT_MS;
  const stopped = `The watching has stopped; the work goes on. Take it up again:\n  npm run offboard -- status ${quoted(path)} --watch${report}${placeOptions(options)}\nCall it off:\n  npm run offboard -- cancel ${quoted(path)}${placeOptions(options)}`;
  await follow({ service, batches, settled: SETTLED, total: accepted, stopped });
  const all = await recordsOf(service, batches);
  const lines = linesOf(plan, all);
  console.log('');
  show(lines);
  console.log('');
  summarize(lines);
  const more = beyondThePlan(plan, all);
  if (more.length > 0)
    console.log(`! Not in the plan, there by now: ${more.slice(0, 20).join(', ')}${more.length > 20 ? ', …' : ''}`);
  howToUndo(all, quoted(path), placeOptions(options));
  console.log(`Total time: ${lengthOf(Date.now() - begun)}`);
  writeReport(options.report, lines, plan.columns);
  const missing = lines.filter(({ record }) => !record);
  if (missing.length > 0)
    console.log(`Not on record: ${missing.map(titleOf).slice(0, 20).join(', ')}. Once more: ${again}`);
  return missing.length > 0 || hasFailed(all) ? 1 : 0;
}

/** The service that a plan is for; another account is another service. */
export async function connectTo(plan: Plan, options: Place): Promise<Service> {
  if (options.stage !== undefined || options.url !== undefined)
    throw new Refusal('The plan says where: --stage and --url are for "plan".');
  const service = await connect({ ...plan, region: options.region ?? plan.region, profile: options.profile });
  const account = service.operator?.account ?? null;
  if (account !== plan.account)
    throw new Refusal(
      `The plan is for account ${plan.account}, and you are in account ${account}: say another --profile, or plan anew.`,
    );
  return service;
}

/** The options that find the same place again. */
export const placeOptions = ({ stage, url, region, profile }: Place) =>
  Object.entries({ stage, url, region, profile })
    .map(([name, value]) => (value ? ` --${name} ${quoted(value)}` : ''))
    .join('');

/** The ids of the batches that are on record whole. */
async function wholeBatches(service: Service, plan: Plan, started: Awaited<ReturnType<typeof startedBatches>>) {
  const whole = new Map<number, string>();
  for (const [index, { organizations }] of batchesOf(plan).entries()) {
    const batch_id = started.get(index)?.batch_id;
    if (batch_id === undefined) continue;
    const { counts } = await service.call('GET', `/offboardings?${new URLSearchParams({ batch_id, limit: '1' })}`);
    const known = Object.values(Object(counts) as Record<string, number>).reduce((sum, count) => sum + count, 0);
    if (known === organizations.length) whole.set(index, batch_id);
  }
  return whole;
}

/** Whoever an ARN is of, whatever the session: `arn:aws:sts::1:assumed-role/name/session` is its role. */
const roleOf = (arn: string) => /^(arn:[^:]*:sts::\d*:assumed-role\/[^/]+)/.exec(arn)?.[1] ?? arn;

/** A key is its caller's: under another role the rest of a half-started batch would be a second one. */
function refuseOtherCaller({ operator }: Service, started: Map<number, Offboarding>): void {
  const other = [...started.values()].find(
    ({ caller }) => caller && operator && roleOf(caller) !== roleOf(operator.arn),
  );
  if (other)
    throw new Refusal(
      `${plain(other.caller)} has started this plan and only that role can go on; you are ${operator?.arn}. "status" and "cancel" work for you, too.`,
    );
}

async function question(service: Service, plan: Plan, started: Map<number, Offboarding>, yes: boolean | undefined) {
  const { request, organizations, made_by, created_at } = plan;
  const [first] = organizations;
  const shown = organizations.slice(0, 5).map(titleOf).join('\n  ');
  console.log(service.who);
  console.log(`Plan of ${dateOf(created_at)} by ${plain(made_by)}. Reason: ${plain(request.reason)}`);
  if (first) console.log(`  ${shown}${organizations.length > 5 ? `\n  … and ${organizations.length - 5} more` : ''}`);
  const connections = organizations.reduce((sum, { connection_ids }) => sum + connection_ids.length, 0);
  const seconds = organizations.filter(({ notes }) => notes.length > 0).length;
  if (seconds > 0) console.log(`! ${many(seconds, 'organization')} deserved a second look when this was planned.`);
  if (isStale(plan)) console.log('! The plan is more than a day old; it was started before, and goes on.');
  if (started.size > 0)
    console.log(`Goes on: ${started.size} of ${many(plan.keys.length, 'batch')} is on record already.`);
  const whom = `${many(organizations.length, 'organization')} (${many(connections, 'connection')}) in ${service.where}`;
  if (request.action === 'disable') return ask(`Disable the connections of ${whom}?`, 'disable', yes);
  const when =
    request.action === 'remove' ? 'now, for good' : `after ${request.grace_period ?? "the stage's grace period"}`;
  const words = request.action === 'remove' ? 'Remove' : 'Disable now, and remove';
  return ask(`${words} ${when} the connections of ${whom}? This is their number:`, String(organizations.length), yes);
}

/** Asks for each batch, in order; to their ids. What is on record whole is not asked for again. */
async function post(
  service: Service,
  plan: Plan,
  { whole, again, mayBeStarted }: { whole: Map<number, string>; again: string; mayBeStarted: boolean },
): Promise<{ batches: string[]; accepted: number }> {
  const batches = batchesOf(plan);
  const ids: string[] = [];
  let accepted = 0;
  let begun = mayBeStarted;
  service.patience = PATIENT_MS;
  for (const [index, { key, organizations }] of batches.entries()) {
    const name = batches.length === 1 ? 'The batch' : `Batch ${index + 1} of ${batches.length}`;
    const on = whole.get(index);
    if (on) {
      ids.push(on);
      accepted += organizations.length;
      console.log(`${name} is on record: ${on}`);
      continue;
    }
    begun ||= index > 0;
    onInterrupt(() => `\nStopped; something may have been started. To go on: ${again}`, 1);
    const organization_ids = organizations.map(({ organization_id }) => organization_id);
    const answer = await service
      .call('POST', '/offboardings', { body: { ...plan.request, organization_ids }, key })
      .catch((error: unknown) => {
        if (!begun && error instanceof CallFailed && !error.isUncertain)
          throw new Refusal(`${reasonOf(error)}. Nothing was started.`);
        throw new Failure(
          `${name}: ${reasonOf(error)}. Something may have been started; nothing is done twice by going on: ${again}`,
        );
      });
    const rejected = (answer.rejected ?? []) as { organization_id: string; code: string }[];
    ids.push(String(answer.batch_id));
    accepted += Number(answer.accepted);
    console.log(`${name}: ${answer.batch_id}, ${answer.accepted} accepted${answer.replayed ? ', as before' : ''}`);
    for (const { organization_id, code } of rejected)
      console.log(`! Rejected: ${plain(organization_id)} (${plain(code)})`);
  }
  return { batches: ids, accepted };
}

export async function recordsOf(service: Service, batches: string[]): Promise<Offboarding[]> {
  const all: Offboarding[] = [];
  for (const batch_id of batches) for await (const record of records(service, { batch_id })) all.push(record);
  return all;
}

/** Connections that came after the plan was made. */
function beyondThePlan(plan: Plan, all: Offboarding[]): string[] {
  const planned = new Map(
    plan.organizations.map(({ organization_id, connection_ids }) => [organization_id, connection_ids]),
  );
  return all.flatMap(({ organization_id, connections }) =>
    connections
      .filter(({ connection_id }) => !planned.get(organization_id)?.includes(connection_id))
      .map((connection) => `${nameOf(connection)} of ${organization_id}`),
  );
}
