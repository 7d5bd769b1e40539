// What the tests of the command start from: a service that plays the contract, two customers of it, and a list that names them.
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { startContractService } from './contract-service.ts';
import { offboard } from './terminal.ts';

export const ACME = 'org_bCE84ZIRjtX58FeO';
export const GLOBEX = 'org_Qk2vN8sT5rWx1YzA';
export const NOBODY = 'org_NobodyNobody1234';
export const KEYS = { AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x', AWS_REGION: 'eu-west-1' };
export const connection = (connection_id: string, name: string, more = {}) => ({
  connection_id,
  name,
  strategy: 'okta',
  is_enabled: true,
  show_as_button: true,
  organization_access_level: 'none',
  ...more,
});

export let service: Awaited<ReturnType<typeof startContractService>>;
export let folder: string;
export let url: string[];
export const at = (name: string) => join(folder, name);
export const planned = (name = 'plan.json') => JSON.parse(readFileSync(at(name), 'utf8'));

beforeEach(async () => {
  service = await startContractService();
  folder = mkdtempSync(join(tmpdir(), 'offboard-'));
  url = ['--url', service.url];
  service.tenant[ACME] = [
    connection('con_PmFe8KxCsPJvZRrj', 'acme-okta'),
    connection('con_Yt4Lw9QeRb7UiXc3', 'acme-google', { organization_access_level: 'full' }),
  ];
  service.tenant[GLOBEX] = [connection('con_Wd3Ef5GhTy7UjKl9', 'globex-entra')];
  writeFileSync(at('list.csv'), `name,organization_id\n"Acme, Inc.",${ACME}\nGlobex,${GLOBEX}\n`);
});
afterEach(() => service.close());

export async function makePlan(action = 'disable', file = 'list.csv', out = 'plan.json') {
  const made = await offboard([
    'plan',
    at(file),
    '--action',
    action,
    '--reason',
    'contract ended',
    '--out',
    at(out),
    ...url,
  ]);
  expect(made, made.stderr).toMatchObject({ status: 0 });
  return made;
}
export const apply = (...more: string[]) => offboard(['apply', at('plan.json'), '--yes', ...more]);

/** A plan of two batches, of which the service has taken the first. */
export async function makeHalfStarted(): Promise<void> {
  writeFileSync(
    at('list.csv'),
    `organization_id,connection_id\n${ACME},con_PmFe8KxCsPJvZRrj\n${GLOBEX},con_Wd3Ef5GhTy7UjKl9\n`,
  );
  await makePlan();
  service.faults.push({ method: 'POST', path: '/offboardings', times: 1, after: 1, status: 403 });
  expect((await apply()).status).toBe(1);
}
