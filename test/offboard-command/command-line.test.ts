// The operator's command, run as a user runs it: words, options and files that are not what they should be.
import '../own-modules.ts';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pMap from 'p-map';
import { expect, test } from 'vitest';
import { ACME, at, folder, makePlan, service, url } from './customers.ts';
import { offboard, ROOT } from './terminal.ts';

test('nothing that npm keeps for itself turns a look into a deed', async () => {
  await makePlan('remove');
  const npm = (...words: string[]) =>
    promisify(execFile)('npm', ['run', '-s', 'offboard', ...words], { cwd: ROOT }).then(
      () => ({ code: 0, stderr: '' }),
      (error: { code: number; stderr: string }) => error,
    );
  const kept = await npm('--dry-run', '--', 'apply', at('plan.json'), '--yes');
  expect(kept.stderr).toContain('npm has kept --dry-run for itself: options come after "--"');
  expect(kept.code).toBe(2);
  const reason = await npm('plan', at('list.csv'), '--action=remove', '--grace-period=P30D');
  expect(reason.stderr).toContain('npm has kept --action for itself');
  expect(service.deeds()).toEqual([]);
});

type Case = [words: string[], says: RegExp];

/** Runs each case, and expects one plain sentence, exit 2 and no change. */
async function expectRefusals(cases: Case[]): Promise<void> {
  const refused = async ([words, says]: Case) => {
    const { status, stderr } = await offboard(words);
    expect(stderr, words.join(' ')).toMatch(says);
    expect(stderr.trim().split('\n').length, stderr).toBe(1);
    expect(status, words.join(' ')).toBe(2);
  };
  await pMap(cases, refused, { concurrency: 3 });
  // What is read before a question is asked is all.
  expect(service.received.every(({ method }) => method === 'GET')).toBe(true);
}

test('when plan gets bad input, it says one plain sentence, exits with 2 and changes nothing', async () => {
  const plan = (...more: string[]) => ['plan', at('list.csv'), '--action', 'disable', '--reason', 'x', ...more];
  await expectRefusals([
    [['paln', at('list.csv')], /unknown command 'paln' \(Did you mean plan\?\)/],
    [['frobnicate'], /The words are plan, apply, status, list, cancel, restore, requeue, redrive\./],
    [[at('list.csv'), '--action', 'disable'], /A word comes first: npm run offboard -- plan .*list\.csv/],
    [plan('--dry-run', ...url), /There is no --dry-run/],
    [plan('--yse', ...url), /unknown option '--yse'/],
    [plan(), /either --stage or --url/],
    [plan('--stage', 'prod', ...url), /either --stage or --url/],
    [plan('--stage', '../x'), /A stage is a word/],
    [plan('--url', 'localhost:3000'), /The --url is no address/],
    [plan('--url', 'http://example.com'), /must begin with https/],
    [plan('--stage', 'prod'), /No region is set for the environment or the default profile/],
    [
      plan('--stage', 'prod', '--region', 'eu-west-1', '--profile', 'nobody'),
      /No credentials that AWS takes in the profile nobody: .*\(aws sso login --profile nobody/,
    ],
    [plan('--action', 'destroy', ...url), /Allowed choices are disable, remove, disable_then_remove/],
    [['plan', at('list.csv'), '--action', 'disable', '--reason', ' ', ...url], /--action and --reason/],
    [plan('--grace-period', 'P30D', ...url), /disable_then_remove alone/],
    [plan('--action', 'disable_then_remove', '--grace-period', '30d', ...url), /no ISO 8601 duration/],
    [plan('--connection', 'okta', ...url), /"okta" is no connection id/],
    [plan('--connection', 'con_a', '--end-machine-access', ...url), /leave out --connection/],
    [plan('--column', 'tenant', ...url), /no column "tenant"; its first line has "name", "organization_id"/],
    [plan('--report', at('x.pdf'), ...url), /a file \.csv, \.json or \.html/],
    [plan('--report', at('none/x.csv'), ...url), /The report cannot be written/],
    [plan('--out', at('none/x.json'), ...url), /The plan cannot be written/],
    [['plan', at('none.csv'), '--action', 'disable', '--reason', 'x', ...url], /The file cannot be read/],
    [['plan', '--action', 'disable', '--reason', 'x', ...url], /Name a file with organizations/],
  ]);
});

test('when another word gets bad input, it says one plain sentence, exits with 2 and changes nothing', async () => {
  await makePlan();
  service.received.length = 0;
  await expectRefusals([
    [['apply', at('plan.json'), '--dry-run'], /There is no --dry-run: "plan" is the dry run/],
    [['apply'], /missing required argument 'plan'/],
    [['apply', at('none.json')], /none\.json cannot be read/],
    [['apply', at('plan.json')], /Nobody can be asked here: --yes is needed\. Nothing was started\./],
    [['apply', at('plan.json'), '--yes', '--report', at('none/x.csv')], /The report cannot be written/],
    [['apply', at('plan.json'), '--yes', ...url], /unknown option '--url'/],
    [['status', '17', ...url], /"17" is neither a plan on this machine, nor a batch id, nor an organization/],
    [['list', '--status', 'gone', ...url], /"gone" is no status; they are requested/],
    [['list', '--since', 'yesterday', ...url], /"yesterday" is no date/],
    [['list', '--since', '2026-02-30', ...url], /"2026-02-30" is no date/],
    [['list', '--since', '2026-02-30T00:00:00Z', ...url], /"2026-02-30T00:00:00Z" is no date/],
    [['list', '--until', '2026-04-31T12:00+02:00', ...url], /"2026-04-31T12:00\+02:00" is no date/],
    [['list', '--since', '2026-10-01', '--until', '2026-09-30', ...url], /not before/],
    [['cancel', ...url], /missing required argument 'what'/],
    [['cancel', ACME, at('plan.json'), ...url], /not several kinds at once/],
    [['cancel', 'acme', ...url], /"acme" is neither/],
    [['restore', 'acme', ...url], /"acme" is neither a plan/],
    [['requeue', ACME, '--overdue', '--stage', 'prod'], /Say what: an organization, or --overdue/],
    [['requeue', 'org-none', '--stage', 'prod'], /is no organization id/],
    [['requeue', '--overdue', ...url], /say --stage/],
    [['redrive', '--stage', 'prod'], /Say what: an organization, or --all/],
    [['list', 'acme', ...url], /"acme" is no organization id/],
  ]);
});

test('each word has a help with an example, and the command a version', async () => {
  for (const word of ['plan', 'apply', 'status', 'list', 'cancel', 'restore', 'requeue', 'redrive']) {
    const { status, stdout } = await offboard([word, '--help']);
    expect(stdout).toContain(`Example:\n  npm run offboard -- ${word}`);
    expect(status).toBe(0);
  }
  expect((await offboard(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test('a file that must not be read starts nothing, and leaves nothing behind', async () => {
  const file = fileURLToPath(new URL('files/refused/ids-that-are-none.csv', import.meta.url));
  const before = readdirSync(folder);
  const words = ['--action', 'remove', '--reason', 'x', '--out', at('new.json'), ...url];
  const named = await offboard(['plan', file, ...words]);
  const piped = await offboard(['plan', '-', ...words], { input: readFileSync(file, 'utf8') });
  for (const { status, stderr } of [named, piped]) {
    expect(stderr).toBe('2 of 3 rows have no organization id: line 2 "acme", line 3 "org_$(reboot)".\n');
    expect(status).toBe(2);
  }
  expect(service.received).toEqual([]);
  expect(readdirSync(folder)).toEqual(before);
});
