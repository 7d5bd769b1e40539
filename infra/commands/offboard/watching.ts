// Watches work going on. Stopping it stops nothing, and no fault ends it.
import { setTimeout as sleep } from 'node:timers/promises';
import { MultiBar, type Options, type Params } from 'cli-progress';
import { Failure, onInterrupt } from './ending.ts';
import { countsOf, listOf, type Offboarding } from './records.ts';
import { CallFailed, type Service } from './service.ts';
import { clockOf, lengthOf, plain, reasonOf } from './terminal.ts';

const POLL_MS = 1000;
const LONGEST_POLL_MS = 5000;
const LOOK_FOR_WAITS_MS = 10_000;
/** The stage throttles its API for everybody. */
const EACH_BATCH_MS = 250;
/** At the beginning the index may not know all of a batch yet. */
const FIRST_POLLS = 10;

interface Watched {
  service: Service;
  batches: string[];
  /** The statuses that are as far as it goes. */
  settled: string[];
  /** How many there are, where that is known. */
  total?: number;
  /** What Ctrl-C says, and its exit status. */
  stopped: string;
  exitStatus?: 1 | 2;
}

/** Resolves when everything in `batches` is settled; to how many have each status. */
export async function follow({ service: patient, batches, settled, total, stopped, exitStatus = 1 }: Watched) {
  // The next look comes soon enough, and a fault is shown at once.
  const service = { ...patient, patience: 0 };
  const started = Date.now();
  const bars = new MultiBar({
    format: lineOf,
    hideCursor: false,
    gracefulExit: false,
    noTTYOutput: false,
    fps: 10,
  } as Options);
  const isTerminal = process.stdout.isTTY;
  onInterrupt(() => {
    bars.stop();
    return `\n${stopped}`;
  }, exitStatus);
  const bar = isTerminal ? bars.create(total ?? 1, 0, { parts: [] }) : undefined;
  let [first, shown, last, waits, waitsAt] = [-1, '', '', '', 0];
  const say = (line: string) => (bar ? bars.log(`${line}\n`) : console.log(line));
  try {
    for (let poll = 0; ; poll++) {
      const counts: Record<string, number> = {};
      let fault = '';
      try {
        for (const batch of batches)
          for (const [status, count] of Object.entries(await countsOf(service, batch)))
            counts[status] = (counts[status] ?? 0) + count;
        if (Date.now() - waitsAt > LOOK_FOR_WAITS_MS) {
          waits = await waitsOf(service, batches);
          waitsAt = Date.now();
        }
      } catch (error) {
        fault = `Not seen for now: ${reasonOf(error)}`;
        if (error instanceof CallFailed && error.status === 400) throw new Failure(reasonOf(error));
      }
      const known = Object.values(counts).reduce((sum, count) => sum + count, 0);
      if (fault === '' && known === 0 && poll >= FIRST_POLLS) throw new Failure('There is no such batch.');
      const all = Math.max(known, total ?? 0);
      const done = settled.reduce((sum, status) => sum + (counts[status] ?? 0), 0);
      const words = Object.entries(counts).flatMap(([status, count]) => (count > 0 ? [`${count} ${status}`] : []));
      const waiting = fault || waits;
      if (waiting && waiting !== last) say(waiting);
      last = waiting;
      if (fault === '') {
        if (first < 0) first = done;
        const rate = ((done - first) / (Date.now() - started)) * 60_000;
        const left = rate > 0 ? [`${lengthOf(((all - done) / rate) * 60_000)} left`, `${Math.round(rate)}/min`] : [];
        if (bar) {
          bar.setTotal(Math.max(all, 1));
          bar.update(done, { parts: done < all ? [...left, ...words] : words });
        } else if (words.join() !== shown) console.log(`${done}/${all}  ${words.join(', ')}`);
        shown = words.join();
        // A batch that was cut off has fewer than it should.
        if (known > 0 && done === known && (known >= (total ?? 0) || poll >= FIRST_POLLS)) return counts;
      }
      await sleep(Math.max(Math.min(LONGEST_POLL_MS, POLL_MS + poll * 100), batches.length * EACH_BATCH_MS));
    }
  } finally {
    bars.stop();
  }
}

/** A bar and as much beside it as the terminal has room for. */
function lineOf(_: Options, { value, total, progress }: Params, { parts }: { parts: string[] }): string {
  const columns = process.stdout.columns || 80;
  const width = Math.max(6, Math.min(30, Math.floor(columns / 4)));
  const full = Math.round(Math.min(1, Math.max(0, progress)) * width);
  let line = `${'█'.repeat(full)}${'░'.repeat(width - full)} ${value}/${total}`;
  for (const part of parts) {
    if (line.length + part.length + 2 >= columns) break;
    line += `  ${part}`;
  }
  return line;
}

/** What the work waits for: "Auth0 answers 503; next try 10:20". */
async function waitsOf(service: Service, batches: string[]): Promise<string> {
  for (const status of ['working', 'requested', 'removing', 'cancelling']) {
    const page = await service.call('GET', listOf({ status, limit: '20' }));
    const waiting = (page.offboardings as Offboarding[]).filter(({ last_error }) => last_error);
    const one = waiting.find(({ batch_id }) => batch_id && batches.includes(batch_id)) ?? waiting[0];
    if (one?.last_error) return waitOf(one);
  }
  return '';
}

/** What one offboarding waits for. */
export function waitOf({ last_error, next_try_at }: Offboarding): string {
  if (!last_error) return '';
  const next = next_try_at ? `; next try ${clockOf(next_try_at)}` : '';
  return `It waits: ${plain(last_error.message).replace(/\.$/, '')} (${plain(last_error.code)})${next}`;
}
