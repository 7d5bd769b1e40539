// The bundles that are measured: ours, and those of the handlers beside which ours is measured, bundled as their authors would.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { builtinsOnDemand } from '../../infra/build/builtins-on-demand.ts';

/** `conventional` and `plain` are what users would write; `limit` has no dependency. */
export type Way = 'ours' | 'conventional' | 'plain' | 'limit';

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const REQUIRE = { js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);" };

/** Bundles the peers into a folder of their own. */
export async function buildPeers() {
  const folder = mkdtempSync(join(tmpdir(), 'org-connections-bench-'));
  for (const way of ['conventional', 'plain', 'limit']) {
    for (const name of [way, `${way}-offboarding`]) {
      await build({
        entryPoints: [here(`handlers/${name}.ts`)],
        outfile: join(folder, `${name}.mjs`),
        bundle: true,
        minify: true,
        platform: 'node',
        format: 'esm',
        target: 'node24',
        mainFields: ['module', 'main'],
        logLevel: 'error',
        ...(way === 'limit' ? { plugins: [builtinsOnDemand] } : { banner: REQUIRE }),
      });
    }
  }
  const isOffboarding = (name: string) => /^(request|list)-/.test(name);
  return {
    /** The file of the bundle that plays the function `name`. */
    bundleOf: (way: Way, name: string) =>
      way === 'ours'
        ? here(`../../dist/${name}.mjs`)
        : join(folder, `${way}${isOffboarding(name) ? '-offboarding' : ''}.mjs`),
    close: () => rmSync(folder, { recursive: true }),
  };
}
