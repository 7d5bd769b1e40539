// `npm start` as a newcomer meets it: one screen, commands that work as they stand, a page, and an end that leaves nothing.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { signedFetchAs } from '../../infra/commands/signed-fetch.ts';
import { freePort } from '../../infra/local/gateway.ts';
import { ACME, DATABASE, GLOBEX, GOOGLE, OKTA } from '../../infra/local/page/demo-tenant.ts';
import { type LocalService, openStream, startLocalService } from './local-service.ts';

const run = async (...commands: string[]) =>
  (await promisify(execFile)('bash', ['-c', commands.join('\n')])).stdout.trim();
const curlLines = (text: string) => text.split('\n').filter((line) => line.startsWith('  curl '));

const isRunning = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

/** It ends well, its processes with it, and who starts it again finds its port. */
async function endsCleanly(service: LocalService, signal: NodeJS.Signals) {
  const pids = (await run(`pgrep -P ${service.pid}`)).split('\n').map(Number);
  expect(pids.every(isRunning)).toBe(true);
  expect(await service.end(signal)).toEqual([0, null]);
  await expect.poll(() => pids.filter(isRunning)).toEqual([]);
  expect(await freePort(service.port)).toBe(service.port);
}

describe('npm start', () => {
  let service: LocalService;
  let stream: Awaited<ReturnType<typeof openStream>>;
  beforeAll(async () => {
    service = await startLocalService();
    stream = await openStream(service.url);
  });
  afterAll(() => stream.close());

  const statusesOf = (organizationId: string) =>
    stream.seen.entries
      .filter(({ kind, organization_ids }) => kind === 'status' && organization_ids.includes(organizationId))
      .map(({ text }) => text);
  const organization = (id: string) => stream.seen.state?.organizations.find((one) => one.id === id);
  const connection = (organizationId: string, id: string) =>
    organization(organizationId)?.connections.find(({ connection_id }) => connection_id === id);
  const play = (name: string, input: object = {}, headers: Record<string, string> = {}) =>
    fetch(`${service.url}/_page/play/${name}`, { method: 'POST', headers, body: JSON.stringify(input) });
  const commands = async (title: string): Promise<string[]> => {
    const all = await (await fetch(`${service.url}/_page/commands.json`)).json();
    return (all as { title: string; lines: string[] }[]).find((one) => one.title.startsWith(title))?.lines ?? [];
  };

  test('when it is up, one screen has the addresses, three requests and how to stop', () => {
    expect(service.shown).toContain(`${service.url}/`);
    expect(service.shown.trim().split('\n').length).toBeLessThanOrEqual(24);
    expect(curlLines(service.shown)).toHaveLength(3);
  });

  test('when the three requests are pasted, the page tells of an offboarding from its request to its cancellation', async () => {
    const [disable = '', offboard = '', cancel = ''] = curlLines(service.shown);
    expect(JSON.parse(await run(disable))).toMatchObject({ connection_id: OKTA, is_enabled: false });
    await expect.poll(() => connection(ACME, OKTA)?.is_enabled).toBe(false);
    // Auth0 takes its time, so that no status is over before it was looked at.
    await service.tenant('addFaults', { path: GLOBEX, delay: 1500, times: 2 });
    expect(JSON.parse(await run(offboard))).toMatchObject({ status: 'requested' });
    await expect.poll(() => organization(GLOBEX)?.offboarding?.status).toBe('scheduled');
    expect(JSON.parse(await run(cancel))).toMatchObject({ status: 'cancelled' });
    await expect.poll(() => organization(GLOBEX)?.offboarding?.status).toBe('cancelled');
    const published = statusesOf(GLOBEX);
    expect([published.slice(0, 3), published.at(-1)]).toEqual([
      ['requested', 'requested → working', 'working → scheduled'],
      expect.stringMatching(/ → cancelled$/),
    ]);
    const kinds = new Set(stream.seen.entries.map(({ kind }) => kind));
    expect([...kinds].sort()).toEqual(['auth0', 'event', 'request', 'status']);
    expect(organization(GLOBEX)?.connections.every(({ is_enabled }) => is_enabled)).toBe(true);
  });

  test('when the commands of the page are pasted, they work as they stand', async () => {
    const batch = await commands('Offboard many');
    const [listed = '', cancelled = ''] = (await run(batch[0] ?? '', batch[1] ?? '', 'echo', batch[2] ?? '')).split(
      '\n',
    );
    // A member has a record once the worker has come to it; the counts have it from the first moment.
    const counts = Object.values(JSON.parse(listed).counts as Record<string, number>);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(2);
    expect(JSON.parse(cancelled)).toMatchObject({ cancelling: 2, not_pending: 0 });

    const [endSessions = '', ...users] = await commands('End the members');
    await run(endSessions);
    const open = () => Promise.all(users.map((user) => run(user)));
    await expect
      .poll(open, { timeout: 30_000 })
      .toEqual(['{"sessions":0,"refresh_tokens":0}', '{"sessions":1,"refresh_tokens":1}']);

    const [variables = ''] = await commands('Set up');
    expect(await run(variables, 'echo $STAGE $ORG $TENANT $API_URL')).toBe(
      `local ${ACME} ${service.tenantUrl} ${service.url}`,
    );
    const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
    const events = new EventBridgeClient({ endpoint: service.awsUrl, region: 'us-east-1', credentials });
    for (const [index, line] of (await commands('Offboard by event')).entries()) {
      await events.send(new PutEventsCommand({ Entries: JSON.parse(/--entries '(.*)'$/.exec(line)?.[1] ?? '') }));
      const outcome = ['completed', 'watch_ended'][index];
      const isTold = () => stream.seen.entries.some(({ text }) => text === `organization.offboarding.${outcome}`);
      await expect.poll(isTold, { timeout: 30_000 }).toBe(true);
    }
  });

  test('when a visitor has the stand-ins play, the tenant changes and the page tells of it', async () => {
    await play('reset');
    await run(
      `curl -s -X PATCH ${service.url}/organizations/${GLOBEX}/connections/con_Wd3Ef5GhTy7UjKl9 -H 'content-type: application/json' -d '{"is_enabled":false}'`,
    );
    expect(await (await play('terraformApplies')).json()).toEqual({
      message: 'Terraform applied: it enabled 1 disabled connections.',
    });
    expect(await (await play('customerEnables', { organization_id: ACME, connection_id: GOOGLE })).json()).toEqual({
      message: expect.stringContaining('does not allow it'),
    });
    await service.tenant('clearFaults');
    const input = { organization_id: ACME, connection_id: DATABASE };
    expect(await (await play('customerEnables', input)).json()).toMatchObject({ message: /enabled/ });
    await play('customerAdds', { organization_id: ACME });
    await expect.poll(() => organization(ACME)?.connections.length).toBe(4);
    await play('startOutage');
    await expect.poll(() => stream.seen.state?.outage_until).toMatch(/Z$/);
    const path = `${service.url}/organizations/${ACME}/connections/${OKTA}`;
    expect((await fetch(path, { method: 'DELETE' })).status).toBe(502);
    await play('endOutage');
    expect((await fetch(path, { method: 'DELETE' })).status).toBe(204);
  });

  test('when another site asks, or the input is none, the page refuses', async () => {
    expect((await play('reset', {}, { 'sec-fetch-site': 'cross-site' })).status).toBe(403);
    const [status = ''] = [await run(`curl -s -o /dev/null -w '%{http_code}' -H 'host: evil.example' ${service.url}/`)];
    expect(status).toBe('403');
    expect((await play('enableConnection', { organization_id: ACME })).status).toBe(400);
    expect((await play('constructor')).status).toBe(404);
    expect((await fetch(`${service.url}/_page/..%2fserver.ts`)).status).toBe(404);
  });

  test('when Ctrl-C ends it, nothing of it is left', () => endsCleanly(service, 'SIGINT'));
});

test('when signatures are checked, the page signs for its visitors, and nobody else gets in unsigned', async () => {
  const service = await startLocalService({ flags: ['--check-signatures'] });
  const path = `/organizations/${ACME}/offboarding`;
  expect((await fetch(service.url + path)).status).toBe(403);
  const signedFetch = signedFetchAs({ accessKeyId: 'local', secretAccessKey: 'local' });
  expect((await signedFetch(service.url + path)).status).toBe(200);
  expect((await fetch(`${service.url}/_page/call${path}`)).status).toBe(200);
  const [disable = ''] = curlLines(service.shown);
  expect(JSON.parse(await run(disable))).toMatchObject({ is_enabled: false });
  await endsCleanly(service, 'SIGTERM');
});

test("when the terminal's window is closed, nothing of it is left", async () => {
  await endsCleanly(await startLocalService(), 'SIGHUP');
});
