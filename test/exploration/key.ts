import type { VisitState } from '../../lib/offboarding/worker/visit-state.ts';
import { namedBy } from './interned.ts';
import type { Process, World } from './world.ts';

/** What tells two worlds apart: everything but the names of versions, which are new with every write. */
export function keyOf(world: World): string {
  const {
    items,
    records,
    processes,
    previous,
    story,
    now,
    notices,
    late,
    queue,
    batches,
    connections,
    grants,
    faults,
    met,
    script,
    isSessionsOff,
  } = world;
  const isPreviousListed = previous && previous.until >= now && (faults['stale list'] ?? 0) > 0;
  return [
    ...[now, script, isSessionsOff, isPreviousListed ? partKey(previous) : 0, storyKey(story)],
    ...[faults, met, notices, late, queue, batches, connections, grants].map(partKey),
    Object.values(items).map((item) => `${itemKey(item)} ${item.lease && ownerOf(item.lease.owner, processes)}`),
    Object.values(records).map(
      (record) => `${recordKey(record)} ${record.revision - (items[record.organization_id]?.revision ?? 0)}`,
    ),
    // Two workers are alike.
    processes.map((process) => `${processKey(process)} ${isCurrent(process, world)}`).sort(),
  ].join(';');
}

function ownerOf(owner: string, processes: Process[]): string {
  if (owner === 'nobody') return owner;
  const isIts = ({ program }: Process) => program.is === 'visit' && program.state.input.nonce === owner;
  return processes.some(isIts) ? 'a worker' : owner.startsWith('visit') ? 'gone' : owner;
}

const keyed = <T extends object>(partsOf: (one: T) => unknown) => namedBy<T>((one) => JSON.stringify(partsOf(one)));

/** The parts that an object has, each by its name and a short text. */
const partsOf = (whole: object) =>
  Object.entries(whole).flatMap(([name, part]) =>
    part === undefined ? [] : [name, typeof part === 'object' && part !== null ? partKey(part) : part],
  );
const partKey = keyed<object>((part) => part);
const itemKey = keyed<World['items'][string]>((item) => ({
  ...item,
  version: 0,
  revision: 0,
  lease: item.lease?.until,
}));
const recordKey = keyed<World['records'][string]>((record) => ({ ...record, revision: 0 }));
function processKey({ name, skew, elapsed, isPaused, message, about, program }: Process): string {
  const own = [name.replace(/\d$/, ''), skew, elapsed, isPaused, message && partKey(message), about && partKey(about)];
  return [...own, program.is === 'core' ? program.id : visitKey(program.state)].join(' ');
}
const storyKey = namedBy<World['story']>(({ events, letters, ...story }) =>
  [...partsOf(story), sequencesKey(events), new Set(letters).size, ...new Set(letters)].join(),
);
const sequencesKey = keyed(sequencesOf);

/** The events of each offboarding in their order; one that is published twice in a row counts once. */
function sequencesOf(events: World['story']['events']): Record<string, string[]> {
  const sequences: Record<string, string[]> = {};
  for (const { event, id, about, by } of events) {
    const sequence = sequences[id] ?? [];
    sequences[id] = sequence;
    const published = `${event} ${event === 'drifted' ? about : ''} ${by}`;
    if (sequence.at(-1) !== published) sequence.push(published);
  }
  return sequences;
}

/** Whether what a visit holds is what the table has. */
function isCurrent({ program }: Process, { items }: World): boolean {
  return (
    program.is === 'visit' && program.state.stored?.version === items[program.state.input.organization_id]?.version
  );
}

/** A visit by its state, whatever its nonce and its versions are called. Most parts of a state are those of others, too. */
const visitKey = namedBy<VisitState>(({ stored, item, input, writes, ...state }) => {
  const same = (one: typeof item) =>
    `${itemKey(one)} ${one.version === stored.version} ${one.lease?.owner === input.nonce}`;
  return [
    ...partsOf(state),
    same(item),
    item === stored || same(stored),
    input.mode,
    input.deadline,
    writes > 25,
  ].join();
});
