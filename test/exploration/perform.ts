import { createHash } from 'node:crypto';
import type { Effect, EffectError, EffectOf, SingleEffect } from '../../lib/offboarding/model/effects.ts';
import type { Organization } from '../../lib/offboarding/model/organization.ts';
import { dueOf as dueOfItem } from '../../lib/offboarding/rules/due-work.ts';
import { withStory } from './story.ts';
import { type Fault, MINUTE_MS, type World, withChange, withDue } from './world.ts';

// Performs an effect in the world, in every way in which it may end: as it should, and with each fault that the world has left.

export interface Performed {
  /** How it ended: `ok`, or the fault. */
  how: 'ok' | Fault;
  world: World;
  value?: unknown;
  error?: EffectError;
}

/** Who performs: by name, by the nonce of its versions, and its clock (Unix ms). */
export interface Performer {
  name: string;
  nonce: string;
  /** It is compared by what it has read, and reads versions that tell contents apart. */
  isByContent: boolean;
  at: number;
}

const failure = (code: string, is_transient: boolean, may_be_done: boolean): EffectError => ({
  code,
  message: code,
  is_transient,
  may_be_done,
});
const AWAY = failure('record_unavailable', true, false);
/** What AWS did not answer may be done. */
const UNANSWERED = failure('internal_error', true, true);
/** Auth0 may still carry out a change for so long. */
const LATE_MS = MINUTE_MS;
const SLOW_MS = 8000;

const use = (world: World, fault: Fault): World => ({
  ...world,
  faults: { ...world.faults, [fault]: (world.faults[fault] ?? 0) - 1 },
});
const has = (world: World, fault: Fault): boolean => (world.faults[fault] ?? 0) > 0;

/** As it should end, and with each of these faults that the world has left. */
function ways(ok: Omit<Performed, 'how'>, faults: Partial<Record<Fault, () => Omit<Performed, 'how'>>>): Performed[] {
  const { world } = ok;
  const all = Object.entries(faults) as [Fault, () => Omit<Performed, 'how'>][];
  const failed = all.filter(([fault]) => has(world, fault)).map(([how, way]) => ({ how, ...way() }));
  return [{ how: 'ok' as const, ...ok }, ...failed.map((one) => ({ ...one, world: use(one.world, one.how) }))];
}

/** All ways in which one effect may end. */
export function performSingle(world: World, effect: SingleEffect, by: Performer): Performed[] {
  switch (effect.do) {
    case 'readOrganization':
      return reads(world, asSeenBy(world.items[effect.organization_id], by));
    case 'readBatch':
      return reads(world, world.batches[effect.batch_id]);
    case 'readRecord':
      return reads(world, world.records[effect.offboarding_id]);
    case 'writeOrganization':
      return writes(world, () => writeItem(world, effect, by));
    case 'writeBatch':
      return writes(world, () => {
        const { batch, expected } = effect;
        if (world.batches[batch.batch_id]?.version !== expected) return { world, value: false };
        return { world: { ...world, batches: { ...world.batches, [batch.batch_id]: plain(batch) } }, value: true };
      });
    case 'writeRecord': {
      const { record } = effect;
      const known = world.records[record.offboarding_id];
      const isNewer = !known || known.revision <= record.revision;
      const written = isNewer
        ? { ...world, records: { ...world.records, [record.offboarding_id]: plain(record) } }
        : world;
      return ways({ world: written }, { 'refused write': () => ({ world, error: AWAY }) });
    }
    case 'listConnections':
      return lists(world, effect.organization_id);
    case 'readName':
      return [{ how: 'ok', world, value: null }];
    case 'listGrants':
      return grants(world, effect.organization_id);
    case 'change':
      return changes(world, effect, by);
    case 'publish':
      return ways({ world: published(world, effect, by) }, { 'bus away': () => ({ world, error: UNANSWERED }) });
    case 'sendDeadLetter':
      return [{ how: 'ok', world: withStory(world, { letters: [...world.story.letters, String(effect.body.id)] }) }];
    case 'sendDue': {
      const sent = effect.notices.reduce(
        (next, { organization_id }) => withDue(next, organization_id, world.now),
        world,
      );
      return ways(
        { world: sent },
        { 'queue away': () => ({ world, error: UNANSWERED }), 'lost message': () => ({ world }) },
      );
    }
    case 'sendSessionsDue': {
      const message = {
        kind: 'sessions' as const,
        organization: effect.organization_id,
        offboarding: effect.offboarding_id,
        visibleAt: world.now,
      };
      return ways(
        { world: { ...world, queue: [...world.queue, message] } },
        { 'queue away': () => ({ world, error: UNANSWERED }), 'lost message': () => ({ world }) },
      );
    }
    case 'readDue':
      return [{ how: 'ok', world, value: { due: dueOf(world, effect.before), cursor: undefined } }];
    case 'markNoticed': {
      const { organization_id, due_at, notice_at } = effect;
      const isStill = dueOfItem(world.items[organization_id] as Organization).due_at === due_at;
      return [
        {
          how: 'ok',
          world: isStill ? { ...world, notices: { ...world.notices, [organization_id]: notice_at } } : world,
        },
      ];
    }
    case 'scheduleRemoval':
    case 'pause':
      return [{ how: 'ok', world }];
    default:
      return performMembers(world, effect);
  }
}

const stored = new Map<string, unknown>();

/** Before another scenario: what was stored is forgotten. */
export const forgetStored = (): void => stored.clear();

/** As it comes out of the table; the same content is the same object, and what is computed of it is computed once. */
function plain<T>(value: T): T {
  const text = JSON.stringify(value);
  let known = stored.get(text);
  if (known === undefined) {
    known = JSON.parse(text);
    stored.set(text, known);
  }
  return known as T;
}

const reads = (world: World, value: unknown): Performed[] =>
  ways({ world, value }, { 'failed read': () => ({ world, error: AWAY }) });

/** A conditional write: it may be refused by a throttled table, or be carried out while its answer is lost. */
function writes(world: World, write: () => { world: World; value: boolean }): Performed[] {
  const done = write();
  return ways(done, {
    'lost answer': () => ({ world: done.world, error: { ...AWAY, may_be_done: true } }),
    'refused write': () => ({ world, error: AWAY }),
    'rejected item': () => ({ world, error: failure('internal_error', false, false) }),
  });
}

function writeItem(
  world: World,
  { item, expected }: EffectOf<'writeOrganization'>,
  by: Performer,
): { world: World; value: boolean } {
  const known = world.items[item.organization_id];
  if (expected !== known?.version && expected !== asSeenBy(known, by)?.version) return { world, value: false };
  const { notice_at = 0 } = item;
  const notices = { ...world.notices, [item.organization_id]: notice_at };
  return {
    world: { ...world, notices, items: { ...world.items, [item.organization_id]: plain(asWritten(item, known)) } },
    value: true,
  };
}

/**
 * An item as a computation sees it that is compared by what it has read: what somebody else has written has a version by its
 * content, so that it is the same wherever the same was written.
 */
function asSeenBy(item: Organization | undefined, { isByContent, nonce }: Performer): Organization | undefined {
  if (!item || !isByContent) return item;
  let views = seen.get(item);
  if (!views) {
    views = new Map();
    seen.set(item, views);
  }
  let view = views.get(nonce);
  if (!view) {
    view = viewOf(item, nonce);
    views.set(nonce, view);
  }
  return view;
}

const seen = new WeakMap<Organization, Map<string, Organization>>();

function viewOf(item: Organization, nonce: string): Organization {
  const owner =
    item.lease && (item.lease.owner.startsWith(nonce) || item.lease.owner === 'nobody' ? item.lease.owner : 'other');
  const view = { ...item, revision: 0, ...(item.lease && { lease: { ...item.lease, owner: owner as string } }) };
  if (item.version?.startsWith(nonce)) return view;
  return {
    ...view,
    version: createHash('md5')
      .update(JSON.stringify({ ...view, version: 0 }))
      .digest('base64'),
  };
}

/** The same as it goes back into the table. */
function asWritten(item: Organization, known: Organization | undefined): Organization {
  const owner = item.lease?.owner === 'other' ? known?.lease?.owner : item.lease?.owner;
  return {
    ...item,
    revision: (known?.revision ?? 0) + 1,
    ...(item.lease && { lease: { ...item.lease, owner: owner ?? 'gone' } }),
  };
}

function lists(world: World, organization: string): Performed[] {
  const all = world.connections[organization];
  if (!all) return [{ how: 'ok', world, error: failure('unknown_organization', false, false) }];
  const listed = (ofAll: World['connections']) =>
    (ofAll[organization] ?? []).map(({ id, isEnabled, level }) => ({
      ...{ connection_id: id, is_enabled: isEnabled, organization_access_level: level },
      connection: { name: `name of ${id}`, strategy: 'samlp' },
    }));
  const { previous } = world;
  const isStale = previous && previous.until >= world.now;
  return ways(
    { world, value: listed(world.connections) },
    {
      ...(isStale && { 'stale list': () => ({ world, value: listed(previous.connections) }) }),
      'failed list': () => ({ world, error: failure('auth0_unavailable', true, false) }),
      'refused list': () => ({ world, error: failure('forbidden_by_auth0', false, false) }),
    },
  );
}

function grants(world: World, organization: string): Performed[] {
  const value = (world.grants[organization] ?? []).map((id) => ({ id, client_id: id, audience: 'api', scope: [] }));
  return ways({ world, value }, { 'failed list': () => ({ world, error: failure('auth0_unavailable', true, false) }) });
}

/** A change of a connection or grant: carried out, or one of Auth0's and the network's errors. */
function changes(world: World, effect: EffectOf<'change'>, { name, nonce, at }: Performer): Performed[] {
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

function published(world: World, { events }: EffectOf<'publish'>, { name }: Performer): World {
  const publishedEvent = events.map(({ event, detail }) => {
    const { offboarding_id, connections = [] } = detail as {
      offboarding_id?: string;
      connections?: { connection_id: string }[];
    };
    return {
      event,
      id: String(offboarding_id),
      about: connections.map(({ connection_id }) => connection_id),
      by: name.replace(/\d$/, ''),
    };
  });
  return withStory(world, { events: [...world.story.events, ...publishedEvent] });
}

/** The calls about an organization's members: two a page. */
function performMembers(world: World, effect: SingleEffect): Performed[] {
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

/** What the index of due work has. */
export function dueOf(world: World, before: string) {
  const organizations = Object.values(world.items).map((item) => {
    const { due_at, work_due_at, priority = 'single' as const } = dueOfItem(item);
    const notice_at = world.notices[item.organization_id];
    return {
      organization_id: item.organization_id,
      offboarding_id: 'organization',
      due_at,
      work_due_at,
      priority,
      notice_at,
    };
  });
  const batches = Object.values(world.batches).map(({ batch_id, due_at }) => ({
    ...{
      organization_id: batch_id,
      offboarding_id: 'batch',
      due_at,
      work_due_at: due_at,
      priority: 'batch' as const,
      notice_at: 0,
    },
  }));
  return [...organizations, ...batches].flatMap(({ due_at, ...rest }) =>
    due_at !== undefined && due_at <= before ? [{ due_at, ...rest }] : [],
  );
}

/** What nobody else can tell the moment of. What only the order of events and records shows matters where somebody stands still. */
const INVISIBLE = [
  'readName',
  'scheduleRemoval',
  'sendDeadLetter',
  'pause',
  'markNoticed',
  'readDue',
  'listGrants',
  'listMembers',
  'isMemberElsewhere',
];
const IN_ORDER = ['publish', 'writeRecord', 'readRecord', 'sendDue', 'sendSessionsDue'];

/** Whether nobody else can tell when an effect happens: it is performed at once, and is no step of its own. */
export function isInvisible(world: World, effect: Effect): boolean {
  return INVISIBLE.includes(effect.do) || (IN_ORDER.includes(effect.do) && !has(world, 'paused'));
}
