// Bundles each file of functions/ into dist/<function>.mjs.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * A builtin by `process.getBuiltinModule` instead of `import`: importing one as an ES module makes Node read all of its
 * exports, and those of http, stream and others load undici, http2 and worker threads on being read (about 20 ms at a cold
 * start).
 */
const builtinsOnDemand: Plugin = {
  name: 'builtins-on-demand',
  setup({ onResolve, onLoad }) {
    const filter = new RegExp(`^(node:)?(${builtinModules.filter((name) => !name.startsWith('node:')).join('|')})$`);
    onResolve({ filter }, ({ path }) => ({ path, namespace: 'builtin' }));
    onLoad({ filter: /./, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)})`,
    }));
  },
};

/**
 * What the SDK brings for other places than Lambda. Lambda puts its role's credentials into the environment and renews them
 * with the container, so the chain of providers (files, SSO, processes, instance metadata: nearly half of the client) has
 * nothing to find; nor has the reading of configuration files. No operation that is used here streams events.
 */
const notInLambda: Plugin = {
  name: 'not-in-lambda',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^@aws-sdk\/credential-provider-node$/ }, () => ({
      path: fileURLToPath(new URL('environment-credentials.ts', import.meta.url)),
    }));
    onResolve({ filter: /^@smithy\/core\/event-streams$/ }, ({ path }) => ({ path, namespace: 'left-out' }));
    onLoad({ filter: /./, namespace: 'left-out' }, () => ({ contents: 'export {}' }));
    // Of its own package.json a client reads the version; a hash in JavaScript is for machines whose Node has no crypto.
    onLoad({ filter: /@aws-sdk\/client-[^/]+\/package\.json$/ }, ({ path }) => ({
      contents: JSON.stringify({ version: JSON.parse(readFileSync(path, 'utf8')).version }),
      loader: 'json',
    }));
    onLoad({ filter: /\/Sha256Js\.js$/ }, () => ({ contents: 'export const Sha256Js = undefined' }));
    onLoad({ filter: /shared-ini-file-loader\/loadSharedConfigFiles\.js$/ }, ({ path }) => ({
      contents: `export { CONFIG_PREFIX_SEPARATOR } from './constants.js';
        export const loadSharedConfigFiles = async () => ({ configFile: {}, credentialsFile: {} });`,
      resolveDir: dirname(path),
    }));
  },
};

const names = readdirSync(`${root}functions`).map((file) => file.replace(/\.ts$/, ''));
rmSync(`${root}dist`, { recursive: true, force: true });
mkdirSync(`${root}dist`);
for (const name of names) {
  const { metafile } = await build({
    entryPoints: [`${root}functions/${name}.ts`],
    outfile: `${root}dist/${name}.mjs`,
    absWorkingDir: root,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    minify: true,
    legalComments: 'none',
    mainFields: ['module', 'main'],
    conditions: ['module'],
    metafile: true,
    plugins: [builtinsOnDemand, notInLambda],
  });
  writeFileSync(`${root}dist/${name}.meta.json`, JSON.stringify(metafile));
  const [output] = Object.values(metafile.outputs);
  if (!process.argv.includes('--quiet')) console.log(`dist/${name}.mjs  ${Math.round((output?.bytes ?? 0) / 1000)} KB`);
}
