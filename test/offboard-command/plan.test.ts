// The operator's command, run as a user runs it, against a server that plays the service by its contract: what is planned, and
// which plan is taken.
import '../own-modules.ts';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { expect, test, vi } from 'vitest';
import { listen } from '../listen.ts';
import { ACME, apply, at, connection, GLOBEX, KEYS, makePlan, NOBODY, planned, service, url } from './customers.ts';
import { offboard } from './terminal.ts';

test('plan shows to whom what would be done and when, and what deserves a second look; it changes nothing', async () => {
  service.records.push({
    ...{
      organization_id: GLOBEX,
      offboarding_id: 'x',
      action: 'disable_then_remove',
      status: 'scheduled',
      dry_run: false,
    },
    ...{
      removal_due_at: '2027-01-01T00:00:00Z',
      requested_by: 'billing',
      reason: 'unpaid',
      requested_at: '2026-11-01T00:00:00Z',
    },
    connections: [],
  });
  writeFileSync(at('list.csv'), `name;Organization_ID\nAcme, Inc.;${ACME}\nGlobex;${GLOBEX}\nNobody;${NOBODY}\n`);
  const { stdout } = await makePlan('disable_then_remove');
  expect(stdout).toContain(
    `${ACME}  Acme, Inc. (from your file)\n  acme-okta (okta): would be disabled now, removed on 24 January 2027\n`,
  );
  expect(stdout).toContain(
    '! the customer can enable acme-google (okta) itself (organization_access_level full); applying the plan takes that away',
  );
  expect(stdout).toContain(
    '! pending already: disable_then_remove is scheduled, removal on 1 January 2027, requested by billing (unpaid)',
  );
  expect(stdout).toContain(
    `${NOBODY}  Nobody (from your file)\n  No organization found by that id or name (unknown_organization)`,
  );
  expect(stdout).toContain('Organizations: 3\nConnections that would be disabled now: 3\n');
  expect(stdout).toContain(
    'Connections that would be removed on 24 January 2027: 3\n! Organizations that Auth0 does not know: 1\n',
  );
  expect(stdout).toContain("can't undo a removal");
  expect(stdout).toContain(`Nothing was changed. Plan: ${at('plan.json')}`);
  expect(service.deeds()).toEqual([]);
  // The file may name customers: nobody else reads it.
  expect(statSync(at('plan.json')).mode & 0o777).toBe(0o600);
});

test('a plan that was edited, is old, or is for another account is refused, and nothing is started', async () => {
  await makePlan();
  const plan = planned();
  const refused = async (content: object | string, says: RegExp) => {
    writeFileSync(at('other.json'), typeof content === 'string' ? content : JSON.stringify(content));
    const { status, stderr } = await offboard(['apply', at('other.json'), '--yes']);
    expect(stderr).toMatch(says);
    expect(status).toBe(2);
  };
  await refused({ ...plan, request: { ...plan.request, action: 'remove' } }, /was edited since it was made: plan anew/);
  await refused({ ...plan, organizations: plan.organizations.toReversed() }, /was edited/);
  await refused('{"organizations": []}', /is no plan/);
  await refused('org_a', /is no plan/);
  // Another account is another service, whatever the stage is called.
  const inStage = [
    'plan',
    at('list.csv'),
    '--action',
    'disable',
    '--reason',
    'x',
    '--stage',
    'prod',
    '--out',
    at('stage.json'),
  ];
  const env = { ...KEYS, AWS_ENDPOINT_URL: service.url };
  const made = await offboard(inStage, { env });
  expect(made.stdout).toContain(`You are ${service.settings.arn}, in account 123456789012; stage prod (eu-west-1).`);
  service.settings.arn = 'arn:aws:sts::999999999999:assumed-role/operators/kim';
  const other = await offboard(['apply', at('stage.json'), '--yes'], { env });
  expect(other).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('is for account 123456789012, and you are in account 999999999999'),
  });
  expect(service.deeds()).toEqual([]);
});

test('a plan that is more than a day old is refused, but for one that was started', async () => {
  await makePlan();
  const now = Date.now;
  const aDayLater = async <T>(run: () => Promise<T>) => {
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => now() + 90_000_000);
    return run().finally(() => clock.mockRestore());
  };
  const refused = await aDayLater(apply);
  expect(refused).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('more than a day old: plan anew. Nothing was started.'),
  });
  expect(service.deeds()).toEqual([]);
  expect((await apply()).status).toBe(0);
  expect((await aDayLater(apply)).status).toBe(0);
});

test('a plan that was applied is not written over: it is how it is cancelled', async () => {
  await makePlan();
  await makePlan();
  expect((await apply()).status).toBe(0);
  const again = ['plan', at('list.csv'), '--action', 'remove', '--reason', 'x', '--out', at('plan.json'), ...url];
  expect(await offboard(again)).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('was applied and is not written over'),
  });
  const onTheList = ['plan', at('list.csv'), '--action', 'remove', '--reason', 'x', '--out', at('list.csv'), ...url];
  expect(await offboard(onTheList)).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('is no plan and is not written over'),
  });
});

test('a plan says when it is for many more than the last time, and what is there by now that it did not know', async () => {
  writeFileSync(at('few.txt'), `${ACME}\n`);
  await makePlan('disable', 'few.txt');
  service.tenant[ACME]?.push(connection('con_NewNewNewNew1234', 'acme-new'));
  expect((await apply()).stdout).toContain(`! Not in the plan, there by now: acme-new (okta) of ${ACME}`);
  const ids = Array.from({ length: 30 }, (_, index) => `org_${String(index).padStart(16, 'b')}`);
  for (const id of ids) service.tenant[id] = [connection('con_PmFe8KxCsPJvZRrj', 'okta')];
  writeFileSync(at('many.txt'), ids.join('\n'));
  expect((await makePlan('disable', 'many.txt', 'many.json')).stdout).toContain(
    '! Many more than last time: 30, where 1 were offboarded',
  );
});

test('plan --connection finds the organizations that have it, waits for Auth0’s limit, and plans that connection alone', async () => {
  const organizations = [
    { id: ACME, name: 'acme', display_name: 'Acme, Inc.' },
    { id: GLOBEX, name: 'globex', display_name: 'Globex' },
  ];
  const seen: string[] = [];
  let refusals = 1;
  const auth0 = createServer((request, response) => {
    const path = (request.url ?? '').replace('/api/v2', '');
    seen.push(`${request.headers.authorization} ${path}`);
    response.setHeader('content-type', 'application/json');
    if (refusals-- > 0)
      return response.writeHead(429, { 'x-ratelimit-reset': '1' }).end('{"message":"Global limit has been reached"}');
    if (path.startsWith('/organizations?')) {
      const isFirst = !path.includes('from=');
      const page = { organizations: [organizations[isFirst ? 0 : 1]], ...(isFirst && { next: 'two' }) };
      return response.end(JSON.stringify(page));
    }
    const connection_id = path.includes(GLOBEX) ? 'con_Wd3Ef5GhTy7UjKl9' : 'con_PmFe8KxCsPJvZRrj';
    return response.end(JSON.stringify({ connections: [{ connection_id }], start: 0, limit: 50, total: 1 }));
  });
  const env = { AUTH0_DOMAIN: await listen(auth0), AUTH0_TOKEN: 'secret-token' };
  const words = [
    'plan',
    '--connection',
    'con_PmFe8KxCsPJvZRrj',
    '--urgent',
    '--action',
    'disable',
    '--reason',
    'compromised',
    '--out',
    at('plan.json'),
    ...url,
  ];
  const { status, stdout, stderr } = await offboard(words, { env });
  auth0.close();
  expect(status, stderr).toBe(0);
  expect(stdout).toContain(`${ACME}  acme, Acme, Inc. (from your file)`);
  expect(planned().organizations.map(({ organization_id }: { organization_id: string }) => organization_id)).toEqual([
    ACME,
  ]);
  expect(planned().request).toMatchObject({ connection_ids: ['con_PmFe8KxCsPJvZRrj'], urgent: true });
  expect(seen.slice(1)).toEqual([
    'Bearer secret-token /organizations?take=100',
    'Bearer secret-token /organizations?take=100&from=two',
    `Bearer secret-token /organizations/${ACME}/connections?include_totals=true&page=0&per_page=50`,
    `Bearer secret-token /organizations/${GLOBEX}/connections?include_totals=true&page=0&per_page=50`,
  ]);
  expect(stdout + stderr + readFileSync(at('plan.json'), 'utf8')).not.toContain('secret-token');
  const without = await offboard(words);
  expect(without).toMatchObject({ status: 2, stderr: expect.stringContaining('set AUTH0_DOMAIN, and AUTH0_TOKEN') });
  expect((await apply()).status).toBe(0);
  expect(service.deeds()[0]?.body).toMatchObject({ urgent: true, connection_ids: ['con_PmFe8KxCsPJvZRrj'] });
});
