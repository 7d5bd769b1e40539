// `apply`: exactly what the plan says. Applied again, it is the same batches, and goes on where it was cut off.
import { Failure, onInterrupt, Refusal } from './ending.ts';
import { remember } from './last-time.ts';
import { linesOf, titleOf } from './lines.ts';
import { refuseEdited, refuseEditedSinceStarted, roleOf } from './plan-check.ts';
import { batchesOf, isOfTheFuture, isStale, type Plan, readPlan } from './plan-file.ts';
import { ask } from './question.ts';
import { nameOf, type Offboarding, recordsOf, SETTLED } from './records.ts';
import { tryReport, writeReport } from './report.ts';
import { CallFailed, PATIENT_MS, type Place, type Service, SessionEnded } from './service.ts';
import { type StartedBatches, startedBatches, wholeBatches } from './started.ts';
import { hasFailed, howToUndo, show, showMissing, summarize } from './summary.ts';
import { connectTo, placeOptions } from './target.ts';
import { dateOf, lengthOf, many, plain, print, quoted, reasonOf } from './terminal.ts';
import { follow } from './watching.ts';

export interface ApplyOptions extends Place {
  yes?: true;
  report?: string;
}

/**
 * Applies the plan at `path` and watches it until it is done or scheduled. Resolves to the exit status: 1 where something failed.
 * Throws a `Refusal` where nothing was started, and a `Failure` where something may have been.
 */
export async function apply(path: string, options: ApplyOptions): Promise<number> {
  const plan = readPlan(path);
  tryReport(options.report);
  const service = await connectTo(plan, options);
  const started = await startedBatches(service, plan).catch((error: unknown) => {
    throw new Refusal(`${reasonOf(error)}. Nobody knows whether it was started before; nothing was started now.`);
  });
  const whole = await wholeBatches(service, plan, started);
  const where = placeOptions(options);
  const report = options.report ? ` --report ${quoted(options.report)}` : '';
  const again = `npm run offboard -- apply ${quoted(path)}${report}${where}`;
  if (whole.size < plan.keys.length) await permit(service, plan, started, options.yes);
  const begun = Date.now();
  const { batches, accepted } = await post(service, plan, { whole, again, mayBeStarted: started.size > 0 });
  remember(service, plan.organizations.length);
  service.patience = PATIENT_MS;
  const stopped = `The watching has stopped; the work goes on. To watch it again:\n  npm run offboard -- status ${quoted(path)} --watch${report}${where}\nTo cancel it:\n  npm run offboard -- cancel ${quoted(path)}${where}`;
  await follow({ service, batches, settled: SETTLED.scheduled, total: accepted, stopped });
  const all = await recordsOf(service, batches);
  const lines = linesOf(plan, all);
  print();
  show(lines);
  print();
  summarize(lines);
  const more = beyondThePlan(plan, all);
  if (more.length > 0)
    print(`! Not in the plan, there by now: ${more.slice(0, 20).join(', ')}${more.length > 20 ? ', …' : ''}`);
  howToUndo(all, quoted(path), where);
  print(`Total time: ${lengthOf(Date.now() - begun)}`);
  writeReport(options.report, lines, { title: 'Offboarding', where: service.where, columns: plan.columns });
  const isMissing = showMissing(lines, again);
  return isMissing || hasFailed(all) ? 1 : 0;
}

/** Resolves where the plan may be applied: it is fresh or was started, is what its dry run was, and the operator says yes. */
async function permit(service: Service, plan: Plan, started: StartedBatches, yes: boolean | undefined): Promise<void> {
  if (started.size > 0) {
    onInterrupt({ words: () => 'Stopped. Nothing more was started.', exitStatus: 2 });
    refuseOtherCaller(service, started);
    refuseEditedSinceStarted(plan);
  } else {
    refuseOtherTime(plan);
    await refuseEdited(service, plan).catch((error: unknown) => {
      if (error instanceof Refusal) throw error;
      throw new Refusal(`${reasonOf(error)}. The plan could not be compared with its dry run; nothing was started.`);
    });
  }
  await question(service, plan, started, yes);
}

/** A plan is good for a day from when it was made. */
function refuseOtherTime(plan: Plan): void {
  const date = dateOf(plan.created_at);
  if (isStale(plan)) throw new Refusal(`The plan is of ${date}, more than a day old: plan anew. Nothing was started.`);
  if (isOfTheFuture(plan))
    throw new Refusal(
      `The plan is of ${date}, which is to come: set the clock of this machine right, or plan anew. Nothing was started.`,
    );
}

/** A key is its caller's: under another role the rest of a half-started batch would be a second one. */
function refuseOtherCaller({ operator }: Service, started: StartedBatches): void {
  const other = [...started.values()].find(
    ({ caller }) => caller && operator && roleOf(caller) !== roleOf(operator.arn),
  );
  if (other)
    throw new Refusal(
      `${plain(other.caller)} has started this plan and only that role can go on; you are ${operator?.arn}. "status" and "cancel" work for you, too.`,
    );
}

async function question(service: Service, plan: Plan, started: StartedBatches, yes: boolean | undefined) {
  const { request, organizations, made_by, created_at } = plan;
  const shown = organizations.slice(0, 5).map(titleOf).join('\n  ');
  print(service.who);
  print(`Plan of ${dateOf(created_at)} by ${plain(made_by)}. Reason: ${plain(request.reason)}`);
  print(`  ${shown}${organizations.length > 5 ? `\n  … and ${organizations.length - 5} more` : ''}`);
  const connections = organizations.reduce((sum, { connection_ids }) => sum + connection_ids.length, 0);
  const seconds = organizations.filter(({ notes }) => notes.length > 0).length;
  if (seconds > 0) print(`! ${many(seconds, 'organization')} deserved a second look when this was planned.`);
  if (isStale(plan)) print('! The plan is more than a day old; it was started before, and goes on.');
  if (started.size > 0) print(`Goes on: ${started.size} of ${many(plan.keys.length, 'batch')} is on record already.`);
  if (request.end_sessions) print('It also ends the sessions of the members.');
  if (request.end_machine_access)
    print('It also removes the client grants: machines of the customers lose access now.');
  const whom = `${many(organizations.length, 'organization')} (${many(connections, 'connection')}) in ${service.where}`;
  const otherwise = started.size > 0 ? 'Nothing more was started.' : 'Nothing was started.';
  if (request.action === 'disable')
    return ask({ question: `Disable the connections of ${whom}?`, answer: 'disable', yes, otherwise });
  const when =
    request.action === 'remove' ? 'now, for good' : `after ${request.grace_period ?? "the stage's grace period"}`;
  const words = request.action === 'remove' ? 'Remove' : 'Disable now, and remove';
  return ask({
    question: `${words} ${when} the connections of ${whom}? This is their number:`,
    answer: String(organizations.length),
    yes,
    otherwise,
  });
}

interface Posting {
  whole: Map<number, string>;
  again: string;
  mayBeStarted: boolean;
}

/** Sends each batch, in order, and resolves to their ids. What is on record whole is not sent again. */
async function post(service: Service, plan: Plan, { whole, again, mayBeStarted }: Posting) {
  const batches = batchesOf(plan);
  const ids: string[] = [];
  let [accepted, isBegun] = [0, mayBeStarted];
  service.patience = PATIENT_MS;
  for (const [index, batch] of batches.entries()) {
    const name = batches.length === 1 ? 'The batch' : `Batch ${index + 1} of ${batches.length}`;
    const known = whole.get(index);
    if (known) {
      ids.push(known);
      accepted += batch.organizations.length;
      print(`${name} is on record: ${known}`);
      continue;
    }
    isBegun ||= index > 0;
    onInterrupt({ words: () => `Stopped; something may have been started. To go on: ${again}`, exitStatus: 1 });
    const answer = await service
      .call('POST', '/offboardings', { body: batch.body, key: batch.key })
      .catch((error: unknown) => {
        throw notPosted(error, { name, again, isBegun });
      });
    ids.push(String(answer.batch_id));
    accepted += Number(answer.accepted);
    print(
      `${name}: ${plain(answer.batch_id)}, ${plain(answer.accepted)} accepted${answer.replayed ? ', as before' : ''}`,
    );
    for (const { organization_id, code } of (answer.rejected ?? []) as { organization_id: string; code: string }[])
      print(`! Rejected: ${plain(organization_id)} (${plain(code)})`);
  }
  return { batches: ids, accepted };
}

function notPosted(error: unknown, { name, again, isBegun }: { name: string; again: string; isBegun: boolean }): Error {
  const isCertain = error instanceof SessionEnded || (error instanceof CallFailed && !error.isUncertain);
  if (!isBegun && isCertain) return new Refusal(`${reasonOf(error)}. Nothing was started.`);
  return new Failure(
    `${name}: ${reasonOf(error)}. Something may have been started; nothing is done twice by going on: ${again}`,
  );
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
