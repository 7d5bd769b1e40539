// Bundles each file of functions/ into dist/<function>.mjs.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { builtinsOnDemand } from './builtins-on-demand.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * What the SDK brings for other places than Lambda, or for what is not used here. Endpoints are none of it: each partition's, FIPS
 * and dual-stack hosts are found as ever.
 */
const REPLACED: [file: RegExp, contents: string][] = [
  // A hash in JavaScript is for machines whose Node has no crypto.
  [/\/Sha256Js\.js$/, 'export const Sha256Js = undefined'],
  // Lambda has no configuration files, and says its region.
  [
    /shared-ini-file-loader\/loadSharedConfigFiles\.js$/,
    `export { CONFIG_PREFIX_SEPARATOR } from './constants.js';
     export const loadSharedConfigFiles = async () => ({ configFile: {}, credentialsFile: {} });`,
  ],
  [/\/getInstanceMetadataRegion\.js$/, 'export const getInstanceMetadataRegion = async () => undefined'],
  // DynamoDB's discovery of endpoints is optional, and off unless somebody asks for it; it comes with a cache of its own.
  [
    /middleware-endpoint-discovery\/dist-es\/index\.js$/,
    `export const resolveEndpointDiscoveryConfig = (config) => config;
     export const NODE_ENDPOINT_DISCOVERY_CONFIG_OPTIONS =
       { environmentVariableSelector: () => undefined, configFileSelector: () => undefined, default: undefined };`,
  ],
  // Signatures for all regions are for EventBridge's global endpoints; a bus has one.
  [
    /signature-v4-multi-region\/dist-es\/SignatureV4MultiRegion\.js$/,
    `import { SignatureV4SignWithCredentials } from './SignatureV4SignWithCredentials.js';
     export class SignatureV4MultiRegion extends SignatureV4SignWithCredentials { static sigv4aDependency = () => 'none'; }`,
  ],
  // Attempts are three, without a rate of the client's own; no client has a logger.
  [
    /\/AdaptiveRetryStrategy\.js$/,
    "export { StandardRetryStrategy as AdaptiveRetryStrategy } from './StandardRetryStrategy.js'",
  ],
  [
    /\/loggerMiddleware\.js$/,
    `export const [loggerMiddleware, loggerMiddlewareOptions] = [];
     export const getLoggerPlugin = () => ({ applyToStack() {} });`,
  ],
];

/**
 * Lambda puts its role's credentials into the environment and renews them with the container, so the chain of providers (files,
 * SSO, processes, instance metadata: nearly half of the client) has nothing to find. No operation that is used here streams events.
 */
const notInLambda: Plugin = {
  name: 'not-in-lambda',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^@aws-sdk\/credential-provider-node$/ }, () => ({
      path: fileURLToPath(new URL('environment-credentials.ts', import.meta.url)),
    }));
    onResolve({ filter: /^@smithy\/core\/event-streams$/ }, ({ path }) => ({ path, namespace: 'left-out' }));
    onLoad({ filter: /./, namespace: 'left-out' }, () => ({ contents: 'export {}' }));
    // Of its own package.json a client reads the version.
    onLoad({ filter: /@aws-sdk\/client-[^/]+\/package\.json$/ }, ({ path }) => ({
      contents: JSON.stringify({ version: JSON.parse(readFileSync(path, 'utf8')).version }),
      loader: 'json',
    }));
    for (const [filter, contents] of REPLACED)
      onLoad({ filter }, ({ path }) => ({ contents, resolveDir: dirname(path) }));
  },
};

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
