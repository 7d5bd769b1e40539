// Watches work going on. Stopping it stops nothing, and no transient error ends it.
import { Failure, onInterrupt } from './ending.ts';
import { type Polled, poll } from './polling.ts';
import { showProgress } from './progress.ts';
import { SessionEnded } from './service.ts';

interface Watched extends Polled {
  /** What Ctrl-C says: that the work goes on, and how to watch it again. */
  stopped: string;
}

/** Resolves when everything in the batches is settled, to how many have each status. Throws a `Failure`. */
export async function follow({ stopped, ...polled }: Watched): Promise<Record<string, number>> {
  const progress = showProgress(polled.total);
  onInterrupt({
    words: () => {
      progress.stop();
      return stopped;
    },
    exitStatus: 1,
  });
  let counts: Record<string, number> = {};
  try {
    for await (const standing of poll(polled)) {
      progress.show(standing);
      counts = standing.counts;
    }
    return counts;
  } catch (error) {
    if (error instanceof SessionEnded) throw new Failure(`${error.message}. ${stopped}`);
    throw error;
  } finally {
    progress.stop();
  }
}
