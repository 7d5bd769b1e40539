// The service's dry run of many organizations, in small batches: another operator's dry run is never far behind.
import { setTimeout as sleep } from 'node:timers/promises';
import { onInterrupt } from './ending.ts';
import { dryRunKeyOf } from './fingerprint.ts';
import { bodyOf, groupsOf, type Plan } from './plan-file.ts';
import { waitOf } from './polling.ts';
import { type Progress, showProgress } from './progress.ts';
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

/** A dry run under way. */
interface Run {
  found: Map<string, Offboarding>;
  batches: string[];
  /** The batch that is being sent or waited for. */
  current?: Promise<{ batch: string; accepted: number }> | undefined;
  isStopped: boolean;
}

/**
 * What would become of each organization. Ctrl-C cancels the batch that is under way. Throws `CallFailed` where the service does
 * not take the request. The keys have the plan's `fingerprint`; `untouched` is the sentence that says that nothing was changed.
 */
export async function dryRun(
  service: Service,
  { organizations, request, fingerprint }: Pick<Plan, 'organizations' | 'request'> & { fingerprint: string },
  untouched: string,
): Promise<DryRun> {
  const run: Run = { found: new Map(), batches: [], isStopped: false };
  const progress = showProgress(organizations.length);
  cancelOnInterrupt(service, run, { untouched, progress });
  try {
    for (const [index, group] of groupsOf(organizations, AT_A_TIME).entries()) {
      const body = { ...bodyOf(request, group), dry_run: true };
      run.current = service
        .call('POST', '/offboardings', { body, key: `${dryRunKeyOf(fingerprint)}${index + 1}` })
        .then(({ batch_id, accepted }) => ({ batch: String(batch_id), accepted: Number(accepted) }));
      const { batch, accepted } = await run.current;
      run.batches.push(batch);
      // From now on something is on record: transient errors are waited out.
      service.patience = PATIENT_MS;
      for await (const records of pollDryRun(service, batch, accepted)) {
        if (run.isStopped) return await NEVER;
        for (const record of records) run.found.set(record.organization_id, record);
        progress.show(standingOf(run.found, organizations.length, records));
      }
      run.current = undefined;
    }
  } finally {
    progress.stop();
  }
  return run;
}

/** The process ends meanwhile. */
const NEVER = new Promise<never>(() => {});

function cancelOnInterrupt(
  service: Service,
  run: Run,
  { untouched, progress }: { untouched: string; progress: Progress },
) {
  let words = '';
  onInterrupt({
    words: () => `Stopped. ${words}${untouched}`,
    exitStatus: 2,
    cleanUp: async () => {
      run.isStopped = true;
      progress.stop();
      if (!run.current) return;
      words = `The dry run may go on for up to ${AT_A_TIME} organizations. `;
      const { batch } = await run.current;
      words = await cancelBatch(service, batch);
    },
  });
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

/** Cancels the batch and resolves to a sentence that says what came of it. */
async function cancelBatch(service: Service, batch_id: string): Promise<string> {
  const impatient = { ...service, patience: 5000 };
  const path = withQuery('/offboardings', { batch_id, reason: 'the plan was stopped' });
  return impatient.call('DELETE', path).then(
    ({ cancelling }) => `The dry run was cancelled (${many(Number(cancelling ?? 0), 'organization')}). `,
    (error) => `The dry run may go on for up to ${AT_A_TIME} organizations (${reasonOf(error)}). `,
  );
}
