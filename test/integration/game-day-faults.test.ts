// A night on call: what fails under the service, played as docs/runbook.md's game day has it and mended by the page's own commands.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CLIENT_SECRET, QUEUE, TOKEN_SECRET } from '../../infra/local/environment.ts';
import { CON, ORG, type Service, startService } from '../service.ts';
import { startTerminal, type Terminal } from './runbook.ts';

const OTHER = 'org_Qk2vN8sT5rWx1YzA';
const CREDENTIALS = { client_id: 'org-connections-local', client_secret: 'local-client-secret-0123456789' };
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const SCOPE = ['organization_connections', 'organization_client_grants']
  .flatMap((what) => ['read', 'create', 'update', 'delete'].map((verb) => `${verb}:${what}`))
  .join(' ');

let service: Service;
let terminal: Terminal;
beforeAll(async () => {
  service = await startService({ visibilityTimeout: 1500 });
  terminal = await startTerminal(service);
  for (const secret of ['changed-0123456789', 'new-client-secret-0123456789']) service.secrets.add(secret);
});
afterAll(async () => {
  await terminal.close();
  await service.close();
});
beforeEach(async () => {
  await service.startOver();
  for (const organization of [ORG, OTHER]) await service.forget(organization);
  service.tenant.setOrganizations({ [ORG]: [{ connection_id: CON }], [OTHER]: [{ connection_id: CON }] });
  service.logs.splice(0);
  service.aws.events.splice(0);
});

const statusOf = async (organization = ORG) => (await service.records(organization)).at(-1)?.status;
/** Each wait is over at once, until `done` has come. */
async function until(done: () => Promise<unknown> | unknown, expected: unknown) {
  const hurry = setInterval(() => service.hurry().catch(() => undefined), 50);
  await expect
    .poll(() => done(), { timeout: 30_000 })
    .toEqual(expected)
    .finally(() => clearInterval(hurry));
}
const errors = () =>
  service.logs.map((line) => JSON.parse(line)).flatMap(({ level, code }) => (level === 'ERROR' ? [code] : []));

test('Auth0 is down: a request waits for it, says for what, and is done when it is over', async () => {
  await terminal.play('Auth0 is down');
  const answer = JSON.parse(await terminal.mend('Auth0 is down'));
  expect(answer).toMatchObject({ status: 'requested' });
  await terminal.found('Auth0 is down');
  await service.worker.idle();
  const shown = JSON.parse(await terminal.run('call GET "$API_URL/organizations/$ORG/offboarding"'));
  expect(shown).toMatchObject({ connections_source: 'record', last_error: { code: 'auth0_unavailable' } });
  await terminal.run('curl -s $TENANT/_tenant/clearFaults');
  await until(statusOf, 'completed');
  expect(service.enabled()).toEqual({ [CON]: false });
});

test('the table is down: an offboarding is refused for now, and PATCH ends the access all the same', async () => {
  await terminal.play('the table is down');
  const refused = JSON.parse(await terminal.mend('Auth0 is down'));
  expect(refused).toMatchObject({ status: 503, code: 'record_unavailable' });
  expect(JSON.parse(await terminal.mend('The table is down'))).toMatchObject({ is_enabled: false });
  await terminal.found('The table is down');
  expect(service.enabled()).toEqual({ [CON]: false });
});

describe('the token', () => {
  const patch = async () =>
    JSON.parse(
      await terminal.run(`call PATCH "$API_URL/organizations/$ORG/connections/$CON" -d '{"is_enabled": false}'`),
    );
  beforeEach(async () => {
    // What a container remembers of the last rotation is not what this is about.
    service.functionNamed('disable-connection').kill();
    service.tenant.setClient(CREDENTIALS.client_id, { client_secret: CREDENTIALS.client_secret, scope: SCOPE });
    service.aws.setSecretValue(CLIENT_SECRET, JSON.stringify(CREDENTIALS));
    await service.aws.rotate(TOKEN_SECRET);
    service.aws.secret(TOKEN_SECRET).lastRotated = 0;
    service.logs.splice(0);
  });

  test('is revoked: the first call has a new one fetched, and says so', async () => {
    await terminal.play('the token is revoked');
    expect(await patch()).toMatchObject({
      status: 503,
      code: 'management_token_unavailable',
      detail: expect.stringContaining('a new one is on its way'),
    });
    await terminal.found('Token rejected');
    await expect.poll(async () => (await patch()).is_enabled, { timeout: 10_000 }).toBe(false);
  });

  test("can't be renewed, as its client's secret was changed: the log says why, as an error; new credentials end it", async () => {
    await terminal.play("the client's secret is changed");
    await patch();
    const [line] = await terminal.found('Token not rotated');
    expect(line).toMatchObject({ level: 'ERROR', reason: 'wrong_credentials' });
    service.tenant.setClient('org-connections-local', { client_secret: 'new-client-secret-0123456789', scope: SCOPE });
    const credentials = { ...CREDENTIALS, client_secret: 'new-client-secret-0123456789' };
    writeFileSync(join(terminal.folder, 'client.json'), JSON.stringify(credentials));
    // "A previous rotation isn't complete" is a yes, too, and an error of the command's.
    await terminal
      .mend('Token not rotated', /put-secret-value|rotate-secret/)
      .catch((error) => expect(error.stderr).toContain("A previous rotation isn't complete"));
    await expect.poll(async () => (await patch()).is_enabled, { timeout: 10_000 }).toBe(false);
  });

  test('was overwritten, and the one before it revoked: that is put back by its label, and rotated', async () => {
    await terminal.play("somebody writes the token's secret");
    expect(await patch()).toMatchObject({ status: 503, code: 'management_token_unavailable' });
    await terminal.mend('Token not rotated', /^version|update-secret-version-stage/);
    // Auth0 rejects the last token, too: the service says so, and an operator need not wait.
    expect(await patch()).toMatchObject({ code: expect.stringMatching(/^management_token_(rejected|unavailable)$/) });
    await terminal
      .mend('Token not rotated', /rotate-secret/)
      .catch((error) => expect(error.stderr).toContain("A previous rotation isn't complete"));
    await expect.poll(async () => (await patch()).is_enabled, { timeout: 10_000 }).toBe(false);
  });
});

describe('something is lost', () => {
  test('the queue, purged by mistake: one command has the request go on', async () => {
    await terminal.play('Auth0 is down');
    await terminal.mend('Auth0 is down');
    await expect.poll(async () => (await service.records()).at(-1)?.last_error, { timeout: 20_000 }).toBeTruthy();
    await service.worker.idle();
    await terminal.play('the queue is purged');
    await terminal.run('curl -s $TENANT/_tenant/clearFaults');
    expect(service.aws.messages(QUEUE)).toEqual([]);
    expect(await terminal.mend('Oldest overdue', /list/)).toContain(ORG);
    expect(await terminal.mend('Oldest overdue', /requeue \$ORG/)).toContain('Requeued: 1 organization');
    await until(statusOf, 'completed');
    expect(service.enabled()).toEqual({ [CON]: false });
  });

  test('a worker, with what it removed: DELETE says by which record and since when, and one command ends it', async () => {
    const removal = { action: 'disable_then_remove', reason: 'x' };
    const { id } = service.publish(removal);
    await service.outcome(id, 'scheduled');
    await service.worker.idle();
    service.tenant.addFaults({ method: 'DELETE', delay: 9000 });
    await service.makeDue();
    await expect
      .poll(() => service.managementCalls().some(({ method }) => method === 'DELETE'), { timeout: 20_000 })
      .toBe(true);
    service.worker.kill();
    await terminal.play('the queue is purged');
    const refused = JSON.parse(await terminal.run('call DELETE "$API_URL/organizations/$ORG/offboarding"'));
    expect(refused).toMatchObject({ status: 409, code: 'conflict' });
    expect(refused.detail).toMatch(new RegExp(`since \\d{4}-.*Z by the offboarding ${id}`));
    service.tenant.clearFaults();
    await terminal.mend('Oldest overdue', /requeue \$ORG/);
    await until(statusOf, 'completed');
    expect(service.enabled()).toEqual({});
  });

  test('the schedule of a removal: what is overdue is found by one command, and the log said how old it was', async () => {
    const { id } = service.publish({ action: 'disable_then_remove' });
    await service.outcome(id, 'scheduled');
    await service.worker.idle();
    await terminal.play('a removal');
    expect([...service.aws.schedules.keys()].filter((name) => name.includes(ORG))).toEqual([]);
    await service.pass(29 * DAY_MS + HOUR_MS);
    await service.sweep();
    await service.pass(DAY_MS + HOUR_MS);
    const requeued = await terminal.mend('Oldest overdue', /requeue --overdue/);
    expect(requeued).toMatch(/Requeued: [1-9]/);
    await until(() => service.enabled(), {});
    const lines = await terminal.found('Oldest overdue');
    expect(lines.some(({ OldestOverdue }) => Number(OldestOverdue) > 3600)).toBe(true);
  });
});

test('one organization fails: those behind it are done meanwhile', async () => {
  await terminal.play('Auth0 fails for one organization');
  service.publish({ action: 'disable' });
  await terminal.found('Where an organization holds up the others');
  const { id } = service.publish({ action: 'disable', organization_id: OTHER });
  const outcome = await service.outcomeInAHurry(id, 'completed');
  expect(outcome.detail.organization_id).toBe(OTHER);
  expect([await statusOf(OTHER), service.enabled(ORG)]).toEqual(['completed', { [CON]: true }]);
  expect(errors()).not.toContain('offboarding_failed');
});
