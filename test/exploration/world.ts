import type { Batch } from '../../lib/offboarding/model/batch.ts';
import type { Organization } from '../../lib/offboarding/model/organization.ts';
import type { OffboardingRecord } from '../../lib/offboarding/model/record.ts';
import type { Due } from '../../lib/offboarding/rules/due-work.ts';
import type { Program } from './programs.ts';
import type { Story } from './story.ts';

// The world in memory in which the deployed core is explored: the table, the tenant, the queues and the bus, as plain data. A step
// makes a new world; nothing is changed in place.

export const ORG = 'org_A';
export const OTHER_ORG = 'org_B';
/** When the world begins (Unix ms). */
export const START = Date.parse('2026-11-01T00:00:00Z');
export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;

/** Faults that a world has in store; each number says how often it may still happen. */
export type Fault =
  // A process ends in the middle, or stands still for as long as it likes.
  | 'crash'
  | 'paused'
  // Somebody else writes an item between a read of it and the write upon that read.
  | 'overtaken'
  // The table: a write whose answer is lost, a write that is refused, an item that it never takes, a read that fails.
  | 'lost answer'
  | 'refused write'
  | 'rejected item'
  | 'failed read'
  // A change at Auth0: it is carried out later, at once although it failed, or not at all.
  | 'late write'
  | 'failed after'
  | 'not sent'
  // A change that succeeded, after an attempt that Auth0 may still carry out.
  | 'repeated'
  | 'refused'
  | 'conflict'
  | 'limited'
  | 'slow'
  // A call of AWS or Auth0 whose answer comes late.
  | 'slow answer'
  // A list of Auth0's: as it was some seconds ago, or none.
  | 'stale list'
  | 'failed list'
  | 'refused list'
  | 'bus away'
  | 'queue away'
  | 'lost message';

export interface Connection {
  id: string;
  isEnabled: boolean;
  level: string;
  /** Further settings. */
  more?: Record<string, unknown>;
}

/** A change that Auth0 answered with an error, and may still carry out until `until` (Unix ms). */
export interface LateChange {
  organization: string;
  kind: 'connection' | 'client_grant';
  id: string;
  goal: string;
  level: string | undefined;
  until: number;
}

/** An event that is put again from the archive, or that says that it is the service's own. */
export type EventKind = 'replay' | 'own';

export interface Message {
  kind: 'due' | 'request' | 'cancellation' | 'sessions';
  organization: string;
  /** Of a request or cancellation by event. */
  event?: { id: string; time: number; action?: string; options?: object; kind?: EventKind | undefined };
  /** Of sessions that are due. */
  offboarding?: string;
  visibleAt: number;
}

/** A request that somebody makes, as far as its parameters differ. */
export interface Request {
  id: string;
  action: string;
  organization: string;
  options?: RequestOptions | undefined;
  batch?: string | undefined;
}
export interface RequestOptions {
  ids?: string[];
  dry_run?: boolean;
  machines?: boolean;
  sessions?: boolean;
  on_reenable?: string;
  grace?: string;
  requested_by?: string;
  reason?: string;
  body?: string;
  idempotency_key?: string;
}

/** What a request over HTTP is about. */
export interface About {
  kind: 'post' | 'batch' | 'cancel' | 'cancel batch' | 'check';
  requests: Request[];
  /** What had been accepted when it began. */
  before: string[];
  /** How many cancellations had been answered then. */
  told?: number;
}

export interface Process {
  name: string;
  /** What its versions and its lease begin with. */
  nonce: string;
  program: Program;
  /** Its clock against the world's, and what its pauses took, milliseconds. */
  skew: number;
  elapsed: number;
  message?: Message | undefined;
  about?: About | undefined;
  isPaused?: boolean;
  /** Of the dispatcher: the world when it began. */
  since?: World;
}

export interface World {
  now: number;
  items: Record<string, Organization>;
  /** What the index of due work has of each item. */
  dues: Record<string, Due>;
  /** Until when a message about an item is taken to be on its way (Unix ms): an attribute beside the item's state. */
  notices: Record<string, number>;
  records: Record<string, OffboardingRecord>;
  batches: Record<string, Batch>;
  connections: Record<string, Connection[]>;
  grants: Record<string, string[]>;
  /** As the connections were before the last change, until a list must show that (Unix ms). */
  previous?: { connections: Record<string, Connection[]>; until: number } | undefined;
  late: LateChange[];
  /** Members of the organizations; one whose name begins with `stubborn` fails always, one with `elsewhere` has another one. */
  members: string[];
  isSessionsOff?: boolean;
  queue: Message[];
  processes: Process[];
  faults: Partial<Record<Fault, number>>;
  /** Of all faults one alone may happen. */
  isOneFault?: boolean | undefined;
  /** What has happened of the faults that may leave something undone. */
  met: Fault[];
  /** How many visits have begun: each has a name of its own. */
  serial: number;
  /** How many actions of the script have happened. */
  script: number;
  story: Story;
}

/** A list may be this old, milliseconds. */
const STALE_MS = 3000;

type Change = Omit<LateChange, 'until'>;

/** The tenant with one connection or grant changed, and a list that may still show it as it was. */
export function withChange(world: World, change: Change, by = 'Auth0'): World {
  const { organization, kind, id, goal, level } = change;
  const made = { organization, kind, id, goal, by, holder: world.items[organization]?.lease?.owner, at: world.now };
  const touched = world.story.touched.map((one) =>
    one.id === id && goal === 'disabled' && !one.isOver ? { ...one, isOver: true } : one,
  );
  const story = { ...world.story, touched, changes: [...world.story.changes, made] };
  if (kind === 'client_grant') {
    const others = (world.grants[organization] ?? []).filter((one) => one !== id);
    const grants = goal === 'enabled' ? [...others, id].sort() : others;
    return { ...world, grants: { ...world.grants, [organization]: grants }, story };
  }
  const all = world.connections[organization] ?? [];
  const changed = (one: Connection) => ({ ...one, isEnabled: goal === 'enabled', level: level ?? one.level });
  const next =
    goal === 'removed' ? all.filter((one) => one.id !== id) : all.map((one) => (one.id === id ? changed(one) : one));
  const previous = { connections: world.connections, until: world.now + STALE_MS };
  return { ...world, connections: { ...world.connections, [organization]: next }, previous, story };
}

/** The queue with a due notice for the organization; two of them are one. */
export function withDue(world: World, organization: string, visibleAt: number): World {
  const isThere = world.queue.some(
    (one) => one.kind === 'due' && one.organization === organization && one.visibleAt <= visibleAt,
  );
  return isThere ? world : { ...world, queue: [...world.queue, { kind: 'due', organization, visibleAt }] };
}
