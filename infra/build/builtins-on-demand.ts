import { builtinModules } from 'node:module';
import type { Plugin } from 'esbuild';

/**
 * A builtin by `process.getBuiltinModule` instead of `import`: importing one as an ES module makes Node read all of its
 * exports, and those of http, stream and others load undici, http2 and worker threads on being read (about 20 ms at a cold
 * start).
 */
export const builtinsOnDemand: Plugin = {
  name: 'builtins-on-demand',
  setup({ onResolve, onLoad }) {
    const filter = new RegExp(`^(node:)?(${builtinModules.filter((name) => !name.startsWith('node:')).join('|')})$`);
    onResolve({ filter }, ({ path }) => ({ path, namespace: 'builtin' }));
    onLoad({ filter: /./, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)})`,
    }));
  },
};
