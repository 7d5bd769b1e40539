// Who may put what on the bus of a stage: the publishers' file, the policy that is made of it, and what IAM answers.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { busPolicyTemplate, type Publisher, readPublishers } from '../../infra/account/publishers.ts';
import { programOf, programOptions } from '../programs/program.ts';
import { deployed, policiesOf, type Template } from './cloudformation.ts';
import { STAGES } from './compiled.ts';
import { may, type Policy } from './iam.ts';
import { arn, EVERYTHING, PLACE, role, STRANGERS, stack, statements } from './stages.ts';

const REQUESTED = 'organization.offboarding.requested';
const [BILLING, CRM] = [`arn:aws:iam::${PLACE.account}:role/billing`, 'arn:aws:iam::444455556666:role/crm'];
const PUBLISHERS: Publisher[] = [
  { principal: BILLING, sources: ['billing', 'billing.night'] },
  { principal: '444455556666', sources: ['crm'] },
];

/** Whether somebody may put entries of these sources and detail-types in one call. */
function puts(stage: string, publishers: Publisher[], principal: string, sources: string[], more: Puts = {}) {
  const { types = [REQUESTED], own = EVERYTHING } = more;
  const { Resources } = deployed(busPolicyTemplate(stage, publishers) as Template, PLACE);
  const resource = Object.values(Resources).map(({ Properties }) => ({ Statement: Properties.Statement }));
  const context = { 'events:source': sources, 'events:detail-type': types };
  const bus = arn('events', `event-bus/org-connections-${stage}`);
  return may({ action: 'events:PutEvents', resource: bus, principal, context }, { own, resource });
}
type Puts = { types?: string[]; own?: Policy[] };

describe.each(STAGES)('on the bus of %s', (stage) => {
  const put = (...given: [principal: string, sources: string[], more?: Puts]) => puts(stage, PUBLISHERS, ...given);

  test('a publisher requests under its own sources, spelled as they are, and under no other', () => {
    expect(put(BILLING, ['billing'])).toBe(true);
    expect(put(BILLING, ['billing.night'], { types: ['organization.offboarding.cancellation_requested'] })).toBe(true);
    expect(put(CRM, ['crm'])).toBe(true);
    for (const source of ['crm', 'Billing', 'billing ', ' billing', 'org-connections', 'org-connections ', '']) {
      expect(put(BILLING, [source]), JSON.stringify(source)).toBe(false);
      expect(put(BILLING, ['billing', source]), JSON.stringify(source)).toBe(false);
    }
  });

  test('nobody who is not listed requests anything, whatever their policies and the source say', () => {
    for (const stranger of [...STRANGERS.filter((one) => one !== CRM), 'pipes.amazonaws.com'])
      for (const source of ['billing', 'crm', 'org-connections', 'org-connections ', 'other'])
        expect(put(stranger, [source]), `${stranger} as ${source}`).toBe(false);
    const other = { types: ['invoice.paid', REQUESTED] };
    expect(put(`arn:aws:iam::${PLACE.account}:role/Admin`, ['other'], other)).toBe(false);
    expect(puts(stage, [], BILLING, ['billing'])).toBe(false);
  });

  test('of another account only requests come in, and only from whom that account lets', () => {
    expect(put(CRM, ['crm'], { own: [] })).toBe(false);
    expect(put(CRM, ['crm'], { types: ['organization.offboarding.completed'] })).toBe(false);
    expect(put(CRM, ['crm'], { types: [REQUESTED, 'organization.offboarding.completed'] })).toBe(false);
    expect(put(BILLING, ['billing'], { own: [] })).toBe(false);
  });

  test('nobody but the two functions that publish speaks in the name of the service', () => {
    const types = ['organization.offboarding.completed'];
    for (const one of [...STRANGERS, BILLING])
      for (const source of ['org-connections', 'org-connections '])
        expect(put(one, [source], { types }), one).toBe(false);
    const whole = stack(stage);
    const roles = Object.values(whole.Resources).filter(({ Type }) => Type === 'AWS::IAM::Role');
    const publishing = roles.filter((one) => put(one.arn, ['org-connections'], { types, own: policiesOf(one, whole) }));
    expect(publishing.map(({ arn: name }) => name).sort()).toEqual(
      ['offboard-organization', 'publish-connection-changes'].map((name) => role(`org-connections-${stage}-${name}`)),
    );
    // And these under no other name.
    for (const one of publishing) {
      const own = policiesOf(one, whole);
      expect(put(one.arn, ['billing'], { types, own })).toBe(false);
      expect(put(one.arn, ['org-connections', 'billing'], { types, own })).toBe(false);
      expect(put(one.arn, [], { types, own })).toBe(false);
    }
  });

  test('whoever is not listed may put what is no request, as before', () => {
    expect(put(`arn:aws:iam::${PLACE.account}:role/shop`, ['shop'], { types: ['invoice.paid'] })).toBe(true);
  });
});

test('when a role of a listed account is not listed itself, the account decides about it', () => {
  const [own] = statements(EVERYTHING);
  expect(
    puts('prod', PUBLISHERS, 'arn:aws:iam::444455556666:user/ann', ['crm'], { own: [{ Statement: own as never }] }),
  ).toBe(true);
});

describe('the file of publishers', () => {
  const read = (entries: string) => readPublishers(`prod:\n${entries}`, 'prod');
  const entry = (principal: string, sources: string) => `  - { principal: ${principal}, sources: ${sources} }\n`;

  test('has each stage, and is one that the command takes', () => {
    const text = readFileSync(new URL('../../infra/account/publishers.yml', import.meta.url), 'utf8');
    for (const stage of STAGES) expect(readPublishers(text, stage)).toEqual(expect.any(Array));
    // The example in its head, too.
    const example = text.match(/^# {3}.*$/gm)?.map((line) => line.replace(/^# {3}/, '')) ?? [];
    expect(readPublishers(example.join('\n'), 'prod').map(({ sources }) => sources)).toEqual([
      ['billing'],
      ['crm', 'crm-import'],
    ]);
  });

  test.each<[what: string, entries: string, says: RegExp]>([
    ['the service itself', entry(BILLING, '[org-connections]'), /none of AWS or of the service/],
    ['the service in other spelling', entry(BILLING, '[Org-Connections]'), /none of AWS or of the service/],
    ['a trailing blank', entry(BILLING, "['org-connections ']"), /without blanks/],
    ['a wildcard as source', entry(BILLING, "['*']"), /letters, digits/],
    ['no source', entry(BILLING, '[]'), /must name a source/],
    ['a wildcard as principal', entry('arn:aws:iam::111122223333:role/*', '[billing]'), /a role, a user or an account/],
    ['everybody', entry("'*'", '[billing]'), /a role, a user or an account/],
    ['a session', entry('arn:aws:sts::111122223333:assumed-role/a/b', '[billing]'), /a role, a user or an account/],
    ['an account that is a number', entry('111122223333', '[billing]'), /put an account into quotes/],
    ['an unknown member', `  - { principal: ${BILLING}, sources: [a], source: b }\n`, /prod/],
    ['a principal twice', entry(BILLING, '[a]') + entry(BILLING, '[b]'), /listed twice/],
    [
      'a role beside its whole account',
      entry(BILLING, '[a]') + entry(`'${PLACE.account}'`, '[b]'),
      /its whole account, too/,
    ],
  ])('when it lists %s, the command says in one sentence what is wrong', (_, entries, says) => {
    expect(() => read(entries)).toThrow(says);
  });

  test('when the policy grows above what EventBridge takes, no template is made', () => {
    const many = (count: number) =>
      Array.from({ length: count }, (_, i) => ({ principal: `${BILLING}-${i}`, sources: [`source-${i}`] }));
    expect(busPolicyTemplate('prod', many(10))).toBeTruthy();
    expect(() => busPolicyTemplate('prod', many(30))).toThrow(/EventBridge takes 10240: list fewer publishers/);
  });
});

test('npm run publishers writes a template that CloudFormation makes one statement after the other', () => {
  const folder = mkdtempSync(join(tmpdir(), 'publishers-'));
  try {
    const run = (...given: string[]) =>
      spawnSync(
        process.execPath,
        [programOf('infra/commands/publishers.ts'), '--out', join(folder, 'out.json'), ...given],
        {
          cwd: fileURLToPath(new URL('../..', import.meta.url)),
          env: { ...process.env, NODE_OPTIONS: programOptions },
          encoding: 'utf8',
        },
      );
    const { status, stdout } = run('--stage', 'prod');
    expect(status).toBe(0);
    expect(stdout).toContain('aws cloudformation deploy --stack-name org-connections-publishers-prod');
    const { Resources } = JSON.parse(readFileSync(join(folder, 'out.json'), 'utf8'));
    const [first, ...more] = Object.values<{ DependsOn?: string }>(Resources);
    expect(first?.DependsOn).toBeUndefined();
    expect(more.map(({ DependsOn }) => DependsOn)).toEqual(Object.keys(Resources).slice(0, -1));
    for (const wrong of [['--stage', 'production'], ['--stage', 'prod', '--file', 'nowhere.yml'], ['--what']]) {
      const refused = run(...wrong);
      expect([refused.status, refused.stderr.trim().split('\n').length]).toEqual([2, 1]);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
