// Bundles the programs that tests start as processes, once before the tests of a run. A process loads its bundle in a tenth of the
// time that it takes for some hundred modules, and needs no loader of TypeScript on a Node that is older than Lambda's.
// test/programs/scripts.test.ts starts the sources, by the scripts of package.json.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { parse } from 'yaml';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CONTRACTS = join(ROOT, 'infra/contracts');
const DESCRIPTIONS = ['openapi.yml', 'asyncapi.yml'];
const PROGRAMS = [
  'infra/commands/costs/main.ts',
  'infra/commands/doctor/main.ts',
  'infra/commands/offboard/main.ts',
  'infra/commands/publishers.ts',
  'infra/commands/smoke.ts',
  'infra/local/demo.ts',
  'infra/local/start.ts',
  'test/auth0/frozen-container.ts',
  'test/deep-report.ts',
  'test/exploration/run.ts',
  'test/integration/chaos.run.ts',
  'test/integration/outage.run.ts',
];

/** A module of ours knows where its source lies: what it reads lies beside that. */
const ownPlaces: Plugin = {
  name: 'own-places',
  setup({ onLoad }) {
    onLoad({ filter: /\.(ts|mjs)$/ }, ({ path }) =>
      path.includes('node_modules')
        ? undefined
        : {
            contents: readFileSync(path, 'utf8').replaceAll(
              'import.meta.url',
              JSON.stringify(pathToFileURL(path).href),
            ),
            loader: 'ts',
          },
    );
  },
};

/**
 * Bundles them into a folder of this run's own, whose name is in BUILT_PROGRAMS, with the descriptions as JSON; the function that it
 * returns removes the folder.
 */
export default async function buildPrograms(): Promise<() => void> {
  // Below node_modules, where what is not bundled is found.
  const folder = join(ROOT, `node_modules/.programs-${process.pid}`);
  mkdirSync(folder);
  await build({
    absWorkingDir: ROOT,
    entryPoints: PROGRAMS,
    outbase: ROOT,
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    inject: [fileURLToPath(new URL('first.mjs', import.meta.url))],
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    // What is loaded on demand needs modules, which have names.
    mainFields: ['module', 'main'],
    conditions: ['module'],
    // These have CommonJS alone.
    external: ['undici', 'dynalite'],
    banner: {
      js: "import { createRequire as createRequire$ } from 'node:module'; const require = createRequire$(import.meta.url);",
    },
    plugins: [ownPlaces],
  });
  for (const name of DESCRIPTIONS)
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(parse(readFileSync(join(CONTRACTS, name), 'utf8'))));
  process.env.BUILT_PROGRAMS = folder;
  return () => rmSync(folder, { recursive: true });
}
