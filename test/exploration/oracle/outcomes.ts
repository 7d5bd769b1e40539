import type { Scenario } from '../scenarios.ts';
import type { Detail } from '../story.ts';
import type { World } from '../world.ts';
import type { Check } from './check.ts';

// What records and events say of each connection and client grant, against what Auth0 has.

/** What may have become of a connection of an offboarding with this end. */
const OUTCOMES: Record<string, string[]> = {
  completed: ['disabled', 'removed', 'unchanged'],
  scheduled: ['disabled', 'removed', 'unchanged', 'failed'],
  removal_upcoming: ['disabled', 'unchanged', 'failed'],
  superseded: ['disabled', 'unchanged', 'failed'],
  cancelled: ['enabled', 'removed', 'unchanged'],
  failed: ['disabled', 'removed', 'enabled', 'unchanged', 'failed'],
};
const GRANT_OUTCOMES: Record<string, string[]> = {
  completed: ['removed', 'unchanged'],
  scheduled: ['removed', 'unchanged', 'failed'],
  cancelled: ['restored', 'unchanged'],
};

type Shown = NonNullable<Detail['connections']>[number];
type Ending = { outcome: string | null; error: { code: string; message: string } | null };

/** A failed one says why; an unchanged one may. */
function wrongError({ outcome, error }: Ending): boolean {
  if (!error) return outcome === 'failed';
  return !['failed', 'unchanged'].includes(String(outcome)) || !error.code || !error.message;
}

/** What is kept of a connection's settings has an end, characters. */
const LARGEST = 4200;

/** What a record or an event says of a connection that cannot be; `is` is the record's status, or the event's name. */
export function wrongConnection(one: Shown, is: string, about: Detail, world: World, scenario: Scenario) {
  const { connection_id: id, outcome, before } = one;
  if (OUTCOMES[is] && !OUTCOMES[is].includes(String(outcome))) return `${id} is shown as ${outcome}`;
  if (wrongError(one)) return `${id} is ${outcome} for ${JSON.stringify(one.error)}`;
  if (world.story.touched.some((touched) => touched.id === id)) return undefined;
  const start = scenario.connections[String(about.organization_id)]?.find((known) => known.id === id);
  if (!start) return before || one.name || one.strategy ? `${id} was never there, and has settings` : undefined;
  if (one.name !== `name of ${id}` || one.strategy !== 'samlp') return `${id} is called ${one.name} (${one.strategy})`;
  // What begins after another's end finds the settings of then.
  const isLater = world.story.begun.length > 1 && world.story.events.some(({ event }) => event === 'completed');
  const settings = { ...before, is_enabled: start.isEnabled, organization_access_level: start.level };
  // What was removed before has none.
  const isGone = !world.connections[String(about.organization_id)]?.some((known) => known.id === id);
  if (!before && isGone && outcome === 'unchanged' && isLater) return undefined;
  if (!before || JSON.stringify(before).length > LARGEST) return `${id} has ${before ? 'too many' : 'no'} settings`;
  if (!isLater && JSON.stringify(before) !== JSON.stringify(settings))
    return `The settings of ${id} are shown as ${JSON.stringify(before)}`;
  return undefined;
}

/** Each connection and grant that is shown is shown as it can be. */
export function wrongOutcomes(about: Detail, is: string, world: World, scenario: Scenario): string | undefined {
  const { connections = [], client_grants = [], offboarding_id } = about;
  for (const one of connections) {
    const wrong = wrongConnection(one, is, about, world, scenario);
    if (wrong) return `${offboarding_id} is ${is}: ${wrong}`;
  }
  for (const one of client_grants) {
    const { grant_id: id, client_id, audience, scope, outcome } = one;
    if (GRANT_OUTCOMES[is] && !GRANT_OUTCOMES[is].includes(String(outcome)))
      return `${offboarding_id} is ${is}: ${id} is shown as ${outcome}`;
    if (wrongError(one)) return `${id} is ${outcome} for ${JSON.stringify(one.error)}`;
    if (JSON.stringify([client_id, audience, scope]) !== JSON.stringify([id, 'api', ['read']]))
      return `${id} cannot be given back by what is shown of it`;
  }
  return undefined;
}

/** What is told as remaining is what Auth0 has left, or would have after a dry run's request; null where Auth0 did not say. */
export function wrongRemains(
  { offboarding_id: id, organization_id, remaining_access: shown, dry_run, client_grants = [] }: Detail,
  world: World,
) {
  if (shown === null && (world.met.includes('failed list') || world.met.includes('refused list'))) return undefined;
  const ended = dry_run ? client_grants.map(({ grant_id }) => grant_id) : [];
  const grants = (world.grants[String(organization_id)] ?? []).filter((one) => !ended.includes(one));
  const left = grants.map((client_id) => ({
    ...{ kind: 'client_grant', client_id, audience: 'api', scope: ['read'] },
  }));
  const isShortened = shown?.some((one) => 'is_shortened' in one);
  const isSame = isShortened
    ? shown?.every(({ client_id }, place) => client_id === grants[place])
    : JSON.stringify(shown) === JSON.stringify(left);
  return isSame ? undefined : `${id} shows ${JSON.stringify(shown)} as remaining`;
}

/** Whether no other offboarding of the organization can have done anything. */
const isAlone = ({ story }: World, id: string, organization: string) =>
  Object.entries(story.accepted).every(
    ([other, one]) => other === id || one.isDryRun || one.organization !== organization,
  );

/** What became of a connection by what Auth0 had and has. */
function expected(
  start: World['connections'][string][number],
  now: typeof start | undefined,
  isDryRun: boolean,
  action: string,
) {
  if (isDryRun) return action === 'remove' ? ['removed'] : start.isEnabled ? ['disabled'] : ['unchanged'];
  if (!now) return ['removed'];
  return start.isEnabled && !now.isEnabled ? ['disabled'] : ['enabled', 'unchanged', 'failed'];
}

/** The record of the one offboarding that an organization has says what became of each connection. */
export const outcomesAreTrue: Check = (world, scenario) => {
  for (const record of Object.values(world.records)) {
    const { offboarding_id: id, organization_id, status, dry_run } = record;
    const wrong = wrongOutcomes(record as Detail, status, world, scenario);
    if (wrong) return `The record: ${wrong}`;
    const later = world.records[record.superseded_by ?? '']?.connections.map(({ connection_id }) => connection_id);
    const lost = later && record.connections.find(({ connection_id }) => !later.includes(connection_id));
    if (lost) return `${record.superseded_by} does not show ${lost.connection_id}, which it took over`;
    const start = scenario.connections[organization_id] ?? [];
    const listed = record.connections.map(({ connection_id }) => connection_id);
    if (!isAlone(world, id, organization_id)) continue;
    const named = scenario.requests[id]?.[0]?.options?.ids ?? start.map((one) => one.id);
    const isMissing = ['completed', 'scheduled'].includes(status) && named.some((one) => !listed.includes(one));
    if (isMissing || new Set(listed).size < listed.length) return `${id} is ${status}, and shows ${listed}`;
    for (const { connection_id, outcome, disabled_by_offboarding } of record.connections) {
      const before = start.find((one) => one.id === connection_id);
      if (!before || world.story.touched.some((one) => one.id === connection_id)) continue;
      const now = world.connections[organization_id]?.find((one) => one.id === connection_id);
      if (status === 'failed' && outcome === 'failed') continue;
      if (!expected(before, now, dry_run, record.action).includes(String(outcome)))
        return `${id} is ${status}, and says that ${connection_id} is ${outcome}`;
      const isOurs =
        !dry_run && ['scheduled', 'failed'].includes(status) && before.isEnabled && now?.isEnabled === false;
      if (disabled_by_offboarding !== isOurs)
        return `${id} is ${status}, and does not say whether it can enable ${connection_id}`;
    }
    const grants = wrongGrants(record as Detail, world, scenario);
    if (grants) return grants;
  }
  return undefined;
};

/** The client grants of an offboarding that ends them, and of no other. */
function wrongGrants(record: Detail, world: World, { grants, requests }: Scenario): string | undefined {
  const { offboarding_id = '', status = '', client_grants } = record;
  const isAbout = requests[offboarding_id]?.[0]?.options?.machines === true;
  if (isAbout !== (client_grants !== undefined)) return `${offboarding_id} does not say what became of client grants`;
  for (const id of isAbout ? grants : []) {
    if (!['completed', 'scheduled', 'cancelled'].includes(status)) continue;
    const shown = client_grants?.find((one) => one.grant_id === id)?.outcome;
    const isGone = record.dry_run || !world.grants.org_A?.includes(id);
    if (world.story.touched.some((one) => one.id === id)) continue;
    if (isGone !== (shown === 'removed') && (isGone || status !== 'cancelled' || shown !== undefined))
      return `${offboarding_id} is ${status}, and says that ${id} is ${shown}`;
  }
  return undefined;
}
