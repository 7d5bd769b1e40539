// Shows how work stands: a bar in a terminal, lines elsewhere.
import { MultiBar, type Options, type Params } from 'cli-progress';
import type { Standing } from './polling.ts';
import { lengthOf, plain, print } from './terminal.ts';

/** A log of a big plan has a line this often, and one at the end. */
const LINE_EVERY_MS = 5000;

export interface Progress {
  show(standing: Standing): void;
  stop(): void;
}

/** `total` is how many there are, where that is known. */
export function showProgress(total: number | undefined): Progress {
  const started = Date.now();
  const screen = process.stdout.isTTY ? barOf(total ?? 1) : lines();
  let [first, said] = [-1, ''];
  return {
    show(standing) {
      const { counts, done, all, fault, waits = '' } = standing;
      const words = fault ?? waits;
      if (words && words !== said) screen.say(plain(words));
      said = words;
      if (fault !== undefined) return;
      if (first < 0) first = done;
      const parts = Object.entries(counts).flatMap(([status, count]) =>
        count > 0 ? [`${count} ${plain(status)}`] : [],
      );
      const rate = ((done - first) / (Date.now() - started)) * 60_000;
      const left =
        rate > 0 && done < all ? [`${lengthOf(((all - done) / rate) * 60_000)} left`, `${Math.round(rate)}/min`] : [];
      screen.update(done, all, { left, parts });
    },
    stop: () => screen.stop(),
  };
}

interface Screen {
  say(line: string): void;
  update(done: number, all: number, words: { left: string[]; parts: string[] }): void;
  stop(): void;
}

function lines(): Screen {
  let [shown, shownAt] = ['', 0];
  return {
    say: print,
    update(done, all, { parts }) {
      const words = parts.join(', ');
      const isDue = done === all || Date.now() - shownAt > LINE_EVERY_MS;
      if (words === shown || !isDue) return;
      print(`${done}/${all}  ${words}`);
      [shown, shownAt] = [words, Date.now()];
    },
    stop() {},
  };
}

function barOf(total: number): Screen {
  const bars = new MultiBar({ format: formatBar, hideCursor: false, gracefulExit: false, fps: 10 } as Options);
  const bar = bars.create(total, 0, { parts: [] });
  let isStopped = false;
  return {
    say: (line) => bars.log(`${line}\n`),
    update(done, all, { left, parts }) {
      bar.setTotal(Math.max(all, 1));
      bar.update(done, { parts: [...left, ...parts] });
    },
    stop() {
      if (isStopped) return;
      isStopped = true;
      // What was logged last is written by an update alone.
      bars.update();
      bars.stop();
    },
  };
}

/** A bar and as much beside it as the terminal has room for. */
function formatBar(_: Options, { value, total, progress }: Params, { parts }: { parts: string[] }): string {
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
