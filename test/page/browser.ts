// A real browser, where there is one: Chromium of the machine, driven by what `npm ci --prefix .ci/browser` installs.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const MODULES = fileURLToPath(new URL('../../.ci/browser/', import.meta.url));
const CHROMIUM = [
  process.env.CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find((path) => path && existsSync(path));

/** Why there is no browser, in one sentence; undefined where there is one. */
export const missing = !CHROMIUM
  ? 'LEFT OUT, no Chromium on this machine: install it (apt-get install chromium), or name it in CHROMIUM'
  : existsSync(`${MODULES}node_modules`)
    ? undefined
    : 'LEFT OUT, nothing that drives a browser: npm ci --prefix .ci/browser';

const installed = createRequire(MODULES);

/** Chromium without a window. */
export async function openBrowser() {
  const { chromium } = installed('playwright-core');
  // Its sandbox does not work for root.
  const args = ['--disable-lcd-text', ...(process.getuid?.() === 0 ? ['--no-sandbox'] : [])];
  return chromium.launch({ executablePath: CHROMIUM, args });
}

/** What a browser page finds wrong about its accessibility, a line each, by axe. */
export async function accessibilityFaults(page: { evaluate: (script: string) => Promise<unknown> }): Promise<string[]> {
  // By the debugger, which the page's own policy does not stop.
  await page.evaluate(installed('axe-core').source);
  const { violations } = (await page.evaluate('axe.run({ resultTypes: ["violations"] })')) as {
    violations: { id: string; nodes: { target: string[] }[] }[];
  };
  return violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target.join(' ')}`));
}
