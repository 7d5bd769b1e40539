// A night on call: what people and their tools do, played as docs/runbook.md's game day has it and mended by the page's own commands.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { DEAD_LETTERS, QUEUE } from '../../infra/local/environment.ts';
import { CON, ORG, type Service, startService } from '../service.ts';
import { commandsOf, PAGE, playOf, queriesIn, startTerminal, type Terminal } from './runbook.ts';

const OTHER = 'org_Qk2vN8sT5rWx1YzA';
const MANY = ['100', '101', '102'].map((number) => `org_many000000000${number}`);
const OKTA = { connection_id: CON, connection: { name: 'acme-okta', strategy: 'okta' }, show_as_button: false };

let service: Service;
let terminal: Terminal;
beforeAll(async () => {
  service = await startService({ visibilityTimeout: 1500 });
  terminal = await startTerminal(service);
});
afterAll(async () => {
  await terminal.close();
  await service.close();
});
beforeEach(async () => {
  await service.startOver();
  service.tenant.setPlan('unlimited');
  for (const organization of [ORG, OTHER, ...MANY]) {
    await service.forget(organization);
    service.tenant.deleteOrganization(organization);
  }
  service.tenant.setOrganizations({ [ORG]: [OKTA], [OTHER]: [OKTA] });
  service.aws.messages(DEAD_LETTERS).splice(0);
  service.logs.splice(0);
  service.aws.events.splice(0);
});

const statusOf = async (organization = ORG) => (await service.records(organization)).at(-1)?.status;
async function offboard(detail: object, outcome?: string) {
  const { id } = service.publish(detail);
  await service.outcome(id, outcome);
  await service.worker.idle();
  return id;
}
const levelOf = (code: string) => service.logged(code).flatMap((line) => (line.code === code ? [line.level] : []));

describe('a list', () => {
  test('of nobody, of the organizations that have a provider: found, planned and done before other work', async () => {
    // What Auth0 says of its limits is how fast they are gone through.
    service.tenant.setPlan('enterprise');
    await terminal.run(playOf('a provider in many organizations').replace('{100..198}', '{100..102}'));
    const done = await terminal.mend('A provider is compromised', /offboard -- (plan|apply)/);
    expect(done).toContain('Organizations: 5 completed');
    for (const organization of [...MANY, ORG, OTHER]) expect(service.enabled(organization)).toEqual({ [CON]: false });
    const [request] = service.aws.events.filter(({ source }) => source === 'org-connections');
    expect(request?.detail).toMatchObject({ connection_ids: [CON], reason: 'provider compromised' });
    // The watch of what is completed ends by the organization's name.
    const safe = await terminal.mend('A provider is compromised', /cancel|restore/);
    for (const organization of [...MANY, ORG, OTHER]) expect(safe).toContain(`${organization}: not watched any more`);
    expect(safe.split('\n').filter((line) => line.startsWith('auth0 api patch'))).toHaveLength(5);
  });

  test('that was the wrong one: cancelled whole, and what it had disabled is enabled', async () => {
    const plan = '--action disable_then_remove --reason "contract ended" --stage $STAGE --out plan.json';
    await terminal.run(`echo $ORG | npm run offboard -- plan - ${plan}; npm run offboard -- apply plan.json`);
    expect(service.enabled()).toEqual({ [CON]: false });
    const said = await terminal.mend('The wrong list was applied');
    expect(said).toContain('1 are being cancelled');
    expect(said).toContain('1 cancelled');
    expect(service.enabled()).toEqual({ [CON]: true });
    expect((await service.records()).at(-1)?.cancelled).toMatchObject({ reason: 'wrong list' });
  });
});

describe('undone', () => {
  test('a completed one: cancelling says that it enabled nothing, and restore prints what does', async () => {
    service.tenant.setOrganizations({ [ORG]: [OKTA, { connection_id: 'con_Yt4Lw9QeRb7UiXc3' }] });
    await offboard({ action: 'disable', connection_ids: [CON] });
    await offboard({ action: 'remove', connection_ids: ['con_Yt4Lw9QeRb7UiXc3'] });
    const said = await terminal.mend('Undo what is completed');
    expect(said).toContain('NOTHING was enabled');
    expect(service.enabled()).toEqual({ [CON]: false });
    const calls = said.split('\n').filter((line) => line.startsWith('auth0 api'));
    expect(calls.length).toBe(2);
    await terminal.run(calls.join('\n'));
    expect(service.enabled()).toEqual({ [CON]: true, con_Yt4Lw9QeRb7UiXc3: true });
  });

  test('a single DELETE: the line of the PATCH before it has what puts the connection back', async () => {
    await terminal.mend('A single connection is to be removed');
    expect(service.enabled()).toEqual({});
    const [line] = await terminal.found('A single connection is to be removed');
    const {
      connection: _,
      organization_access_level: __,
      ...settings
    } = Object(line).connection as Record<string, unknown>;
    await terminal.run(
      `auth0 api post organizations/$ORG/connections --data '${JSON.stringify({ ...settings, is_enabled: true })}'`,
    );
    expect(service.tenant.state().organizations[ORG]).toMatchObject([
      { connection_id: CON, show_as_button: false, is_enabled: true },
    ]);
  });
});

describe('a tool that fights', () => {
  test('three times within a day: it is left enabled, and each line that says so is found', async () => {
    await offboard({ action: 'disable', on_reenable: 'disable_again' });
    for (let time = 1; time <= 3; time++) {
      await terminal.play('a tool that enables it');
      const hurry = setInterval(() => service.hurry().catch(() => undefined), 50);
      const drifts = expect.poll(() => service.logged('offboarding_drifted').length, { timeout: 20_000 });
      await drifts.toBe(time).finally(() => clearInterval(hurry));
      await service.worker.idle();
    }
    expect(service.enabled()).toEqual({ [CON]: true });
    await terminal.found('Drifted');
    expect([levelOf('offboarding_drifted'), levelOf('reenabled_repeatedly')]).toEqual([
      ['WARN', 'WARN', 'WARN'],
      ['ERROR'],
    ]);
    // The tool was stopped.
    await terminal.mend('Drifted');
    await service.settled();
    expect(service.enabled()).toEqual({ [CON]: false });
  });

  test('while another request is pending: the look is made when that has ended, and not spent', async () => {
    service.tenant.setOrganizations({ [ORG]: [OKTA, { connection_id: 'con_Yt4Lw9QeRb7UiXc3' }] });
    await offboard({ action: 'disable', connection_ids: [CON], on_reenable: 'disable_again' });
    service.tenant.addFaults({ method: 'PATCH', path: 'con_Yt4Lw9QeRb7UiXc3', status: 503, times: 9999 });
    service.publish({ action: 'disable', connection_ids: ['con_Yt4Lw9QeRb7UiXc3'] });
    await expect.poll(async () => (await service.records()).at(-1)?.last_error, { timeout: 20_000 }).toBeTruthy();
    for (let time = 1; time <= 2; time++) await terminal.play('a tool that enables it');
    await expect.poll(() => service.logged('notification_received').length, { timeout: 20_000 }).toBe(2);
    service.tenant.clearFaults();
    await service.settled();
    expect(service.enabled()).toEqual({ [CON]: false, con_Yt4Lw9QeRb7UiXc3: false });
    expect(service.logged('offboarding_drifted').length).toBe(1);
  });
});

describe('a typo', () => {
  const NOBODY = 'org_None000000000000';
  const ended = () => expect.poll(() => statusOf(NOBODY), { timeout: 20_000 }).toBe('failed');
  beforeEach(() => service.forget(NOBODY));

  test('over HTTP: a failed record that says so, no dead letter; of a dry run not even an error', async () => {
    const ask = (dry: boolean) =>
      terminal.run(
        `call POST "$API_URL/organizations/${NOBODY}/offboarding" -d '{"action": "disable", "reason": "x", "dry_run": ${dry}}'`,
      );
    await ask(true);
    await ended();
    await service.settled();
    expect(levelOf('offboarding_failed')).toEqual(['INFO']);
    await service.forget(NOBODY);
    await ask(false);
    await ended();
    await service.settled();
    expect(levelOf('offboarding_failed')).toEqual(['INFO', 'ERROR']);
    await terminal.found('Offboarding failures');
    expect(await terminal.mend('Offboarding failures')).toContain('unknown_organization');
    const shown = JSON.parse(await terminal.run(`call GET "$API_URL/organizations/${NOBODY}/offboarding"`));
    expect(shown).toMatchObject({ status: 404, code: 'unknown_organization' });
    expect(service.aws.messages(DEAD_LETTERS)).toEqual([]);
  });

  test('by event: a dead letter with its reason; sent in again it changes nothing', async () => {
    await terminal.play('an event for an organization that is not there');
    await ended();
    await expect.poll(() => service.aws.messages(DEAD_LETTERS).length, { timeout: 20_000 }).toBe(1);
    expect(await terminal.mend('Dead letters', /receive-message.*timeout 0/)).toContain('unknown_organization');
    await terminal.found('Dead letters');
    const calls = service.managementCalls().length;
    await terminal.mend('Dead letters', /redrive --all/);
    await expect
      .poll(() => service.aws.messages(DEAD_LETTERS).length + service.aws.messages(QUEUE).length, { timeout: 20_000 })
      .toBe(0);
    expect([service.managementCalls().length, (await service.records(NOBODY)).length]).toEqual([calls, 1]);
  });
});

test('an organization with nothing to do: requeue says that there was nothing', async () => {
  const said = await terminal.run('npm run offboard -- requeue $ORG --stage $STAGE');
  expect(said).toContain('nothing was requeued');
});

test('the archive is read by a rule of the auditor, and nothing of ours gets it', async () => {
  const offboarding = await offboard({ action: 'disable' });
  const before = service.aws.events.length;
  const [from, until] = [-1, 1].map((days) => new Date(Date.now() + days * 86_400_000).toISOString());
  const commands = commandsOf('The archive is to be read')
    .join('\n')
    .replace(/^FROM=.*$/m, `FROM=${from} UNTIL=${until}`);
  const polled = service.aws.calls.length;
  await terminal.run(commands);
  const all = service.aws.messages('audit-local').map(({ body }) => JSON.parse(body));
  const read = all.filter(({ id, detail }) => [id, detail.offboarding_id].includes(offboarding));
  expect(read.map((event) => event['replay-name'])).toEqual(['audit', 'audit']);
  expect(read.map((event) => event['detail-type']).sort()).toEqual([
    'organization.offboarding.completed',
    'organization.offboarding.requested',
  ]);
  expect(service.aws.messages(QUEUE)).toEqual([]);
  expect(service.aws.calls.slice(polled).filter((call) => /Item$/.test(call))).toEqual([]);
  expect(service.aws.events.length).toBe(before);
});

describe('the page', () => {
  const ROOT = fileURLToPath(new URL('../..', import.meta.url));
  const sources = ['functions', 'lib']
    .flatMap((folder) =>
      readdirSync(`${ROOT}${folder}`, { recursive: true, encoding: 'utf8' }).map((file) => `${folder}/${file}`),
    )
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(`${ROOT}${file}`, 'utf8'))
    .join('\n');

  test('searches the logs for lines that are written', () => {
    const codes = queriesIn(PAGE).flatMap(({ codes }) => codes);
    expect(codes.length).toBeGreaterThan(15);
    const written = (code: string) =>
      sources.includes(`'${code}'`) ||
      (code.startsWith('offboarding_') && sources.includes(`'${code.slice(12)}'`)) ||
      sources.includes(`${code}:`);
    expect(codes.filter((code) => !written(code))).toEqual([]);
  });

  test('mends each incident of its game day by an entry', () => {
    const rows = PAGE.slice(PAGE.indexOf('| incident |')).split('\n').slice(2).filter(Boolean);
    const titles = [...PAGE.matchAll(/^### (.*)$/gm)].map(([, title = '']) => title.toLowerCase());
    const mends = rows
      .flatMap(
        (row) =>
          row
            .split(/(?<!\\)\|/)
            .at(-2)
            ?.split(';') ?? [],
      )
      .map((mend) => mend.trim().toLowerCase());
    expect(rows.length).toBeGreaterThanOrEqual(13);
    expect(
      mends.filter((mend) => !mend.startsWith('nothing') && !titles.some((title) => title.includes(mend))),
    ).toEqual([]);
  });
});
