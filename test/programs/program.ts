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
