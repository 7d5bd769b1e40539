// A small world around the rules: one organization with its item, its records and its connections in Auth0, requests and
// cancellings on their way, one worker at a time, and everything that goes wrong between two steps. What decides is the real
// thing; what acts is a model of work.ts, organization.ts, submission.ts and acceptance.ts, condition for condition. A state is
// a plain object that is never changed; `stepsOf` (steps.ts) gives all that may happen next.
import type { OrganizationConnection } from '../../../lib/auth0/management-api.ts';
import type { Goal, Step } from '../../../lib/offboarding/connections.ts';
import type { Cancellation, Offboarding, Organization } from '../../../lib/offboarding/offboarding.ts';
import type { dueOf } from '../../../lib/offboarding/rules.ts';

/** A request: by event, which may arrive late, or over HTTP, with a key (then it may be repeated) or without. */
export interface Ask {
  action: Offboarding['action'];
  by: 'event' | 'http' | 'key';
  on?: string[];
  grace?: string;
  /** It has arrived when the exploring begins: how it arrives is explored elsewhere. */
  ready?: true;
  /** In the same second as what was before it. */
  quick?: true;
  batch?: true | undefined;
  dry?: true;
  again?: true;
}
/** What may go wrong, each so often: the rest of a scenario is explored whole. */
export type Disturbance = 'kill' | 'unknown' | 'outage' | 'refusal' | 'hand' | 'added' | 'look' | 'old' | 'repeat';
export interface Scenario {
  asks: Ask[];
  /** Of all, over HTTP or by event; or of one request, as the cancelling of its batch. */
  cancels?: ('http' | 'event' | number)[];
  left?: Partial<Record<Disturbance, number>>;
  /** In place of the rule: what the search has to see. */
  dueOf?: typeof dueOf;
}

export interface Cancelling {
  is: 'new' | 'sent' | 'read' | 'accepted' | 'refused';
  at?: string;
  ids?: string[];
  pending?: string[];
  /** What one offboarding was read as, or the version that the organization was read at. */
  wasPending?: boolean | undefined;
  version?: string | undefined;
  answer?: string;
  /** What it covers, as its caller understands it. */
  covered?: string[];
}

export interface Worker {
  /** Which cancelling it carries out and nothing else. */
  cancels?: number | undefined;
  lease: Organization;
  abandoned: boolean;
  records: Offboarding[];
  listed?: OrganizationConnection[] | undefined;
  postponed: string[];
  transient: boolean;
  unknown: boolean;
  /** The organization with what a look has learned, which is not written yet. */
  looked: Organization;
  about?: string | undefined;
  /** Written, and about to be asked of Auth0. */
  call?: Extract<Step, { do: 'call' }> | undefined;
}

export interface World {
  scenario: Scenario;
  now: number;
  organization: Organization | undefined;
  records: Record<string, Offboarding>;
  writes: number;
  /** Whether each connection is enabled. */
  auth0: Record<string, boolean>;
  /** A call whose answer is lost and that Auth0 may still carry out, until the lease has run out. */
  late?: { goal: Goal; connection: string; by: string } | undefined;
  /** How far each request is, and whether the process that brings it there has ended. */
  asks: { is: 'new' | 'asked' | 'created' | 'admitted' | 'accepted' | 'told'; at?: string; stopped?: boolean }[];
  cancels: Cancelling[];
  worker?: Worker | undefined;
  left: Partial<Record<Disturbance, number>>;
  // What an onlooker has seen, for the oracle.
  /** The outcomes of each request, without repetitions. */
  told: Record<string, string[]>;
  /** Who changed each connection last, and which ones somebody has touched by hand. */
  last: Record<string, string>;
  touched: string[];
  /** What Auth0 definitely refused, as long as nobody was asked again: request and connection. */
  refused: string[];
  /** What was over when a cancelling of it was accepted. */
  overBefore: string[];
  broken?: string | undefined;
}
export type Next = [what: string, world: World];

export const SECOND = 1000;
export const DAY = 86_400_000;
const START = Date.parse('2026-01-01T00:00:00Z');
export const iso = (ms: number) => new Date(ms).toISOString();
export const idOf = (ask: number) => `r${ask}`;
export const askOf = (world: World, id: string): Ask => world.scenario.asks[Number(id.slice(1))] as Ask;

export const worldOf = (scenario: Scenario): World => ({
  scenario,
  now: START,
  organization: undefined,
  records: {},
  writes: 0,
  auth0: { A: true, B: true },
  asks: scenario.asks.map(() => ({ is: 'new' })),
  cancels: (scenario.cancels ?? []).map(() => ({ is: 'new' })),
  left: { ...scenario.left },
  ...{ told: {}, last: {}, touched: [], refused: [], overBefore: [] },
});

export const breaks = (world: World, what: string): void => {
  world.broken ??= what;
};

export function spend(world: World, what: Disturbance): World | undefined {
  const left = world.left[what] ?? 0;
  return left > 0 ? { ...world, left: { ...world.left, [what]: left - 1 } } : undefined;
}
/** The worker is gone without a word; what it knew alone nobody knows. */
export function kill(world: World): World | undefined {
  const killed = spend(world, 'kill');
  return killed && { ...killed, worker: undefined, refused: [] };
}

// The table, as record.ts and organization.ts write it.

export function put(world: World, record: Offboarding, isNew = false): Offboarding | undefined {
  const current = world.records[record.offboarding_id];
  if (isNew ? current : current?.version !== record.version) return undefined;
  world.writes += 1;
  const next = { ...record, version: `v${world.writes}v` };
  world.records = { ...world.records, [record.offboarding_id]: next };
  return next;
}

export const organizationOf = ({ organization }: World): Organization =>
  organization ?? { organization_id: 'org', version: '', open: [] };
export const change = (world: World, changes: Partial<Organization>): void => {
  world.writes += 1;
  world.organization = { ...organizationOf(world), ...changes, version: `v${world.writes}v` };
};
const due = ({ due_at = '~' }: Organization, at: string): Partial<Organization> =>
  due_at <= at ? {} : { due_at: at, priority: 'single' };

export function admit(world: World, { offboarding_id, accept_by, batch_id }: Offboarding): void {
  const current = organizationOf(world);
  const at = accept_by ?? iso(world.now + (batch_id ? 3_600_000 : 0));
  change(world, { open: [...new Set([...current.open, offboarding_id])].sort(), ...due(current, at) });
}

/** Of all only upon the version that was read; of one whatever there is, unless it was pending and is over by now. */
export function acceptCancellation(world: World, cancellation: Cancellation, known: Cancelling): boolean {
  const current = organizationOf(world);
  const { removing, cancelled_ones = [], open } = current;
  const { ids, only, at } = cancellation;
  const [id = ''] = ids;
  const isLate = removing?.offboarding_id === id || (known.wasPending && !open.includes(id));
  if (only ? isLate : current.version !== known.version) return false;
  const what = only ? { cancelled_ones: [...cancelled_ones, cancellation] } : { cancelled: cancellation };
  change(world, { ...what, ...due(current, at) });
  return true;
}

/** Accepted: on record and on the bus, or with a key on record; an event once it is admitted. */
export function isAcceptedAsk(world: World, k: number): boolean {
  const { is } = world.asks[k] ?? { is: 'new' };
  if (world.scenario.asks[k]?.by === 'event') return is === 'admitted';
  return is === 'accepted' || (is === 'told' && world.scenario.asks[k]?.by === 'key');
}

/** What is covered by any cancelling that was accepted. */
export const coveredIn = ({ cancels }: World): string[] => cancels.flatMap(({ covered = [] }) => covered);

/** Asked for later: of two within one second the id decides. */
export const isLaterAsk = ({ asks }: World, j: number, k: number): boolean =>
  `${asks[j]?.at ?? ''} ${idOf(j)}` > `${asks[k]?.at ?? ''} ${idOf(k)}`;
