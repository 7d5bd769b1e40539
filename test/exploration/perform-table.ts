import { hash } from 'node:crypto';
import type { EffectOf, SingleEffect } from '../../lib/offboarding/model/effects.ts';
import type { Organization } from '../../lib/offboarding/model/organization.ts';
import { dueOf as dueOfItem } from '../../lib/offboarding/rules/due-work.ts';
import { memoryOf } from './interned.ts';
import { AWAY, failure, type Performed, type Performer, ways } from './ways.ts';
import type { World } from './world.ts';

// The table in the world: items, records, batches and the index of due work.

/** All ways in which an effect of the table may end; undefined where it is none of the table's. */
export function performOnTable(world: World, effect: SingleEffect, by: Performer): Performed[] | undefined {
  switch (effect.do) {
    case 'readOrganization':
      return reads(world, asSeenBy(world.items[effect.organization_id], by));
    case 'readBatch':
      return reads(world, world.batches[effect.batch_id]);
    case 'readRecord':
      return reads(world, world.records[effect.offboarding_id]);
    case 'writeOrganization':
      return writes(world, () => writeItem(world, effect, by), !by.isByContent);
    case 'writeBatch':
      return writes(world, () => writeBatch(world, effect));
    case 'writeRecord':
      return ways({ world: withRecord(world, effect) }, { 'refused write': () => ({ world, error: AWAY }) });
    case 'readDue':
      return [{ how: 'ok', world, value: { due: dueOf(world, effect.before), cursor: undefined } }];
    case 'markNoticed':
      return [{ how: 'ok', world: noticed(world, effect) }];
    default:
      return undefined;
  }
}

function writeBatch(world: World, { batch, expected }: EffectOf<'writeBatch'>): { world: World; value: boolean } {
  if (world.batches[batch.batch_id]?.version !== expected) return { world, value: false };
  return { world: { ...world, batches: { ...world.batches, [batch.batch_id]: asStored(batch) } }, value: true };
}

function withRecord(world: World, { record }: EffectOf<'writeRecord'>): World {
  const known = world.records[record.offboarding_id];
  const isNewer = !known || known.revision <= record.revision;
  return isNewer ? { ...world, records: { ...world.records, [record.offboarding_id]: asStored(record) } } : world;
}

function noticed(world: World, { organization_id, due_at, notice_at }: EffectOf<'markNoticed'>): World {
  const isStill = world.dues[organization_id]?.due_at === due_at;
  return isStill ? { ...world, notices: { ...world.notices, [organization_id]: notice_at } } : world;
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

/** What the table makes of an item, a record or a batch that an effect writes: the same effect may be performed in many worlds. */
const written = memoryOf<object>();
const asStored = <T extends object>(value: T): T => written(value, 'as stored', () => plain(value)) as T;

const reads = (world: World, value: unknown): Performed[] =>
  ways({ world, value }, { 'failed read': () => ({ world, error: AWAY }) });

/** A conditional write: it may be refused by a throttled table, or be carried out while its answer is lost. */
function writes(world: World, write: () => { world: World; value: boolean }, mayBeOvertaken = false): Performed[] {
  const done = write();
  return ways(done, {
    // What a visit has read may be some steps old; all others read and write in one step.
    ...(mayBeOvertaken && { overtaken: () => ({ world, value: false }) }),
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
    world: {
      ...world,
      notices,
      items: { ...world.items, [item.organization_id]: asWritten(item, known) },
      dues: { ...world.dues, [item.organization_id]: written(item, 'due', () => plain(dueOfItem(item))) },
    },
    value: true,
  };
}

/**
 * An item as a computation sees it that is compared by what it has read: what somebody else has written has a version by its
 * content, so that it is the same wherever the same was written.
 */
function asSeenBy(item: Organization | undefined, { isByContent, nonce }: Performer): Organization | undefined {
  return item && isByContent ? seen(item, nonce, () => viewOf(item, nonce)) : item;
}

const seen = memoryOf<Organization>();

function viewOf(item: Organization, nonce: string): Organization {
  const owner =
    item.lease && (item.lease.owner.startsWith(nonce) || item.lease.owner === 'nobody' ? item.lease.owner : 'other');
  const view = { ...item, revision: 0, ...(item.lease && { lease: { ...item.lease, owner: owner as string } }) };
  if (item.version?.startsWith(nonce)) return view;
  return {
    ...view,
    version: hash('md5', JSON.stringify({ ...view, version: 0 }), 'base64'),
  };
}

/** The same as it goes back into the table. */
function asWritten(item: Organization, known: Organization | undefined): Organization {
  const revision = (known?.revision ?? 0) + 1;
  const owner = (item.lease?.owner === 'other' ? known?.lease?.owner : item.lease?.owner) ?? 'gone';
  const next = () => plain({ ...item, revision, ...(item.lease && { lease: { ...item.lease, owner } }) });
  return written(item, `revision ${revision} of ${owner}`, next) as Organization;
}

/** What the index of due work has. */
function dueOf(world: World, before: string) {
  const organizations = Object.entries(world.dues).map(([organization_id, due]) => {
    const { due_at, work_due_at, priority = 'single' as const } = due;
    const notice_at = world.notices[organization_id];
    return {
      organization_id,
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
