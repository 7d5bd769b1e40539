import type { Stage } from '../../lib/offboarding/model/stage.ts';
import { STAGE, statusOfBatch, statusOfCancel, statusOfCancelBatch, statusOfPost } from './programs.ts';
import { type Answer, emptyStory, withAccepted, withCancelled, withStory } from './story.ts';
import {
  type Connection,
  type Fault,
  HOUR_MS,
  ORG,
  OTHER_ORG,
  type Process,
  type Request,
  START,
  type World,
} from './world.ts';

/** Something that somebody does, in the order of the script and at any moment. */
export interface Action {
  label: string;
  /** What it asks for. */
  requests?: Request[];
  /** Who has changed something, as a notification says. */
  by?: string | undefined;
  apply: (world: World, stage: Stage) => World;
  after?: ((world: World) => boolean) | undefined;
}

export interface Scenario {
  name: string;
  world: World;
  script: Action[];
  /** So many workers at a time. */
  workers: number;
  /** How far ahead the clocks of some are, milliseconds. */
  skews: Record<string, number>;
  /** How long a visit has, milliseconds, and how often it tries again. */
  visitMs?: number;
  retries?: number;
  /** No message reaches a worker before everybody has done what the script says. */
  isPatient?: boolean;
  /** When the world ends (Unix ms), and further moments at which time stops. */
  until: number;
  times: number[];
  stage: Stage;
  /** The connections at the beginning. */
  connections: Record<string, Connection[]>;
  grants: string[];
  /** What the script asks for, by the id of the offboarding; two where one key comes with another body. */
  requests: Record<string, Request[]>;
  /** Auth0 refuses something for good in this world, whatever else happens. */
  mayFail: boolean;
}

export const ONE: Connection[] = [{ id: 'con_1', isEnabled: true, level: 'none' }];
export const LIMITED: Connection[] = [{ id: 'con_2', isEnabled: true, level: 'limited' }];
export const TWO: Connection[] = [...ONE, ...LIMITED];

export type Options = Partial<Omit<Scenario, 'connections' | 'stage' | 'requests'>> & {
  faults?: Partial<Record<Fault, number>>;
  /** One of these faults may happen, once. */
  oneOf?: Fault[];
  connections?: Connection[];
  other?: Connection[];
  members?: string[];
  stage?: Partial<Stage>;
  isUnknown?: boolean;
  /** The world ends after this, milliseconds. */
  lasts?: number;
};

export function scenario(name: string, script: Action[], options: Options = {}): Scenario {
  const {
    oneOf,
    faults = Object.fromEntries((oneOf ?? []).map((fault) => [fault, 1])),
    connections: two = ONE,
    other = [],
    grants = [],
    members = [],
    stage,
    isUnknown,
    lasts = 3 * HOUR_MS,
    ...rest
  } = options;
  const connections = { ...(!isUnknown && { [ORG]: two }), ...(other.length > 0 && { [OTHER_ORG]: other }) };
  const world: World = {
    ...{
      now: START,
      items: {},
      dues: {},
      notices: {},
      records: {},
      batches: {},
      connections,
      grants: { [ORG]: grants },
      late: [],
      queue: [],
      processes: [],
    },
    ...{ members, faults, isOneFault: oneOf && true, met: [], serial: 0, script: 0, story: emptyStory() },
  };
  const mayFail = isUnknown === true;
  const about = { workers: 1, skews: {}, times: [], until: START + lasts, stage: { ...STAGE, ...stage }, mayFail };
  const requests = requestsOf(script);
  return { name, world, script, connections, grants, requests, ...about, ...rest };
}

/** A world in which one of these faults happens, once. One who stands still has a world of its own: everybody sees each of its steps. */
export const withOneOf = (faults: Fault[], name: string, script: Action[], options: Options = {}): Scenario[] =>
  [faults.filter((fault) => fault !== 'paused'), faults.filter((fault) => fault === 'paused')]
    .filter(([first]) => first)
    .map((oneOf) => scenario(`${name}; ${oneOf.length > 1 ? 'one fault' : oneOf[0]}`, script, { ...options, oneOf }));

function requestsOf(script: Action[]): Scenario['requests'] {
  const requests: Scenario['requests'] = {};
  for (const one of script.flatMap((action) => action.requests ?? []))
    requests[one.id] = [...(requests[one.id] ?? []), one];
  return requests;
}

/** The stage as it is now. */
export const stageOf = ({ isSessionsOff }: World, { stage }: Scenario): Stage => ({
  ...stage,
  canEndSessions: stage.canEndSessions && !isSessionsOff,
});

/** What a caller was told. */
export function answered(world: World, { about }: Process, end: unknown): World {
  if (!about) return world;
  const { kind, requests, before, told = 0 } = about;
  if (kind === 'check')
    return withStory(world, { checks: world.story.checks + ((end as { is: string }).is === 'requested' ? 1 : 0) });
  const status = STATUS_OF[kind](end);
  const answer: Answer = { kind, requests, before, told, status, end: end as Answer['end'] };
  const next = withStory(world, { answer });
  if (kind === 'cancel' || kind === 'cancel batch') return withCancelled(next, status, before, kind === 'cancel batch');
  if (status === 202) return requests.reduce((all, one) => withAccepted(all, one, { after: before }), next);
  if (status === 504)
    return requests.reduce((all, one) => withAccepted(all, one, { after: before, isMaybe: true }), next);
  return withStory(next, { rejected: [...world.story.rejected, ...requests.map(({ id }) => id)] });
}

const STATUS_OF = {
  post: statusOfPost,
  batch: statusOfBatch,
  cancel: statusOfCancel,
  'cancel batch': statusOfCancelBatch,
};
