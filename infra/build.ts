// Bundles each file of functions/ into dist/<function>.mjs.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
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
 * Lambda puts its role's credentials into the environment and renews them with the container, so the SDK's chain of
 * providers (files, SSO, processes, instance metadata: nearly half of the client) has nothing to find there.
 */
const credentialsFromEnvironment: Plugin = {
  name: 'credentials-from-environment',
  setup({ onResolve }) {
    onResolve({ filter: /^@aws-sdk\/credential-provider-node$/ }, () => ({
      path: fileURLToPath(new URL('environment-credentials.ts', import.meta.url)),
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
    plugins: [builtinsOnDemand, credentialsFromEnvironment],
  });
  writeFileSync(`${root}dist/${name}.meta.json`, JSON.stringify(metafile));
  const [output] = Object.values(metafile.outputs);
  if (!process.argv.includes('--quiet')) console.log(`dist/${name}.mjs  ${Math.round((output?.bytes ?? 0) / 1000)} KB`);
}
