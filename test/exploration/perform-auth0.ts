import type { EffectOf, SingleEffect } from '../../lib/offboarding/model/effects.ts';
import { withStory } from './story.ts';
import { failure, type Performed, type Performer, ways } from './ways.ts';
import { type Connection, MINUTE_MS, type World, withChange } from './world.ts';

// What Auth0 answers in the world, and the faults of it and of the network.

/** Auth0 may still carry out a change for so long. */
const LATE_MS = MINUTE_MS;
const SLOW_MS = 8000;

const known = new WeakMap<Connection[], unknown>();

/** Connections as Auth0 lists them; the same list for the same ones. */
function listed(all: Connection[]): unknown {
  const before = known.get(all);
  if (before) return before;
  const list = all.map(({ id, isEnabled, level, more }) => ({
    ...{ connection_id: id, is_enabled: isEnabled, organization_access_level: level, ...more },
    connection: { name: `name of ${id}`, strategy: 'samlp' },
  }));
  known.set(all, list);
  return list;
}

export function lists(world: World, organization: string): Performed[] {
  const all = world.connections[organization];
  if (!all) return [{ how: 'ok', world, error: failure('unknown_organization', false, false) }];
  const { previous } = world;
  const isStale = previous && previous.until >= world.now;
  return ways(
    { world, value: listed(all) },
    {
      ...(isStale && { 'stale list': () => ({ world, value: listed(previous.connections[organization] ?? []) }) }),
      'failed list': () => ({ world, error: failure('auth0_unavailable', true, false) }),
      'refused list': () => ({ world, error: failure('forbidden_by_auth0', false, false) }),
    },
  );
}

export function grants(world: World, organization: string): Performed[] {
  const value = (world.grants[organization] ?? []).map((id) => ({
    id,
    client_id: id,
    audience: 'api',
    scope: ['read'],
  }));
  return ways(
    { world, value },
    {
      'failed list': () => ({ world, error: failure('auth0_unavailable', true, false) }),
      'refused list': () => ({ world, error: failure('forbidden_by_auth0', false, false) }),
    },
  );
}

/** A change of a connection or grant: carried out, refused where its name begins with `con_stubborn`, or one of Auth0's and the network's errors. */
export function changes(world: World, effect: EffectOf<'change'>, { name, nonce, at }: Performer): Performed[] {
  const { organization_id: organization, kind, id, goal, level, send_before } = effect;
  if (at >= send_before) return [{ how: 'ok', world, error: failure('lease_ended', true, false) }];
  const change = { organization, kind, id, goal, level };
  const isThere = kind === 'client_grant' || (world.connections[organization] ?? []).some((one) => one.id === id);
  if (!isThere)
    return [
      {
        how: 'ok',
        world,
        ...(goal === 'removed'
          ? { value: { is_uncertain: false } }
          : { error: failure('unknown_connection', false, false) }),
      },
    ];
  if (id.startsWith('con_stubborn') && goal === 'disabled')
    return [{ how: 'ok', world, error: failure('rejected_by_auth0', false, false) }];
  const by = name.startsWith('worker') ? nonce : name;
  const done = withChange(world, change, by);
  const lateOf = (now: World) => ({ ...now, late: [...now.late, { ...change, until: world.now + LATE_MS }] });
  const failed = failure('auth0_unavailable', true, true);
  return ways(
    { world: done, value: { is_uncertain: false } },
    {
      'late write': () => ({ world: lateOf(world), error: failed }),
      'failed after': () => ({ world: done, error: failed }),
      'not sent': () => ({ world, error: failure('auth0_unavailable', true, false) }),
      repeated: () => ({ world: lateOf(done), value: { is_uncertain: true } }),
      refused: () => ({ world, error: failure('rejected_by_auth0', false, false) }),
      conflict: () => ({ world, error: failure('conflict', false, false) }),
      limited: () => ({ world, error: { ...failure('rate_limited', true, false), retry_after: 3 } }),
      slow: () => ({ world: { ...done, now: world.now + SLOW_MS }, value: { is_uncertain: false } }),
    },
  );
}

/** The calls about an organization's members: two a page. */
export function performMembers(world: World, effect: SingleEffect): Performed[] {
  const { members, story } = world;
  if (effect.do === 'listMembers') {
    const from = Number(effect.cursor ?? 0);
    const value = {
      ids: members.slice(from, from + 2),
      next: from + 2 < members.length ? String(from + 2) : undefined,
    };
    return ways(
      { world, value },
      {
        'failed list': () => ({ world, error: failure('auth0_unavailable', true, false) }),
        'refused list': () => ({ world, error: failure('forbidden_by_auth0', false, false) }),
      },
    );
  }
  if (effect.do === 'isMemberElsewhere') return [{ how: 'ok', world, value: effect.user_id.startsWith('elsewhere') }];
  if (effect.do !== 'endUserSessions') throw new Error(`The world does not play ${effect.do}`);
  const { user_id } = effect;
  if (user_id.startsWith('stubborn')) return [{ how: 'ok', world, error: failure('auth0_unavailable', true, false) }];
  const isAfter = story.cancelled.some(({ status }) => status === 200 || status === 202);
  const ended = {
    ended: [...new Set([...story.ended, user_id])].sort(),
    endedAfter: story.endedAfter + (isAfter ? 1 : 0),
  };
  return ways(
    { world: withStory(world, ended) },
    {
      'not sent': () => ({ world, error: failure('auth0_unavailable', true, false) }),
      refused: () => ({ world, error: failure('rejected_by_auth0', false, false) }),
      limited: () => ({ world, error: { ...failure('rate_limited', true, false), retry_after: 3 } }),
    },
  );
}
