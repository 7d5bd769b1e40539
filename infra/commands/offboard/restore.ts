// `restore`: prints the calls that put back what an offboarding removed or disabled. It makes none of them itself.
import { Refusal } from './ending.ts';
import { type Taken, type TakenGrant, takenFrom } from './history.ts';
import { lookUpEach } from './lookups.ts';
import {
  CONNECTION_ID,
  grantOf,
  nameOf,
  type Offboarding,
  ORGANIZATION_ID,
  PENDING,
  records,
  recordsOf,
  recordsOfOrganization,
} from './records.ts';
import { connect, type Place, type Service } from './service.ts';
import { organizationIn, targetOf } from './target.ts';
import { dateOf, plain, print, quoted } from './terminal.ts';

/** The settings that POST /organizations/{id}/connections takes, with the type of each: nothing else of `before` is passed on. */
const SETTINGS: Record<string, (value: unknown) => boolean> = {
  organization_connection_name: (value) => typeof value === 'string' && value !== '',
  assign_membership_on_login: (value) => typeof value === 'boolean',
  show_as_button: (value) => typeof value === 'boolean',
  is_signup_enabled: (value) => typeof value === 'boolean',
  organization_access_level: (value) => ['none', 'readonly', 'limited', 'full'].includes(value as string),
  is_enabled: (value) => typeof value === 'boolean',
};
const GRANT_ID = /^cgr_[A-Za-z0-9]{1,60}$/;

/** What is put back: all that was taken from an organization, or what some offboardings took. */
interface Scope {
  organization_id: string;
  /** Undefined for all. */
  offboardings?: Offboarding[];
}

/** Prints the calls for what `names` name: an organization, one offboarding of it, a plan or batches. Resolves to the exit status. */
export async function restore(names: string[], options: Place): Promise<number> {
  const { service, scopes } = await scopesOf(names, options);
  const histories = await lookUpEach(service, scopes, async (scope) => ({
    scope,
    // What was there before may stand in an earlier record.
    all: await recordsOfOrganization(service, scope.organization_id),
  }));
  const calls = histories.flatMap(({ scope, all }) => callsFor(scope, all));
  if (calls.length === 0) {
    print(
      `# Nothing that is on record of ${names.map(plain).join(' ')} was removed or disabled: there is nothing to put back.`,
    );
    return 0;
  }
  introduce(histories.flatMap(({ all }) => all.filter(({ dry_run }) => !dry_run)));
  for (const call of calls) print(call);
  return 0;
}

/** Says what the calls are, and what may stand against them. */
function introduce(all: Offboarding[]): void {
  print(
    '# What was removed or disabled, as it was before. org-connections itself enables only what a cancellation gives back:',
  );
  print(
    '# run these yourself, logged in with the Auth0 CLI (auth0 login) to the tenant of this stage, as somebody with',
  );
  print('# create:organization_connections, update:organization_connections and, for client grants,');
  print('# create:organization_client_grants. Look first: it may have changed since.');
  if (all.some(({ status }) => PENDING.includes(status)))
    print(
      '# An offboarding is still pending: "cancel" is the way back, and without it what you enable is taken away again.',
    );
  if (all.some(({ watch }) => watch === 'on'))
    print(
      '# It is watched for drift: "cancel" of the organization itself ends the watch first (disable_again would disable it anew).',
    );
}

async function scopesOf(names: string[], options: Place): Promise<{ service: Service; scopes: Scope[] }> {
  const organization = organizationIn(names);
  if (organization) {
    const service = await connect(options);
    const { organization_id, offboarding_id } = organization;
    if (offboarding_id === undefined) return { service, scopes: [{ organization_id }] };
    const found: Offboarding[] = [];
    for await (const record of records(service, { organization_id, offboarding_id })) found.push(record);
    if (found.length === 0)
      throw new Refusal(`${organization_id} has no offboarding ${offboarding_id} in ${service.where}.`);
    return { service, scopes: [{ organization_id, offboardings: found }] };
  }
  const { service, batches } = await targetOf(names, options);
  const all = await recordsOf(service, batches);
  if (all.length === 0)
    throw new Refusal(
      batches.length === 0
        ? 'The plan was not applied: there is nothing to put back.'
        : `There is no batch ${batches.join(' or ')}. An offboarding id is named after its organization.`,
    );
  const byOrganization = Map.groupBy(all, ({ organization_id }) => organization_id);
  return {
    service,
    scopes: [...byOrganization].map(([organization_id, offboardings]) => ({ organization_id, offboardings })),
  };
}

function callsFor({ organization_id, offboardings }: Scope, all: Offboarding[]): string[] {
  if (!ORGANIZATION_ID.test(organization_id)) return [];
  const { connections, grants } = takenFrom(all);
  const touched = offboardings?.flatMap((one) => one.connections.map(({ connection_id }) => connection_id));
  const ids = offboardings?.map(({ offboarding_id }) => offboarding_id);
  return [
    ...connections
      .filter(({ connection }) => !touched || touched.includes(connection.connection_id))
      .flatMap((taken) => connectionCall(organization_id, taken)),
    ...grants
      .filter(({ record }) => !ids || ids.includes(record.offboarding_id))
      .flatMap((taken) => grantCall(organization_id, taken)),
  ];
}

/** Words, the call itself, and nothing from Auth0 that a shell or a terminal could take for its own. */
function connectionCall(organization_id: string, { connection, is, settings, record }: Taken): string[] {
  const { connection_id } = connection;
  if (!CONNECTION_ID.test(connection_id)) return [];
  const known = Object.fromEntries(Object.entries(settings).filter(([name, value]) => SETTINGS[name]?.(value)));
  const comment = `# ${nameOf(connection)} of ${organization_id}, ${is}; requested on ${dateOf(record.requested_at)} by ${plain(record.requested_by)}`;
  const connections = `organizations/${organization_id}/connections`;
  if (is === 'removed') return [comment, command('post', connections, { connection_id, ...known })];
  const level = known.organization_access_level;
  const patch = { is_enabled: true, ...(level !== undefined && { organization_access_level: level }) };
  return [comment, command('patch', `${connections}/${connection_id}`, patch)];
}

function grantCall(organization_id: string, { grant, record }: TakenGrant): string[] {
  const { grant_id = '' } = grant;
  const comment = `# ${grantOf(grant)} of ${organization_id}, removed; requested on ${dateOf(record.requested_at)} by ${plain(record.requested_by)}`;
  if (!GRANT_ID.test(grant_id)) return [`${comment}: its id is not on record, look it up in the Dashboard`];
  return [comment, command('post', `organizations/${organization_id}/client-grants`, { grant_id })];
}

/** JSON in plain ASCII, within single quotes. */
const command = (method: string, path: string, body: object) => {
  const json = JSON.stringify(body).replace(
    /[^\x20-\x7e]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `auth0 api ${method} ${path} --data ${quoted(json)}`;
};
