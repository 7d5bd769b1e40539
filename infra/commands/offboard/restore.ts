// `restore`: prints the calls that put back what an offboarding removed or disabled. It makes none of them itself.
import { Refusal } from './ending.ts';
import {
  askedAt,
  CONNECTION_ID,
  type Connection,
  nameOf,
  type Offboarding,
  ORGANIZATION_ID,
  records,
  UUID,
} from './records.ts';
import { connect, type Place, type Service } from './service.ts';
import { dateOf, plain, quoted } from './terminal.ts';

/** The settings that POST /organizations/{id}/connections takes, with the type of each: nothing else of `before` is passed on. */
const SETTINGS: Record<string, (value: unknown) => boolean> = {
  organization_connection_name: (value) => typeof value === 'string' && value !== '',
  assign_membership_on_login: (value) => typeof value === 'boolean',
  show_as_button: (value) => typeof value === 'boolean',
  is_signup_enabled: (value) => typeof value === 'boolean',
  organization_access_level: (value) => ['none', 'readonly', 'limited', 'full'].includes(value as string),
  is_enabled: (value) => typeof value === 'boolean',
};

export async function restore(named: string, options: Place): Promise<number> {
  if (!ORGANIZATION_ID.test(named) && !UUID.test(named))
    throw new Refusal(`"${plain(named)}" is neither an organization nor an offboarding id.`);
  const service = await connect(options);
  const found = ORGANIZATION_ID.test(named) ? await ofOrganization(service, named) : await byId(service, named);
  const real = found.filter(({ dry_run, status }) => !dry_run && status !== 'cancelled' && status !== 'superseded');
  // The oldest first: what was there before all of it is what is put back.
  const seen = new Set<string>();
  const calls = real.reverse().flatMap((record) =>
    record.connections.flatMap((connection) => {
      const key = `${record.organization_id} ${connection.connection_id}`;
      const call = seen.has(key) ? undefined : callFor(record, connection);
      if (call) seen.add(key);
      return call ? [call] : [];
    }),
  );
  if (calls.length === 0) {
    console.log(`# Nothing that is on record of ${named} was removed or disabled: there is nothing to put back.`);
    return 0;
  }
  const { log } = console;
  log(
    '# What was removed or disabled, as it was before. org-connections itself enables nothing but its own pending work:',
  );
  log('# run these yourself, logged in with the Auth0 CLI (auth0 login) to the tenant of this stage, as somebody with');
  log('# create:organization_connections and update:organization_connections. Look first: it may have changed since.');
  if (real.some(({ status }) => status === 'scheduled' || status === 'requested' || status === 'working'))
    log(
      '# An offboarding is still pending: "cancel" is the way back, and without it what you enable is taken away again.',
    );
  if (real.some(({ watch }) => watch === 'on'))
    log('# It is watched for re-enabling: "cancel" ends the watch first (disable_again would disable it anew).');
  for (const call of calls) log(call);
  return 0;
}

/** Words, the call itself, and nothing from Auth0 that a shell or a terminal could take for its own. */
function callFor(record: Offboarding, connection: Connection): string | undefined {
  const { organization_id } = record;
  const { connection_id, before, outcome } = connection;
  if (!ORGANIZATION_ID.test(organization_id) || !CONNECTION_ID.test(connection_id) || !before) return undefined;
  const wasTaken = outcome === 'removed' || outcome === 'disabled' || connection.disabled_by_offboarding;
  if (!wasTaken) return undefined;
  const settings = Object.fromEntries(Object.entries(before).filter(([name, value]) => SETTINGS[name]?.(value)));
  const comment = `# ${nameOf(connection)}, ${outcome === 'removed' ? 'removed' : 'disabled'}; asked for on ${dateOf(askedAt(record))} by ${plain(record.requested_by)}`;
  const connections = `organizations/${organization_id}/connections`;
  if (outcome === 'removed') return `${comment}\n${command('post', connections, { connection_id, ...settings })}`;
  const level = settings.organization_access_level;
  const patch = { is_enabled: true, ...(level !== undefined && { organization_access_level: level }) };
  return `${comment}\n${command('patch', `${connections}/${connection_id}`, patch)}`;
}

/** JSON in plain ASCII, within single quotes. */
const command = (method: string, path: string, body: object) => {
  const json = JSON.stringify(body).replace(
    /[^\x20-\x7e]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `auth0 api ${method} ${path} --data ${quoted(json)}`;
};

async function ofOrganization(service: Service, organization_id: string): Promise<Offboarding[]> {
  const all: Offboarding[] = [];
  for await (const record of records(service, { organization_id })) {
    all.push(record);
  }
  return all;
}

/** By its id alone: the lists by status are gone through, as the API has no other way. */
export async function byId(service: Service, offboarding_id: string): Promise<Offboarding[]> {
  for (const status of [
    'completed',
    'failed',
    'scheduled',
    'removing',
    'cancelling',
    'working',
    'cancelled',
    'superseded',
    'requested',
  ])
    for await (const record of records(service, { status }))
      if (record.offboarding_id === offboarding_id) return [record];
  throw new Refusal(
    `There is no offboarding ${offboarding_id} in ${service.where}. With the organization's id it is found sooner.`,
  );
}
