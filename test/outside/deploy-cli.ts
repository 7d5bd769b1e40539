// Export before an offboarding, offboard, import: with the real Deploy CLI, in each way that its files may be edited. Prints what
// became of the connections, and exits with 0 only if it is what the pages say. Started by deploy-cli.sh.
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse, stringify } from 'yaml';
import { type LocalEnvironment, startEnvironment } from '../../infra/local/environment.ts';
import { startSecureTenant } from './secure-tenant.ts';

type Json = Record<string, unknown>;
/** A connection of an organization, in the CLI's file or in the tenant. */
type Connection = Json & { name?: string; is_enabled?: boolean; organization_access_level?: string };

const ORG = 'org_DeployCli0000000';
const OKTA = 'con_DeployCliOkta000';
const GOOGLE = 'con_DeployCliGoogle0';
const ASSOCIATIONS = [
  { connection_id: OKTA, organization_access_level: 'limited', connection: { name: 'acme-okta', strategy: 'okta' } },
  { connection_id: GOOGLE, connection: { name: 'acme-google', strategy: 'google-apps' } },
];
const SCOPES = ['read', 'create', 'update', 'delete'].map((verb) => `${verb}:organization_connections`);
const folder = process.argv[2] ?? '';
const all = (change: (connection: Connection) => Connection | undefined) => (connections: Connection[]) =>
  connections.map((one) => change({ ...one })).filter((one) => one !== undefined);

/** `told` is what the pages say: each connection's state after the import. */
interface Case {
  what: string;
  action: 'disable_then_remove' | 'remove';
  edit: (connections: Connection[]) => Connection[];
  stated: Record<string, string>;
}
const CASES: Case[] = [
  {
    what: 'disabled; the files are as they were exported before',
    action: 'disable_then_remove',
    edit: all((one) => one),
    stated: { [OKTA]: 'enabled, limited', [GOOGLE]: 'enabled, none' },
  },
  {
    what: 'disabled; the files have no is_enabled',
    action: 'disable_then_remove',
    edit: all(({ is_enabled: _, ...one }) => one),
    stated: { [OKTA]: 'disabled, limited', [GOOGLE]: 'disabled, none' },
  },
  {
    what: 'disabled; the connections are left out of the files, without AUTH0_ALLOW_DELETE',
    action: 'disable_then_remove',
    edit: () => [],
    stated: {},
  },
  {
    what: 'disabled; the files say is_enabled: false and organization_access_level: readonly where it was limited or full',
    action: 'disable_then_remove',
    edit: all((one) => ({
      ...one,
      is_enabled: false,
      ...(/limited|full/.test(String(one.organization_access_level)) && { organization_access_level: 'readonly' }),
    })),
    stated: { [OKTA]: 'disabled, readonly', [GOOGLE]: 'disabled, none' },
  },
  {
    what: 'removed; the files are as they were exported before',
    action: 'remove',
    edit: all((one) => one),
    stated: { [OKTA]: 'enabled, limited', [GOOGLE]: 'enabled, none' },
  },
  {
    what: 'removed; the connections are left out of the files',
    action: 'remove',
    edit: () => [],
    stated: {},
  },
];

const local = await startEnvironment();
const secure = await startSecureTenant(local.tenant, folder);
let failures = 0;
try {
  for (const [i, one] of CASES.entries()) failures += (await isAsStated(one, join(folder, `case-${i}`))) ? 0 : 1;
} finally {
  await secure.close();
  await local.close();
}
console.log(failures === 0 ? 'The Deploy CLI does what the pages say.' : `${failures} cases are not as the pages say.`);
process.exit(failures === 0 ? 0 : 1);

async function isAsStated({ what, action, edit, stated }: Case, directory: string): Promise<boolean> {
  mkdirSync(directory);
  local.tenant.setOrganizations({ [ORG]: ASSOCIATIONS });
  await deployCli('export', '--format', 'yaml', '--output_folder', directory);
  const file = join(directory, 'tenant.yaml');
  const exported = parse(readFileSync(file, 'utf8')) as { organizations: (Json & { connections: Connection[] })[] };
  await offboard(local, action);
  const organizations = exported.organizations.map((one) => ({ ...one, connections: edit(one.connections) }));
  writeFileSync(file, stringify({ ...exported, organizations }));
  local.tenant.clearCalls();
  await deployCli('import', '--input_file', file);
  const state = Object.fromEntries(
    (local.tenant.state().organizations[ORG] ?? []).map((one) => [
      one.connection_id,
      `${one.is_enabled ? 'enabled' : 'disabled'}, ${one.organization_access_level}`,
    ]),
  );
  const writes = local.tenant.calls().filter(({ method }) => method !== 'GET');
  const isRight = JSON.stringify(state) === JSON.stringify(stated);
  console.log(`${isRight ? 'ok  ' : 'NOT '} ${what}: ${JSON.stringify(state)}, ${writes.length} writes`);
  return isRight;
}

/** Offboards by event and waits until the connections are disabled or removed. */
async function offboard({ aws, event, worker, environment }: LocalEnvironment, action: string): Promise<void> {
  const id = randomUUID();
  const detail = { organization_id: ORG, action, requested_by: 'deploy-cli', reason: 'tried' };
  const envelope = { id, source: 'outside', 'detail-type': 'organization.offboarding.requested' };
  aws.publish({
    ...envelope,
    time: new Date().toISOString(),
    account: '000000000000',
    detail,
    bus: environment.EVENT_BUS_NAME,
  });
  const outcome = action === 'remove' ? 'completed' : 'scheduled';
  await event((one) => one.detail.offboarding_id === id && one['detail-type'].endsWith(outcome));
  await worker.idle();
}

/** The CLI, with the organizations alone. */
async function deployCli(...given: string[]): Promise<void> {
  const environment = {
    PATH: process.env.PATH,
    HOME: folder,
    NODE_EXTRA_CA_CERTS: join(folder, 'certificate.pem'),
    AUTH0_DOMAIN: secure.domain,
    AUTH0_ACCESS_TOKEN: local.tenant.issueToken(['read:organizations', ...SCOPES].join(' ')),
    AUTH0_INCLUDED_ONLY: JSON.stringify(['organizations']),
  };
  const cli = join(folder, 'node_modules/auth0-deploy-cli/lib/index.js');
  await promisify(execFile)(process.execPath, [cli, ...given], { env: environment }).catch((error) => {
    throw new Error(`The Deploy CLI failed: ${error.stderr || error.stdout}`);
  });
}
