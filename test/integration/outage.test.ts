// Auth0, the token or a service of AWS away for hours while organizations wait: nothing is lost, and nothing is given up.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { programOf, programOptions } from '../programs/program.ts';

const CLOCK = fileURLToPath(new URL('../scaled-clock.mjs', import.meta.url));
const RUN = programOf('test/integration/outage.run.ts');
const ALL = [
  '503',
  'refused',
  'stalled',
  'limited',
  'token expired',
  'token refused',
  'PutEvents',
  'PutItem',
  'CreateSchedule',
];
/** In these Auth0 is well, and is asked for what the work itself takes: a list and ten writes an organization. */
const AUTH0_IS_WELL = ['PutEvents', 'CreateSchedule'];
const CALLS_AN_ORGANIZATION = 11;
// With few that wait each comes round often: what Lambda takes for a loop, and what is received too often, shows there first.
const SCENARIOS: [scenario: string, hours: number, organizations: number][] = process.env.DEEP
  ? [
      ...ALL.map((scenario): [string, number, number] => [scenario, 2, 100]),
      ...[1, 2, 20, 1000].map((organizations): [string, number, number] => ['503', 2, organizations]),
      ...[1, 100, 1000].map((organizations): [string, number, number] => ['503', 24, organizations]),
      ['limited', 24, 1000],
    ]
  : [
      ['503', 0.4, 1],
      ['503', 2, 2],
      ['503', 0.25, 8],
      ['PutItem', 0.1, 8],
    ];

test.each(SCENARIOS)(
  '%s for %d h while %d organizations wait',
  async (scenario, hours, organizations) => {
    const { stderr } = await promisify(execFile)(
      process.execPath,
      ['--import', CLOCK, RUN, scenario, String(hours), String(organizations)],
      { env: { ...process.env, NODE_OPTIONS: programOptions, CLOCK_SPEED: '60', CLOCK_BASE: String(Date.now()) } },
    );
    const figures = JSON.parse(stderr.trim().split('\n').at(-1) ?? '');
    if (process.env.DEEP) console.log(JSON.stringify(figures));
    const nothing = { dead_letters: 0, lost: 0, recursions_dropped: 0, failed: 0, left_enabled: 0 };
    expect(figures).toMatchObject({ ...nothing, scheduled: organizations });
    const own = AUTH0_IS_WELL.includes(scenario) ? (organizations * CALLS_AN_ORGANIZATION) / (hours * 60) : 0;
    expect(figures.calls_a_minute).toBeLessThanOrEqual(6 + own);
    expect(figures.minutes_afterwards).toBeLessThanOrEqual(figures.minutes_of_the_limit + 6);
  },
  3_600_000,
);
