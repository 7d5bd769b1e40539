import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { programOf, programOptions } from '../programs/program.ts';

const CLOCK = fileURLToPath(new URL('../scaled-clock.mjs', import.meta.url));
const RUN = programOf('test/integration/chaos.run.ts');
const FIRST = Number(process.env.SEED ?? 1);
const SEEDS = Array.from({ length: process.env.DEEP ? 5 : 1 }, (_, i) => FIRST + i);
const ORGANIZATIONS = process.env.DEEP ? '400' : '80';

test.each(SEEDS)(
  'seed %i: Auth0 is as it should be, and every request is accounted for',
  async (seed) => {
    const environment = {
      ...process.env,
      NODE_OPTIONS: programOptions,
      CLOCK_SPEED: '30',
      CLOCK_BASE: String(Date.now()),
    };
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--import', CLOCK, RUN, String(seed), ORGANIZATIONS],
      {
        env: environment,
      },
    );
    const figures = JSON.parse(stdout);
    if (process.env.DEEP) console.log(stdout.trim());
    expect(figures).toMatchObject({ wrong: 0, lost: 0, leaks: 0 });
    expect(figures.completed + figures.failed).toBe(figures.requested);
    expect(figures.kills).toBeGreaterThan(0);
  },
  600_000,
);
