// Bundles each file of functions/ into dist/<function>.mjs.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { builtinsOnDemand } from './builtins-on-demand.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * What the SDK's parts bring for other places than Lambda, and for its own clients: a hash in JavaScript for machines whose Node has no
 * crypto, streams of events, which no operation here has, and the middleware that an index makes when it is loaded.
 */
const notInLambda: Plugin = {
  name: 'not-in-lambda',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^@smithy\/core\/event-streams$/ }, ({ path }) => ({ path, namespace: 'left-out' }));
    onLoad({ filter: /./, namespace: 'left-out' }, () => ({ contents: 'export {}' }));
    onLoad({ filter: /\/Sha256Js\.js$/ }, () => ({ contents: 'export const Sha256Js = undefined' }));
    onLoad({ filter: /\/schemas\/schemas_\d+\.js$/ }, ({ path }) => ({
      contents: withPlainKeys(readFileSync(path, 'utf8')),
    }));
    onLoad({ filter: /\/core\/dist-es\/submodules\/\w+\/index\.js$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replaceAll(/ = (bind\w+\()/g, ' = /* @__PURE__ */ $1'),
    }));
  },
};

/** A schema with computed keys is kept in a bundle although nothing uses it: they might do something when they are computed. */
function withPlainKeys(schemas: string): string {
  const values = new Map([...schemas.matchAll(/const (_\w+) = ("[^"]*");/g)].map(([, name, value]) => [name, value]));
  return schemas.replaceAll(/\[(_\w+)\]:/g, (computed, name) => (values.has(name) ? `${values.get(name)}:` : computed));
}

const names = readdirSync(`${root}functions`).map((file) => file.replace(/\.ts$/, ''));
rmSync(`${root}dist`, { recursive: true, force: true });
mkdirSync(`${root}dist`);
const { metafile } = await build({
  entryPoints: names.map((name) => `${root}functions/${name}.ts`),
  outdir: `${root}dist`,
  outExtension: { '.js': '.mjs' },
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  minify: true,
  legalComments: 'none',
  mainFields: ['module', 'main'],
  conditions: ['module'],
  // Bodies are Node's own streams here; the first look at the global loads the web's beside them.
  define: { ReadableStream: 'undefined' },
  metafile: true,
  plugins: [builtinsOnDemand, notInLambda],
});
for (const [path, output] of Object.entries(metafile.outputs)) {
  writeFileSync(root + path.replace(/mjs$/, 'meta.json'), JSON.stringify({ outputs: { [path]: output } }));
  if (!process.argv.includes('--quiet')) console.log(`${path}  ${Math.round(output.bytes / 1000)} KB`);
}
