// What is in the bundles: each package with its version, its licence and its share, as esbuild counted it.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Packaged {
  name: string;
  version: string;
  license: string;
  /** Bytes in all bundles together. */
  bytes: number;
}

/** The packages in the bundles under dist/, the largest first. */
export function bundledPackages(): Packaged[] {
  const found = new Map<string, Packaged>();
  for (const file of readdirSync(`${root}dist`).filter((name) => name.endsWith('.meta.json'))) {
    const { outputs } = JSON.parse(readFileSync(`${root}dist/${file}`, 'utf8'));
    for (const { inputs } of Object.values<{ inputs: Record<string, { bytesInOutput: number }> }>(outputs)) {
      for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
        const folder = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1];
        if (!folder) continue;
        const known = found.get(folder) ?? packageIn(folder);
        found.set(folder, { ...known, bytes: known.bytes + bytesInOutput });
      }
    }
  }
  return [...found.values()].filter(({ bytes }) => bytes > 0).sort((a, b) => b.bytes - a.bytes);
}

function packageIn(folder: string): Packaged {
  const { name, version, license } = JSON.parse(readFileSync(`${root}${folder}/package.json`, 'utf8'));
  return { name, version, license, bytes: 0 };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const { name, version, license, bytes } of bundledPackages()) {
    console.log(`${name}@${version}  ${license}  ${Math.ceil(bytes / 1000)} KB`);
  }
}
