// `npm run screenshots`: the pictures of docs/images/, made of the service on this machine.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ACME, GLOBEX } from '../../infra/local/page/demo-tenant.ts';
import { missing, openBrowser } from './browser.ts';
import { startLocalService } from './local-service.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const IMAGES = join(ROOT, 'docs/images/');
const OFFBOARD = join(ROOT, 'infra/commands/offboard/main.ts');

if (missing) {
  console.error(`No screenshots: ${missing}`);
  process.exit(1);
}
mkdirSync(IMAGES, { recursive: true });
const [service, browser] = await Promise.all([startLocalService({ flags: ['--build'] }), openBrowser()]);
try {
  for (const colorScheme of ['light', 'dark']) {
    const page = await browser.newPage({ colorScheme, viewport: { width: 1280, height: 800 } });
    const click = (name: string) => page.getByRole('button', { name, exact: true }).click();
    const reach = (id: string, status: string) =>
      page.locator(`[data-offboarding=${id}]`, { hasText: status }).waitFor({ timeout: 60_000 });
    await page.goto(service.url);
    await page.locator('.opblock').first().waitFor();
    await click('Disable: acme-okta');
    await click('Offboard Globex');
    await reach(GLOBEX, 'scheduled');
    await page.evaluate('scrollTo(0, 0)');
    await sleep(1000);
    await page.screenshot({ path: `${IMAGES}page-${colorScheme}.png` });
    await click('Cancel: the offboarding of Globex');
    await reach(GLOBEX, 'cancelled');
    if (colorScheme === 'light') {
      await page.locator('#operations-offboarding-request-offboarding .opblock-summary-control').click();
      await page.locator('.try-out__btn').first().waitFor();
      await page.evaluate('document.querySelector("#reference").scrollIntoView()');
      await page.screenshot({ path: `${IMAGES}reference.png` });
      await click('Offboard Acme');
      await reach(ACME, 'scheduled');
      await click('Cancel: the offboarding of Acme');
      await reach(ACME, 'cancelled');
    }
    await fetch(`${service.url}/_page/play/reset`, { method: 'POST' });
    await page.close();
  }
  const report = join(mkdtempSync(join(tmpdir(), 'report-')), 'report.html');
  const command = [
    ...process.execArgv,
    OFFBOARD,
    'list',
    '--since',
    new Date().toISOString().slice(0, 10),
    '--url',
    service.url,
    '--report',
    report,
  ];
  execFileSync(process.execPath, command, { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
  const page = await browser.newPage({ viewport: { width: 1000, height: 800 } });
  await page.goto(pathToFileURL(report).href);
  await page.screenshot({ path: `${IMAGES}report.png` });
} finally {
  await browser.close();
  await service.end();
}
// A third of the size; the eye sees no difference.
const pictures = readdirSync(IMAGES).map((name) => join(IMAGES, name));
const { error } = spawnSync('pngquant', ['--force', '--ext', '.png', '64', ...pictures]);
if (error) console.error('The pictures are large: pngquant is not on this machine (apt-get install pngquant)');
