// What single pages say of routes, codes, events, parameters and statuses, against what the service has.
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { OffboardingBody } from '../../lib/offboarding/model/request.ts';
import { hasEnded, STATUSES, TRANSITIONS } from '../../lib/offboarding/model/status.ts';
import { eventSchemas } from '../contract.ts';
import {
  blocksOf,
  found,
  namesIn,
  PACKAGE,
  ROOT,
  rowsOf,
  SERVERLESS,
  sectionOf,
  sorted,
  text,
  tracked,
} from './pages.ts';

describe('README.md', () => {
  const page = text('README.md');

  test('the table of routes has those that are deployed, and no other', () => {
    type Function = { events?: { httpApi: { method: string; path: string } }[] };
    const deployed = Object.values(SERVERLESS.functions as Record<string, Function | string>)
      .flatMap((one) => (typeof one === 'string' ? [] : (one.events ?? [])))
      .map(({ httpApi: { method, path } }) => `${method} ${path}`);
    expect(sorted(rowsOf(sectionOf(page, 'The API')).flatMap(([cell]) => namesIn(cell)))).toEqual(sorted(deployed));
  });

  test('the example event has a type and members that the service publishes', () => {
    const [block = '{}'] = blocksOf(page, 'json');
    const event = JSON.parse(block);
    const detail = eventSchemas.get(event['detail-type'])?.properties.detail;
    expect(Object.keys(detail?.properties ?? {})).toEqual(expect.arrayContaining(Object.keys(event.detail)));
  });

  test('the quick start shows what npm start and the demo print', () => {
    const printed = text('infra/local/start.ts') + text('infra/local/demo.ts');
    for (const words of [
      'org-connections is up.',
      'no signature is needed',
      '(stand-ins)',
      'Auth0 is as it should be.',
    ])
      expect(
        [page, printed].filter((one) => !one.includes(words)),
        words,
      ).toEqual([]);
  });
});

describe('docs/api.md', () => {
  const page = text('docs/api.md');

  test('the table of errors has each code with its status, and no other', () => {
    // A write that was not sent is for the service itself.
    const known = [...text('lib/problem.ts').matchAll(/^ {2}(?!lease_ended)(\w+): \[(\d{3}), /gm)].map(
      ([, code, status]) => `${status} ${code}`,
    );
    // Of a body that can be read and says the wrong thing.
    known.push('422 invalid_body');
    const rows = rowsOf(sectionOf(page, 'Errors'));
    const shown = rows.flatMap(([statuses = '', codes]) =>
      namesIn(codes).flatMap((code) =>
        known.filter((one) => statuses.split(', ').includes(one.slice(0, 3)) && one.slice(4) === code),
      ),
    );
    expect(sorted(shown)).toEqual(sorted(known));
    expect(sorted(rows.flatMap(([, codes]) => namesIn(codes)))).toEqual(sorted(known.map((one) => one.slice(4))));
  });

  test('the tables of an offboarding have each member of a request and each status', () => {
    const names = rowsOf(sectionOf(page, 'An offboarding')).flatMap(([first]) => namesIn(first));
    const { entries } = OffboardingBody.pipe[0];
    const members = [...Object.keys(entries).filter((one) => one !== 'organization_id'), 'urgent'];
    expect(sorted(names)).toEqual(sorted([...members, ...STATUSES]));
  });
});

describe('docs/events.md', () => {
  test('the table of outcomes has each type that the service publishes', () => {
    const page = text('docs/events.md');
    const shown = rowsOf(sectionOf(page, 'Consume outcomes')).flatMap(([type]) => namesIn(type));
    const taken = 'organization.offboarding.cancellation_requested';
    const types = readdirSync(join(ROOT, 'infra/contracts/schemas')).map((name) => name.replace(/\.json$/, ''));
    expect(sorted(shown)).toEqual(sorted(types.filter((one) => one !== taken)));
    expect(page).toContain(taken);
  });
});

describe('docs/deployment.md', () => {
  const page = text('docs/deployment.md');
  const account = text('infra/account/stage-access.yml');

  test('the table of parameters has each of the stage’s, with its default', () => {
    const internal = ['deletionPolicy', 'updateReplacePolicy', 'deletionProtection'];
    const all = Object.keys(SERVERLESS.params.default).filter((one) => !internal.includes(one));
    const rows = rowsOf(sectionOf(page, 'Stage parameters'));
    expect(sorted(rows.flatMap(([names]) => namesIn(names)))).toEqual(sorted([...all, 'auth0Domain']));
    for (const [names = '', defaults = ''] of rows) {
      if (/^–|^empty|\{stage\}/.test(defaults)) continue;
      const expected = namesIn(names).map((one) => String(SERVERLESS.params.default[one]));
      expect(defaults.replaceAll('`', '').split(', '), names).toEqual(expected);
    }
  });

  test('the page names policies, parameters and outputs of templates that are there', () => {
    const policies = rowsOf(sectionOf(page, 'Who may do what')).flatMap(([name]) => namesIn(name));
    const made = found(account, /ManagedPolicyName: !Sub org-connections-\$\{Stage\}-([a-z-]+)-\$\{AWS::Region\}/g);
    expect(sorted(policies)).toEqual(sorted(made));
    for (const parameter of found(page, /\b((?:[A-Z][a-z0-9]+)+)=/g))
      expect(account, parameter).toContain(`  ${parameter}:`);
    const templates = tracked
      .filter((path) => /^infra\/(account|stack)\/.*\.(yml|cjs)$/.test(path))
      .map(text)
      .join('\n');
    // The packager makes HttpApiId.
    for (const output of found(page, /output `(\w+)`/g).filter((one) => one !== 'HttpApiId'))
      expect(templates, output).toContain(`${output}:`);
  });
});

describe('docs/architecture.md', () => {
  const name = 'docs/architecture.md';
  const lines = STATUSES.flatMap((status) => TRANSITIONS[status].map((next) => `  ${status} --> ${next}`));
  const ends = STATUSES.filter((status) => hasEnded({ status })).map((status) => `  ${status} --> [*]`);
  const diagram = ['stateDiagram-v2', '  [*] --> requested', ...lines, ...ends, ''].join('\n');
  const asItIs = (page: string) => page.replace(/stateDiagram-v2\n[^`]*/, diagram);
  if (process.env.UPDATE) writeFileSync(join(ROOT, name), asItIs(text(name)));

  test('the state diagram shows what may follow a status', () => {
    expect(text(name)).toBe(asItIs(text(name)));
  });

  test('the table of rooms has each room of lib', () => {
    const shown = rowsOf(sectionOf(text(name), 'Where things live')).flatMap(([rooms]) => namesIn(rooms));
    const rooms = tracked.flatMap((path) => found(path, /^(lib\/(?:offboarding\/)?[\w-]+\/)(?=[\w.-]+$)/g));
    expect(sorted(shown)).toEqual(sorted(rooms));
  });
});

test('CONTRIBUTING.md says why each dependency is there', () => {
  const page = sectionOf(text('CONTRIBUTING.md'), 'Why each dependency is there');
  const all = Object.keys({ ...PACKAGE.dependencies, ...PACKAGE.devDependencies });
  const isKind = (one: string) => /^@types\/|^@aws-sdk\/client-/.test(one);
  expect(all.filter((one) => !isKind(one) && !page.includes(one))).toEqual([]);
});
