import type { Process, Request, World } from './world.ts';

// What happened that the oracle asks about: what callers did and were answered, what Auth0 carried out, and what was published.

export interface Accepted {
  organization: string;
  action: string;
  ids?: string[] | undefined;
  isDryRun?: boolean | undefined;
  endsSessions?: boolean | undefined;
  endsMachines?: boolean | undefined;
  disablesAgain?: boolean | undefined;
  /** An event: its time (Unix ms). */
  time?: number | undefined;
  /** Nobody answered: it may count. */
  isMaybe?: boolean | undefined;
  /** When it was made, and what had been accepted then. */
  at: number;
  after: string[];
}

/** What an event shows of an offboarding: what its record shows, and more. */
export type Detail = Partial<World['records'][string]> & Record<string, unknown>;

/** What a caller was told, as the core has it. */
export interface Answer {
  kind: 'post' | 'batch' | 'cancel' | 'cancel batch';
  requests: Request[];
  before: string[];
  told: number;
  status: number;
  end: {
    is: string;
    status?: string;
    isReplayed?: boolean;
    accepted?: number;
    cancelling?: number;
    not_pending?: number;
    records?: World['records'][string][];
  };
}

export interface Story {
  /** Requests that were answered 202, or whose event was put, by the id of the offboarding. */
  accepted: Record<string, Accepted>;
  /** Requests that were answered with an error: nothing of them may ever be carried out. */
  rejected: string[];
  /** Requests that somebody began to make, answered or not. */
  begun: string[];
  /** Cancellations that were answered, 0 where the answer was lost: with what had been accepted before, and what had begun. */
  cancelled: { organization: string; status: number; before: string[]; begun: string[]; isBatch?: true }[];
  /** Changes at Auth0 in the last step: by whom, and who had the lease. */
  changes: {
    organization: string;
    kind: string;
    id: string;
    goal: string;
    by: string;
    holder: string | undefined;
    at: number;
  }[];
  /** What was published in the last step, as it went out, and what a caller was told in it. */
  published: { event: string; detail: Detail }[];
  answer?: Answer | undefined;
  /** Events in their order, with what they are about and who published them. */
  events: { event: string; id: string; about: string[]; by: string }[];
  /** Offboardings with a dead letter. */
  letters: string[];
  /** Notifications that led to a drift check. */
  checks: number;
  /** Connections that somebody else has enabled, and when; `isOver`: they were disabled again. */
  touched: { id: string; at: number; isOver?: boolean }[];
  /** Members whose sessions were ended, and how many of them after a cancellation was answered. */
  ended: string[];
  endedAfter: number;
  /** What the dispatcher reported that has ended in the last step, and the world when it began. */
  dispatched?:
    | { reported: { sent: number; checks: number; late: number; oldest: number; isWhole: boolean }; since: World }
    | undefined;
}

export const emptyStory = (): Story => ({
  published: [],
  ...{ accepted: {}, begun: [], rejected: [], cancelled: [], changes: [], events: [], letters: [], touched: [] },
  ...{ ended: [], endedAfter: 0, checks: 0 },
});

/** The world before the next step: what happened in the last one is looked at. */
export function lookedAt(world: World): World {
  const { changes, published, answer, dispatched } = world.story;
  const isQuiet = changes.length === 0 && published.length === 0 && !answer && !dispatched;
  return isQuiet ? world : withStory(world, NOTHING_NEW);
}

const NOTHING_NEW = { changes: [], published: [], answer: undefined, dispatched: undefined };

export const withStory = (world: World, change: Partial<Story>): World => ({
  ...world,
  story: { ...world.story, ...change },
});

/** A request that counts from now on. */
export function withAccepted(world: World, request: Request, more: Partial<Accepted> = {}): World {
  const { id, action, organization, options = {} } = request;
  const known = world.story.accepted[id];
  if (known && !known.isMaybe) return world;
  const { ids, dry_run, sessions, machines, on_reenable } = options;
  const what = {
    ...{ organization, action, ids, isDryRun: dry_run, endsSessions: sessions, endsMachines: machines },
    ...{ disablesAgain: on_reenable === 'disable_again' || undefined, at: world.now, after: [] as string[] },
  };
  return withStory(world, { accepted: { ...world.story.accepted, [id]: { ...what, ...more } } });
}

/** A caller who got no answer knows nothing: what it asked for may be carried out, or not. */
export function unanswered(world: World, { about }: Process): World {
  if (!about || about.kind === 'check') return world;
  const { requests, before } = about;
  if (about.kind === 'cancel' || about.kind === 'cancel batch')
    return withCancelled(world, 0, before, about.kind === 'cancel batch');
  return requests
    .filter(({ id }) => !world.story.accepted[id])
    .reduce((next, one) => withAccepted(next, one, { after: before, isMaybe: true }), world);
}

export function withCancelled(world: World, status: number, before: string[], isBatch = false): World {
  const { cancelled, begun } = world.story;
  const answer = { organization: 'org_A', status, before, begun, ...(isBatch && { isBatch: true as const }) };
  return withStory(world, { cancelled: [...cancelled, answer] });
}
