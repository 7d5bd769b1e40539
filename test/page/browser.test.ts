// The page of `npm start` in a real browser, where the service checks signatures.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ACME, GLOBEX } from '../../infra/local/page/demo-tenant.ts';
import { accessibilityFaults, missing, openBrowser } from './browser.ts';
import { type LocalService, startLocalService } from './local-service.ts';

if (missing) console.error(`The page in a real browser: ${missing}`);

describe.skipIf(missing)(`The page in Chromium${missing ? ` (${missing})` : ''}`, () => {
  let service: LocalService;
  let browser: Awaited<ReturnType<typeof openBrowser>>;
  let page: Awaited<ReturnType<typeof browser.newPage>>;
  const complaints: string[] = [];
  beforeAll(async () => {
    [service, browser] = await Promise.all([startLocalService({ flags: ['--check-signatures'] }), openBrowser()]);
  });
  afterAll(async () => {
    await browser?.close();
    await service?.end();
  });

  async function open() {
    await page?.context().close();
    page = await browser.newPage({ viewport: { width: 1440, height: 1000 } });
    page.on('pageerror', (error: Error) => complaints.push(String(error)));
    page.on('console', (line: { type: () => string; text: () => string }) => {
      if (line.type() === 'error' && !/status of \d+/.test(line.text())) complaints.push(line.text());
    });
    await page.goto(service.url);
    await page.locator('.opblock').first().waitFor();
    await page.locator('article').first().waitFor();
  }
  beforeEach(async () => {
    await fetch(`${service.url}/_page/play/reset`, { method: 'POST' });
    complaints.length = 0;
    await open();
  });

  const button = (name: string) => page.getByRole('button', { name, exact: true });
  const stateOf = (name: string) => page.locator('tr', { hasText: name }).locator('.state').innerText();
  const offboarding = (id: string) => page.locator(`[data-offboarding=${id}]`).innerText();
  const statuses = (id: string): Promise<string[]> =>
    page.locator(`#entries [data-kind=status][data-organizations=${id}] .text`).allInnerTexts();
  const patiently = { timeout: 30_000 };

  test('when a visitor disables a connection, offboards an organization and cancels that, the page follows', async () => {
    await button('Disable: acme-okta').click();
    await expect.poll(() => stateOf('acme-okta'), patiently).toBe('disabled');
    // Auth0 takes its time, so that no status is over before it was looked at.
    await service.tenant('addFaults', { path: GLOBEX, delay: 1500, times: 2 });
    await button('Offboard Globex').click();
    await expect.poll(() => offboarding(GLOBEX), patiently).toContain('scheduled');
    expect(await stateOf('globex-saml')).toBe('disabled');
    expect((await statuses(GLOBEX)).reverse()).toEqual(['requested', 'requested → working', 'working → scheduled']);
    await button('Cancel: the offboarding of Globex').click();
    await expect.poll(() => offboarding(GLOBEX), patiently).toContain('cancelled');
    await expect.poll(() => stateOf('globex-saml'), patiently).toBe('enabled');
    await expect.poll(() => page.locator('#answer').innerText(), patiently).toContain('200 cancelled');
    expect(complaints).toEqual([]);
  });

  test('when there is only a keyboard, all of that works, and the focus stays where it was', async () => {
    const focused = () =>
      page.evaluate('document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent');
    const tabTo = async (name: string) => {
      for (let presses = 0; presses < 80; presses++) {
        await page.keyboard.press('Tab');
        if ((await focused()) === name) return;
      }
      throw new Error(`Tab never reaches ${name}`);
    };
    await page.keyboard.press('Tab');
    expect(await focused()).toBe('Skip to the organizations');
    await page.keyboard.press('Enter');
    await tabTo('Disable: acme-google');
    await page.keyboard.press('Enter');
    await expect.poll(() => stateOf('acme-google'), patiently).toBe('disabled');
    expect(await focused()).toBe('Disable: acme-google');
    await tabTo('Remove: acme-google');
    await page.keyboard.press('Enter');
    await expect.poll(() => page.locator('tr', { hasText: 'acme-google' }).count(), patiently).toBe(0);
    await tabTo('Offboard Acme');
    await page.keyboard.press('Enter');
    await expect.poll(() => offboarding(ACME), patiently).toContain('scheduled');
    await tabTo('Cancel: the offboarding of Acme');
    await page.keyboard.press('Space');
    await expect.poll(() => offboarding(ACME), patiently).toContain('cancelled');
    await page.locator('#filter').focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    expect(await page.locator('#filter').inputValue()).toBe(GLOBEX);
    expect(await page.locator(`#entries li[data-organizations="${ACME}"]:visible`).count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  test('when a visitor tries a call of the reference, it is signed, and the curl line signs, too', async () => {
    const operation = page.locator('#operations-offboarding-get-offboarding');
    await operation.locator('.opblock-summary-control').press('Enter');
    await operation.locator('tr[data-param-name=organization_id] input').fill(ACME);
    await operation.locator('.execute').press('Enter');
    await operation.locator('.live-responses-table .response-col_status', { hasText: '200' }).waitFor();
    const curl = await operation.locator('.curl').innerText();
    expect(curl).toContain(`${service.url}/organizations/${ACME}/offboarding`);
    expect(curl).toContain('--aws-sigv4');
    await page
      .locator('#entries li[data-kind=request]', { hasText: `GET /organizations/${ACME}/offboarding` })
      .first()
      .waitFor();
  });

  test('when colours are light, and when they are dark, axe finds nothing wrong', async () => {
    await fetch(`${service.url}/_page/play/startOutage`, { method: 'POST' });
    await button('Disable: globex-entra').click();
    await page.locator('#entries li.failed').first().waitFor();
    await page.locator('#outage:visible').waitFor();
    await page.locator('#operations-connections-disable-connection .opblock-summary-control').click();
    await page.locator('.try-out__btn').waitFor();
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      expect(await page.evaluate(`matchMedia('(prefers-color-scheme: ${colorScheme})').matches`)).toBe(true);
      // Colours change in steps, over a part of a second.
      await expect.poll(() => accessibilityFaults(page), { message: colorScheme, ...patiently }).toEqual([]);
    }
    await fetch(`${service.url}/_page/play/endOutage`, { method: 'POST' });
  });

  test('when a name has markup in it, the page shows it as text', async () => {
    const name = '<img src=x onerror="document.title=1"> & "co"';
    const connection = { connection_id: 'con_Zz1Zz2Zz3Zz4Zz5Z', connection: { name, strategy: '<b>okta</b>' } };
    await service.tenant('setOrganizations', { org_Zz1Zz2Zz3Zz4Zz5Z: [connection] });
    await expect.poll(() => page.locator('article', { hasText: name }).count(), patiently).toBe(1);
    expect(await page.locator('main img, main b').count()).toBe(0);
    expect(complaints).toEqual([]);
    await service.tenant('deleteOrganization', 'org_Zz1Zz2Zz3Zz4Zz5Z');
  });
});
