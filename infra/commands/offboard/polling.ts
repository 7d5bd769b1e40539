// Asks again and again how batches stand. Nothing is shown here.
import { setTimeout as sleep } from 'node:timers/promises';
import { Failure } from './ending.ts';
import { countsOf, listOf, type Offboarding } from './records.ts';
import { CallFailed, type Service, SessionEnded } from './service.ts';
import { clockOf, plain, reasonOf } from './terminal.ts';

const POLL_MS = 1000;
const LONGEST_POLL_MS = 5000;
const LOOK_FOR_WAITS_MS = 10_000;
/** The stage throttles its API for everybody. */
const EACH_BATCH_MS = 250;
/** At the beginning the index may not know all of a batch yet. */
const FIRST_POLLS = 10;

export interface Polled {
  service: Service;
  batches: string[];
  /** The statuses that count as done. */
  settled: string[];
  /** How many offboardings there are, where that is known. */
  total?: number;
}

/** How the batches stand at one moment. */
export interface Standing {
  /** How many have each status. */
  counts: Record<string, number>;
  done: number;
  all: number;
  /** Why nothing was seen this time; the counts are empty then. */
  fault?: string;
  /** What the work waits for: "Auth0 answers 503; next try 10:20". */
  waits?: string;
  isSettled: boolean;
}

/**
 * How the batches stand, until everything is settled. A transient error is a `fault` and ends nothing. Throws a `Failure` where
 * there is no such batch, and `SessionEnded`.
 */
export async function* poll({ service: patient, batches, settled, total }: Polled): AsyncGenerator<Standing> {
  // The next poll comes soon enough, and a fault is shown at once.
  const service = { ...patient, patience: 0 };
  let [waits, waitsAt] = ['', 0];
  const settledCounts = new Map<string, Counts>();
  for (let polls = 0; ; polls++) {
    const counted = await count(service, batches, { settled, settledCounts });
    if (counted.fault === undefined && Date.now() - waitsAt > LOOK_FOR_WAITS_MS) {
      waits = await waitsOf(service, batches).catch(() => waits);
      waitsAt = Date.now();
    }
    const { counts } = counted;
    const known = sumOf(counts);
    if (counted.fault === undefined && known === 0 && polls >= FIRST_POLLS)
      throw new Failure('There is no such batch.');
    const done = doneOf(counts, settled);
    // A batch that was cut off has fewer than it should.
    const isWhole = known >= (total ?? 0) || polls >= FIRST_POLLS;
    const isSettled = known > 0 && done === known && isWhole;
    yield { ...counted, done, all: Math.max(known, total ?? 0), ...(waits && { waits }), isSettled };
    if (isSettled) return;
    await sleep(
      Math.max(Math.min(LONGEST_POLL_MS, POLL_MS + polls * 100), (batches.length - settledCounts.size) * EACH_BATCH_MS),
    );
  }
}

type Counts = Record<string, number>;
const sumOf = (counts: Counts) => Object.values(counts).reduce((sum, count) => sum + count, 0);
const doneOf = (counts: Counts, settled: string[]) => settled.reduce((sum, status) => sum + (counts[status] ?? 0), 0);

/** The sum over the batches. A batch that is settled once is not asked for again. */
async function count(
  service: Service,
  batches: string[],
  { settled, settledCounts }: { settled: string[]; settledCounts: Map<string, Counts> },
): Promise<Pick<Standing, 'counts' | 'fault'>> {
  const counts: Counts = {};
  try {
    for (const batch of batches) {
      const own = settledCounts.get(batch) ?? (await countsOf(service, batch));
      const isSettled = sumOf(own) > 0 && doneOf(own, settled) === sumOf(own);
      if (isSettled && batches.length > 1) settledCounts.set(batch, own);
      for (const [status, count] of Object.entries(own)) counts[status] = (counts[status] ?? 0) + count;
    }
    return { counts };
  } catch (error) {
    if (error instanceof SessionEnded) throw error;
    if (error instanceof CallFailed && error.status === 400) throw new Failure(reasonOf(error));
    return { counts: {}, fault: `Not seen for now: ${reasonOf(error)}` };
  }
}

async function waitsOf(service: Service, batches: string[]): Promise<string> {
  for (const status of ['working', 'requested', 'removing', 'cancelling']) {
    const page = await service.call('GET', listOf({ status, limit: '20' }));
    const waiting = (page.offboardings as Offboarding[]).filter(({ last_error }) => last_error);
    const one = waiting.find(({ batch_id }) => batch_id && batches.includes(batch_id)) ?? waiting[0];
    if (one?.last_error) return waitOf(one);
  }
  return '';
}

/** What one offboarding waits for: "It waits: Auth0 answers 503 (auth0_unavailable); next try 10:20"; or nothing. */
export function waitOf({ last_error, next_try_at }: Offboarding): string {
  if (!last_error) return '';
  const next = next_try_at ? `; next try ${clockOf(next_try_at)}` : '';
  return `It waits: ${plain(last_error.message).replace(/\.$/, '')} (${plain(last_error.code)})${next}`;
}
