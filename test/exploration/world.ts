import type { Batch } from '../../lib/offboarding/model/batch.ts';
import type { Organization } from '../../lib/offboarding/model/organization.ts';
import type { OffboardingRecord } from '../../lib/offboarding/model/record.ts';
import type { Program, Request } from './programs.ts';

// The world in memory in which the deployed core is explored: the table, the tenant, the queue and the bus, as plain data. A step
// makes a new world; nothing is changed in place.

export const ORG = 'org_A';
export const OTHER_ORG = 'org_B';
/** When the world begins (Unix ms). */
export const START = Date.parse('2026-11-01T00:00:00Z');

/** Faults that a world has in store; each number says how often it may still happen. */
export type Fault =
  | 'crash'
  | 'paused'
  | 'overtaken'
  | 'lost answer'
  | 'refused write'
  | 'late write'
  | 'failed after'
  | 'not sent'
  | 'refused'
  | 'conflict'
  | 'stale list'
  | 'bus away'
  | 'queue away';

export interface Connection {
  id: string;
  isEnabled: boolean;
  level: string;
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

export interface Message {
  kind: 'due' | 'request' | 'cancellation';
  organization: string;
  /** Of a request or cancellation by event. */
  event?: { id: string; time: number; action?: string; options?: object };
  visibleAt: number;
}

export interface About {
  kind: 'post' | 'batch' | 'cancel' | 'cancel batch' | 'check';
  requests: Request[];
  /** Of a cancellation: what had been accepted before it. */
  before: string[];
}

export interface Process {
  name: string;
  /** What its versions and its lease begin with. */
  nonce: string;
  program: Program;
  /** Its clock against the world's, and what its pauses took, milliseconds. */
  skew: number;
  elapsed: number;
  startedAt: number;
  message?: Message | undefined;
  /** What a request over HTTP is about. */
  about?: About | undefined;
  isPaused?: boolean;
}

/** What happened that the oracle asks about. */
export interface Story {
  /** Offboardings whose requests were answered 202, or whose event was put, by id: when, what, and of whom. */
  accepted: Record<string, { organization: string; action: string; ids?: string[]; isDryRun?: boolean; isMaybe?: boolean; order: number }>;
  /** Requests that were answered with an error: nothing of them may ever be carried out. */
  rejected: string[];
  /** Requests that somebody began to make, answered or not. */
  begun: string[];
  /** Cancellations that were answered: with what had been accepted before, which they cover, and what had begun, which they may cover. */
  cancelled: { organization: string; status: number; before: string[]; begun: string[]; order: number }[];
  /** Changes at Auth0 in their order, with how many answers had been given before. */
  changes: { organization: string; id: string; goal: string; order: number }[];
  /** Events in their order. */
  events: { event: string; id: string }[];
  /** Connections that somebody else has enabled or disabled. */
  touched: string[];
  order: number;
}

export interface World {
  now: number;
  items: Record<string, Organization>;
  records: Record<string, OffboardingRecord>;
  batches: Record<string, Batch>;
  connections: Record<string, Connection[]>;
  grants: Record<string, string[]>;
  /** As it was before the last change, until a list must show that (Unix ms). */
  previous?: { connections: Record<string, Connection[]>; until: number } | undefined;
  late: LateChange[];
  queue: Message[];
  processes: Process[];
  faults: Partial<Record<Fault, number>>;
  /** How many visits have begun: each has a name of its own. */
  serial: number;
  /** How many actions of the script have happened. */
  script: number;
  story: Story;
}

export const emptyStory = (): Story => ({ accepted: {}, begun: [], rejected: [], cancelled: [], changes: [], events: [], touched: [], order: 0 });

/** The tenant with one connection changed, and a list that may still show it as it was. */
export function withChange(world: World, change: Omit<LateChange, 'until'>): World {
  const { organization, kind, id, goal, level } = change;
  const story = { ...world.story, changes: [...world.story.changes, { organization, id, goal, order: world.story.order }] };
  if (kind === 'client_grant') {
    const others = (world.grants[organization] ?? []).filter((one) => one !== id);
    const grants = goal === 'enabled' ? [...others, id].sort() : others;
    return { ...world, grants: { ...world.grants, [organization]: grants }, story };
  }
  const all = world.connections[organization] ?? [];
  const changed = (one: Connection) => ({ ...one, isEnabled: goal === 'enabled', level: level ?? one.level });
  const next = goal === 'removed' ? all.filter((one) => one.id !== id) : all.map((one) => (one.id === id ? changed(one) : one));
  const previous = { connections: world.connections, until: world.now + STALE_MS };
  return { ...world, connections: { ...world.connections, [organization]: next }, previous, story };
}

/** A list may be this old, milliseconds. */
const STALE_MS = 3000;

export const withStory = (world: World, change: Partial<Story>): World => ({
  ...world,
  story: { ...world.story, ...change, order: world.story.order + 1 },
});
