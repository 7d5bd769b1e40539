// Programs of this repository that tests start as processes.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { typescriptOptions } from '../../infra/older-node/language.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Where build.ts has bundled the programs for a run of the tests; nothing bundles them for a script. */
const BUILT = process.env.BUILT_PROGRAMS;

/** The file to start for a program (`infra/commands/smoke.ts`): its bundle in a run of the tests, else itself. */
export const programOf = (source: string) => (BUILT ? join(BUILT, source.replace(/ts$/, 'mjs')) : join(ROOT, source));

/** NODE_OPTIONS for a process that starts a program. A bundle needs no loader of TypeScript. */
export const programOptions = BUILT ? '' : typescriptOptions;

const start = (source: string) => `NODE_OPTIONS='${programOptions}' exec '${process.execPath}' '${programOf(source)}'`;

/**
 * A shell script of each command that a page's lines type beside the machine's own: `aws` and `auth0` are played, and for npm the
 * programs that it would run are started at once.
 */
export const COMMANDS = {
  aws: `#!/bin/sh\n${start('test/integration/command-line.ts')} aws "$@"\n`,
  auth0: `#!/bin/sh\n${start('test/integration/command-line.ts')} auth0 "$@"\n`,
  npm: `#!/bin/sh
given="$1 $2 $3"
shift 3
case "$given" in
'run offboard --') ${start('infra/commands/offboard/main.ts')} "$@" ;;
'run doctor --') ${start('infra/commands/doctor/main.ts')} "$@" ;;
*) echo "npm $given is not played" >&2; exit 1 ;;
esac
`,
};
