import { createHash } from 'node:crypto';
import type { Organization } from '../../lib/offboarding/model/organization.ts';
import type { Effect, EffectError, EffectOf, Result, SingleEffect } from '../../lib/offboarding/model/effects.ts';
import { dueOf as dueOfItem } from '../../lib/offboarding/rules/due-work.ts';
import type { Fault, World } from './world.ts';
import { withChange } from './world.ts';

// Performs an effect in the world, in every way in which it may end: as it should, and with each fault that the world has left.

export interface Performed {
  /** How it ended: `ok`, or the fault. */
  how: 'ok' | Fault;
  world: World;
  value?: unknown;
  error?: EffectError;
}

const UNAVAILABLE = (may_be_done: boolean): EffectError => ({ code: 'record_unavailable', message: 'away', is_transient: true, may_be_done });
const AUTH0 = (code: string, is_transient: boolean, may_be_done: boolean): EffectError => ({ code, message: code, is_transient, may_be_done });

/** A write may still be carried out for so long, milliseconds. */
const LATE_MS = 60_000;

const use = (world: World, fault: Fault): World => ({ ...world, faults: { ...world.faults, [fault]: (world.faults[fault] ?? 0) - 1 } });
const has = (world: World, fault: Fault): boolean => (world.faults[fault] ?? 0) > 0;

/** All ways in which one effect may end. `at` is the clock of who performs it. */
export function performSingle(world: World, effect: SingleEffect, at: number, reader?: string): Performed[] {
  switch (effect.do) {
    case 'readOrganization':
      return [{ how: 'ok', world, value: asSeenBy(world.items[effect.organization_id], reader) }];
    case 'writeOrganization':
      return writes(world, () => {
        const { item, expected } = effect;
        const known = world.items[item.organization_id];
        if (expected !== known?.version && expected !== asSeenBy(known, reader)?.version) return { world, value: false };
        return { world: { ...world, items: { ...world.items, [item.organization_id]: plain(asWritten(item, known)) } }, value: true };
      });
    case 'readBatch':
      return [{ how: 'ok', world, value: world.batches[effect.batch_id] }];
    case 'writeBatch':
      return writes(world, () => {
        const { batch, expected } = effect;
        if (world.batches[batch.batch_id]?.version !== expected) return { world, value: false };
        return { world: { ...world, batches: { ...world.batches, [batch.batch_id]: plain(batch) } }, value: true };
      });
    case 'readRecord':
      return [{ how: 'ok', world, value: world.records[effect.offboarding_id] }];
    case 'writeRecord': {
      const { record } = effect;
      const known = world.records[record.offboarding_id];
      const isNewer = !known || known.revision <= record.revision;
      return [{ how: 'ok', world: isNewer ? { ...world, records: { ...world.records, [record.offboarding_id]: plain(record) } } : world }];
    }
    case 'listConnections':
      return lists(world, effect.organization_id);
    case 'listGrants':
      return [{ how: 'ok', world, value: (world.grants[effect.organization_id] ?? []).map((id) => ({ id, client_id: id, audience: 'api', scope: [] })) }];
    case 'change':
      return changes(world, effect, at);
    case 'publish': {
      const events = effect.events.map(({ event, detail }) => ({ event, id: String(detail.offboarding_id) }));
      const done = { ...world, story: { ...world.story, events: [...world.story.events, ...events] } };
      const away = AUTH0('internal_error', true, true);
      return [{ how: 'ok', world: done }, ...(has(world, 'bus away') ? [{ how: 'bus away' as const, world: use(world, 'bus away'), error: away }] : [])];
    }
    case 'sendDue': {
      const sent = effect.notices.reduce((next, { organization_id }) => withDue(next, organization_id, world.now), world);
      const away = AUTH0('internal_error', true, true);
      return [{ how: 'ok', world: sent }, ...(has(world, 'queue away') ? [{ how: 'queue away' as const, world: use(world, 'queue away'), error: away }] : [])];
    }
    case 'readDue':
      return [{ how: 'ok', world, value: { due: dueOf(world, effect.before), cursor: undefined } }];
    case 'markNoticed':
    case 'scheduleRemoval':
    case 'sendDeadLetter':
    case 'sendSessionsDue':
    case 'pause':
      return [{ how: 'ok', world }];
    default:
      throw new Error(`The world does not play ${effect.do}`);
  }
}

/**
 * An item as a computation sees it that is compared by what it has read: what somebody else has written has a version by its
 * content, so that it is the same wherever the same was written. `reader` is the nonce of that computation.
 */
function asSeenBy(item: Organization | undefined, reader: string | undefined): Organization | undefined {
  if (!item || reader === undefined) return item;
  const owner = item.lease && (item.lease.owner.startsWith(reader) || item.lease.owner === 'nobody' ? item.lease.owner : 'other');
  const seen = { ...item, revision: 0, ...(item.lease && { lease: { ...item.lease, owner: owner as string } }) };
  if (item.version?.startsWith(reader)) return seen;
  return { ...seen, version: createHash('md5').update(JSON.stringify({ ...seen, version: 0 })).digest('base64') };
}

/** The same as it goes back into the table. */
function asWritten(item: Organization, known: Organization | undefined): Organization {
  const owner = item.lease?.owner === 'other' ? known?.lease?.owner : item.lease?.owner;
  return { ...item, revision: (known?.revision ?? 0) + 1, ...(item.lease && { lease: { ...item.lease, owner: owner ?? 'gone' } }) };
}

/** As it comes out of the table. */
const plain = <T>(value: T): T => JSON.parse(JSON.stringify(value));

/** A conditional write: it may be refused by a throttled table, or be carried out while its answer is lost. */
function writes(world: World, write: () => { world: World; value: boolean }): Performed[] {
  const done = write();
  return [
    { how: 'ok', ...done },
    ...(has(world, 'lost answer') ? [{ how: 'lost answer' as const, world: use(done.world, 'lost answer'), error: UNAVAILABLE(true) }] : []),
    ...(has(world, 'refused write') ? [{ how: 'refused write' as const, world: use(world, 'refused write'), error: UNAVAILABLE(false) }] : []),
  ];
}

function lists(world: World, organization: string): Performed[] {
  const listed = (all: World['connections']) =>
    (all[organization] ?? []).map(({ id, isEnabled, level }) => ({ connection_id: id, is_enabled: isEnabled, organization_access_level: level }));
  const { previous } = world;
  const isStale = previous && has(world, 'stale list') && previous.until >= world.now;
  return [
    { how: 'ok', world, value: listed(world.connections) },
    ...(isStale ? [{ how: 'stale list' as const, world: use(world, 'stale list'), value: listed(previous.connections) }] : []),
  ];
}

/** A change of a connection or grant: carried out, or one of Auth0's and the network's errors. */
function changes(world: World, effect: EffectOf<'change'>, at: number): Performed[] {
  const { organization_id: organization, kind, id, goal, level, send_before } = effect;
  if (at >= send_before) return [{ how: 'ok', world, error: AUTH0('lease_ended', true, false) }];
  const change = { organization, kind, id, goal, level };
  const isThere = kind === 'client_grant' || (world.connections[organization] ?? []).some((one) => one.id === id);
  if (!isThere) return [{ how: 'ok', world, ...(goal === 'removed' ? { value: { is_uncertain: false } } : { error: AUTH0('unknown_connection', false, false) }) }];
  const failed = AUTH0('auth0_unavailable', true, true);
  const ways: [Fault, () => Partial<Performed> & { world: World }][] = [
    ['late write', () => ({ world: { ...world, late: [...world.late, { ...change, until: world.now + LATE_MS }] }, error: failed })],
    ['failed after', () => ({ world: withChange(world, change), error: failed })],
    ['not sent', () => ({ world, error: AUTH0('auth0_unavailable', true, false) })],
    ['refused', () => ({ world, error: AUTH0('rejected_by_auth0', false, false) })],
    ['conflict', () => ({ world, error: AUTH0('conflict', false, false) })],
  ];
  return [
    { how: 'ok', world: withChange(world, change), value: { is_uncertain: false } },
    ...ways.filter(([fault]) => has(world, fault)).map(([fault, way]) => {
      const { world: next, ...rest } = way();
      return { how: fault, world: use(next, fault), ...rest };
    }),
  ];
}

/** The queue with a due notice for the organization; two of them are one. */
export function withDue(world: World, organization: string, visibleAt: number): World {
  const isThere = world.queue.some((one) => one.kind === 'due' && one.organization === organization && one.visibleAt <= visibleAt);
  return isThere ? world : { ...world, queue: [...world.queue, { kind: 'due', organization, visibleAt }] };
}

/** What the index of due work has. */
export const dueOf = (world: World, before: string) =>
  Object.values(world.items).flatMap((item) => {
    const { due_at, work_due_at, priority = 'single' } = dueOfItem(item);
    const about = { organization_id: item.organization_id, offboarding_id: 'organization', work_due_at, priority };
    return due_at !== undefined && due_at <= before ? [{ ...about, due_at }] : [];
  });

/** What only those can tell who look at the order of events and records. */
const VISIBLE_WHEN_PAUSED = ['publish', 'writeRecord', 'readRecord'];

/** Whether nobody else can tell when an effect happens: it is performed at once, and is no step of its own. */
export function isInvisible(world: World, effect: Effect): boolean {
  if (effect.do === 'all') return false;
  const name = effect.do;
  if (has(world, 'paused') && VISIBLE_WHEN_PAUSED.includes(name)) return false;
  if (name === 'publish') return !has(world, 'bus away');
  if (name === 'sendDue') return !has(world, 'queue away');
  return ['scheduleRemoval', 'sendDeadLetter', 'pause', 'markNoticed', 'readDue', 'readRecord', 'writeRecord', 'listGrants'].includes(name);
}

export type { Result };
