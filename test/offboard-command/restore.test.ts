// `restore`: the calls that put back what was taken, by all records of the organization.
import '../own-modules.ts';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { ACME, apply, at, connection, GLOBEX, service, url } from './customers.ts';
import { offboard } from './terminal.ts';

const OKTA = 'con_PmFe8KxCsPJvZRrj';
const IDS = ['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002'];
const base = { dry_run: false, requested_by: 'x', reason: 'x', organization_id: ACME };
const settings = (more: object) => ({
  is_enabled: true,
  show_as_button: true,
  organization_access_level: 'none',
  ...more,
});
const taken = (outcome: string, before: object | null, more = {}) => ({
  ...{ connection_id: OKTA, name: 'acme-okta', strategy: 'okta', outcome, before, error: null },
  ...more,
});
const offboarding = (month: string, action: string, status: string, connections: object[], more = {}) => ({
  ...base,
  ...{ offboarding_id: `${month}-${action}`, action, status, connections },
  ...{ requested_at: `2026-${month}-01T00:00:00Z`, ended_at: `2026-${month}-02T00:00:00Z` },
  ...more,
});

/** The calls that restore prints, each as method, path and body. */
async function callsOf(...words: string[]) {
  const { status, stdout, stderr } = await offboard(['restore', ...words]);
  expect(status, stderr).toBe(0);
  const lines = stdout.split('\n').filter((line) => line.startsWith('auth0 api'));
  return lines.map((line) => {
    const [, method, path, body] = /^auth0 api (\w+) (\S+) --data '(.*)'$/.exec(line) ?? [];
    return [method, path, JSON.parse(body ?? '')];
  });
}

test('when a connection was disabled and later removed, restore makes it anew, enabled, with the level that was lowered', async () => {
  service.records.push(
    offboarding('01', 'disable', 'completed', [taken('disabled', settings({ organization_access_level: 'limited' }))]),
    offboarding('06', 'remove', 'completed', [
      taken('removed', settings({ is_enabled: false, organization_access_level: 'readonly', show_as_button: false })),
    ]),
  );
  expect(await callsOf(ACME, ...url)).toEqual([
    [
      'post',
      `organizations/${ACME}/connections`,
      { connection_id: OKTA, is_enabled: true, show_as_button: false, organization_access_level: 'limited' },
    ],
  ]);
});

test('when an offboarding was cancelled, restore goes by the settings from before the later one', async () => {
  service.records.push(
    offboarding('01', 'disable', 'cancelled', [taken('enabled', settings({ organization_access_level: 'limited' }))]),
    offboarding('06', 'remove', 'completed', [taken('removed', settings({}))]),
  );
  expect(await callsOf(ACME, ...url)).toEqual([
    ['post', `organizations/${ACME}/connections`, { connection_id: OKTA, ...settings({}) }],
  ]);
});

test('when a connection was enabled by hand since, restore leaves it alone', async () => {
  service.records.push(
    offboarding('01', 'disable', 'completed', [taken('disabled', settings({}))]),
    offboarding('06', 'remove', 'failed', [taken('unchanged', settings({}))]),
  );
  expect((await offboard(['restore', ACME, ...url])).stdout).toContain('there is nothing to put back');
});

test('when a removed connection was put back and disabled again, restore enables it', async () => {
  service.records.push(
    offboarding('01', 'remove', 'completed', [taken('removed', settings({ organization_access_level: 'full' }))]),
    offboarding('06', 'disable', 'completed', [taken('disabled', settings({}))]),
  );
  expect(await callsOf(ACME, ...url)).toEqual([
    ['patch', `organizations/${ACME}/connections/${OKTA}`, { is_enabled: true, organization_access_level: 'none' }],
  ]);
});

test('restore of a plan, of its batch and of one offboarding prints what these took, client grants included', async () => {
  service.grants[GLOBEX] = [
    { grant_id: 'cgr_a1', client_id: 'machine1', audience: 'https://api.example.com', scope: [] },
  ];
  const words = ['--action', 'remove', '--reason', 'x', '--end-machine-access', '--out', at('plan.json'), ...url];
  expect((await offboard(['plan', at('list.csv'), ...words])).status).toBe(0);
  expect((await apply()).status).toBe(0);
  // What another offboarding took from the organization is not of this plan.
  const other = taken('removed', settings({}), { connection_id: 'con_Other12345678901' });
  service.records.push(offboarding('01', 'remove', 'completed', [other], { offboarding_id: IDS[0] }));
  const all = await callsOf(at('plan.json'));
  expect(all.map(([method, path, body]) => [method, path, body.connection_id ?? body.grant_id])).toEqual([
    ['post', `organizations/${GLOBEX}/connections`, 'con_Wd3Ef5GhTy7UjKl9'],
    ['post', `organizations/${GLOBEX}/client-grants`, 'cgr_a1'],
    ['post', `organizations/${ACME}/connections`, OKTA],
    ['post', `organizations/${ACME}/connections`, 'con_Yt4Lw9QeRb7UiXc3'],
  ]);
  const { batch_id } = service.records.find(({ dry_run, batch_id }) => batch_id && !dry_run) ?? {};
  expect(await callsOf(batch_id, ...url)).toEqual(all);
  const one = await callsOf(ACME, IDS[0] as string, ...url);
  expect(one.map(([, , body]) => body.connection_id)).toEqual(['con_Other12345678901']);
  const none = await offboard(['restore', ACME, IDS[1] as string, ...url]);
  expect(none).toMatchObject({ status: 2, stderr: expect.stringContaining(`${ACME} has no offboarding ${IDS[1]}`) });
});

test('restore prints calls that a shell takes as they are, whatever the customer has named things', async () => {
  const hostile = `a'; touch ${at('owned')}; '\u001b]0;x\u0007\n$(touch ${at('owned')})`;
  const before = {
    ...connection('', hostile),
    organization_connection_name: hostile,
    surprise: hostile,
    is_signup_enabled: false,
  };
  const { connection_id: _, name: __, strategy: ___, ...settings } = before;
  const one = (id: string, outcome: string) => ({
    connection_id: id,
    name: hostile,
    strategy: 'okta',
    outcome,
    before: settings,
    error: null,
  });
  service.records.push({
    ...{
      organization_id: ACME,
      offboarding_id: '00000000-0000-4000-8000-000000000001',
      action: 'remove',
      status: 'completed',
    },
    ...{ dry_run: false, requested_by: hostile, reason: 'x', requested_at: '2026-11-01T00:00:00Z' },
    connections: [
      one('con_PmFe8KxCsPJvZRrj', 'removed'),
      one('con_Yt4Lw9QeRb7UiXc3', 'disabled'),
      one('con_x;y', 'removed'),
    ],
  });
  const { status, stdout } = await offboard(['restore', ACME, ...url]);
  expect(status).toBe(0);
  expect(stdout).toContain('create:organization_connections');
  expect(stdout).toContain('org-connections itself enables only');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may be there.
  expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f]/);
  const script = `auth0() { printf '%s\\n' "$#" "$@"; }\n${stdout}`;
  const ran = (await promisify(execFile)('bash', ['-c', script])).stdout.trim().split('\n');
  expect(ran.slice(0, 5)).toEqual(['5', 'api', 'post', `organizations/${ACME}/connections`, '--data']);
  expect(JSON.parse(ran[5] ?? '')).toEqual({ connection_id: 'con_PmFe8KxCsPJvZRrj', ...settings, surprise: undefined });
  expect(ran.slice(6, 11)).toEqual([
    '5',
    'api',
    'patch',
    `organizations/${ACME}/connections/con_Yt4Lw9QeRb7UiXc3`,
    '--data',
  ]);
  expect(JSON.parse(ran[11] ?? '')).toEqual({ is_enabled: true, organization_access_level: 'none' });
  expect(ran.length).toBe(12);
  expect(existsSync(at('owned'))).toBe(false);
  expect((await offboard(['restore', ACME, '00000000-0000-4000-8000-000000000001', ...url])).stdout).toBe(stdout);
  expect(service.deeds()).toEqual([]);
});
