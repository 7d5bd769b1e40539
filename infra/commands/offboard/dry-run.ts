// The service's dry run of many organizations, in small batches: another operator's dry run is never far behind.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { onInterrupt } from './ending.ts';
import { bodyOf, groupsOf, type Plan } from './plan-file.ts';
import { waitOf } from './polling.ts';
import { showProgress } from './progress.ts';
import { type Offboarding, recordsOf, SETTLED } from './records.ts';
import { PATIENT_MS, type Service, withQuery } from './service.ts';
import { many, reasonOf } from './terminal.ts';

/** At 100 reads a minute, which Auth0 gives to most, another's dry run waits three seconds for these. */
const AT_A_TIME = 5;
const FIRST_POLL_MS = 300;
const LONGEST_POLL_MS = 2000;

export interface DryRun {
  /** By organization. */
  found: Map<string, Offboarding>;
  /** The batches on record, for the comparison before the plan is applied. */
  batches: string[];
}

/**
 * What would become of each organization. Ctrl-C cancels the batch that is under way. Throws `CallFailed` where the service does
 * not take the request.
 */
export async function dryRun(
  service: Service,
  { organizations, request }: Pick<Plan, 'organizations' | 'request'>,
  untouched: string,
): Promise<DryRun> {
  const id = randomUUID();
  const found = new Map<string, Offboarding>();
  const batches: string[] = [];
  const progress = showProgress(organizations.length);
  const state: { posted?: Promise<string> | undefined; isStopped: boolean; words: string } = {
    isStopped: false,
    words: '',
  };
  onInterrupt({
    words: () => `Stopped. ${state.words}${untouched}`,
    exitStatus: 2,
    cleanUp: async () => {
      state.isStopped = true;
      progress.stop();
      if (state.posted) state.words = await cancelDryRun(service, state.posted);
    },
  });
  try {
    for (const [index, group] of groupsOf(organizations, AT_A_TIME).entries()) {
      const body = { ...bodyOf(request, group), dry_run: true };
      state.posted = service
        .call('POST', '/offboardings', { body, key: `dry-run-${id}-${index + 1}` })
        .then(({ batch_id }) => String(batch_id));
      const batch = await state.posted;
      batches.push(batch);
      // From now on something is on record: a fault is waited out.
      service.patience = PATIENT_MS;
      for await (const records of pollDryRun(service, batch, group.length)) {
        if (state.isStopped) return await new Promise(() => {});
        for (const record of records) found.set(record.organization_id, record);
        progress.show(standingOf(found, organizations.length, records));
      }
      state.posted = undefined;
    }
  } finally {
    progress.stop();
  }
  return { found, batches };
}

/** The records of a batch, until each of them has ended. */
async function* pollDryRun(service: Service, batch: string, size: number): AsyncGenerator<Offboarding[]> {
  for (let wait = FIRST_POLL_MS; ; wait = Math.min(LONGEST_POLL_MS, wait * 1.3)) {
    const records = await recordsOf(service, [batch]);
    yield records;
    if (records.filter(({ status }) => SETTLED.ended.includes(status)).length >= size) return;
    await sleep(wait);
  }
}

function standingOf(found: Map<string, Offboarding>, all: number, latest: Offboarding[]) {
  const done = [...found.values()].filter(({ status }) => SETTLED.ended.includes(status)).length;
  const waits = latest.map(waitOf).find(Boolean);
  return { counts: { 'looked up': done }, done, all, isSettled: done === all, ...(waits && { waits }) };
}

/** Cancels the batch; to a sentence that says what came of it. */
async function cancelDryRun(service: Service, posted: Promise<string>): Promise<string> {
  const impatient = { ...service, patience: 5000 };
  try {
    const batch_id = await posted;
    const reason = 'the plan was stopped';
    const { cancelling } = await impatient.call('DELETE', withQuery('/offboardings', { batch_id, reason }));
    return `The dry run was cancelled (${many(Number(cancelling ?? 0), 'organization')}). `;
  } catch (error) {
    return `The dry run may go on for up to ${AT_A_TIME} organizations (${reasonOf(error)}). `;
  }
}
