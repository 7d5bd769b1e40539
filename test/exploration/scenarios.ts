import type { Stage } from '../../lib/offboarding/model/stage.ts';
import {
  type By,
  batchProgram,
  cancelBatchProgram,
  cancelProgram,
  checkProgram,
  type Program,
  postProgram,
  STAGE,
  statusOfBatch,
  statusOfCancel,
  statusOfCancelBatch,
  statusOfPost,
} from './programs.ts';
import { emptyStory, withAccepted, withCancelled, withStory } from './story.ts';
import {
  type About,
  type Connection,
  type Fault,
  HOUR_MS,
  ORG,
  OTHER_ORG,
  type Process,
  type Request,
  type RequestOptions,
  START,
  type World,
  withChange,
} from './world.ts';

/** Something that somebody does, in the order of the script and at any moment. */
export interface Action {
  label: string;
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
  /** When the world ends (Unix ms), and further moments at which time stops. */
  until: number;
  times: number[];
  stage: Stage;
  /** The connections at the beginning. */
  connections: Record<string, Connection[]>;
  grants: string[];
  /** Auth0 refuses something for good in this world. */
  mayFail: boolean;
}

export const ONE: Connection[] = [{ id: 'con_1', isEnabled: true, level: 'none' }];
export const LIMITED: Connection[] = [{ id: 'con_2', isEnabled: true, level: 'limited' }];
export const TWO: Connection[] = [...ONE, ...LIMITED];

export type Options = Partial<Omit<Scenario, 'connections' | 'stage'>> & {
  faults?: Partial<Record<Fault, number>>;
  connections?: Connection[];
  other?: Connection[];
  members?: string[];
  stage?: Partial<Stage>;
  isUnknown?: boolean;
  /** The world ends after this, milliseconds. */
  lasts?: number;
};

const REFUSALS: Fault[] = ['refused', 'conflict', 'refused list', 'rejected item'];

export function scenario(name: string, script: Action[], options: Options = {}): Scenario {
  const {
    faults = {},
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
      notices: {},
      records: {},
      batches: {},
      connections,
      grants: { [ORG]: grants },
      late: [],
      queue: [],
      processes: [],
    },
    ...{ members, faults, serial: 0, script: 0, story: emptyStory() },
  };
  const mayFail = isUnknown === true || REFUSALS.some((fault) => faults[fault]);
  const about = { workers: 1, skews: {}, times: [], until: START + lasts, stage: { ...STAGE, ...stage }, mayFail };
  return { name, world, script, connections, grants, ...about, ...rest };
}

/** The stage as it is now. */
export const stageOf = ({ isSessionsOff }: World, { stage }: Scenario): Stage => ({
  ...stage,
  canEndSessions: stage.canEndSessions && !isSessionsOff,
});

/** What a caller was told. */
export function answered(world: World, { about }: Process, end: unknown): World {
  if (!about) return world;
  if (about.kind === 'check')
    return withStory(world, { checks: world.story.checks + ((end as { is: string }).is === 'requested' ? 1 : 0) });
  const { kind, requests, before } = about;
  if (kind === 'cancel') return withCancelled(world, statusOfCancel(end), before);
  if (kind === 'cancel batch') return withCancelled(world, statusOfCancelBatch(end), before, true);
  const status = kind === 'post' ? statusOfPost(end) : statusOfBatch(end);
  if (status === 202) return requests.reduce((next, one) => withAccepted(next, one, { after: before }), world);
  if (status === 504)
    return requests.reduce((next, one) => withAccepted(next, one, { after: before, isMaybe: true }), world);
  return withStory(world, { rejected: [...world.story.rejected, ...requests.map(({ id }) => id)] });
}

interface Start {
  name: string;
  about: About;
  skew?: number | undefined;
  program: (by: By) => Program;
}

/** A request over HTTP begins. */
function starts(world: World, stage: Stage, { name, about, skew = 0, program }: Start): World {
  const process = {
    name,
    about,
    nonce: name,
    skew,
    elapsed: 0,
    program: program({ nonce: name, now: world.now + skew, stage }),
  };
  const begun = [...new Set([...world.story.begun, ...about.requests.map(({ id }) => id)])].sort();
  return { ...world, story: { ...world.story, begun }, processes: [...world.processes, process] };
}

const acceptedIn = (world: World) => Object.keys(world.story.accepted);

type More = { as?: string; key?: boolean; skew?: number; after?: Action['after'] };

/** `POST …/offboarding`; with a key it may be repeated under the name `as`. */
export function post(
  id: string,
  action: string,
  { as = id, key = false, skew, after, ...options }: RequestOptions & More = {},
): Action {
  const request: Request = { id, action, organization: ORG, options };
  const apply = (world: World, stage: Stage) => {
    const about: About = { kind: 'post', requests: [request], before: acceptedIn(world) };
    return starts(world, stage, {
      name: `http post ${as}`,
      about,
      skew,
      program: (by) => postProgram(request, by, key),
    });
  };
  return { label: `POST ${as} ${action}`, apply, after };
}

/** `POST /offboardings`. */
export function batch(
  id: string,
  action: string,
  options: RequestOptions & More & { organizations?: string[] } = {},
): Action {
  const { as = id, key = false, organizations = [ORG, OTHER_ORG], after, ...rest } = options;
  const requests = organizations.map((organization) => ({
    id: `${id} ${organization}`,
    action,
    organization,
    options: rest,
  }));
  const apply = (world: World, stage: Stage) => {
    const about: About = { kind: 'batch', requests, before: acceptedIn(world) };
    return starts(world, stage, {
      name: `http batch ${as}`,
      about,
      program: (by) => batchProgram(id, requests, by, key),
    });
  };
  return { label: `POST batch ${as} ${action}`, apply, after };
}

const wholeSeconds = (ms: number) => Math.floor(ms / 1000) * 1000;

/** An event that a publisher puts, and that may reach the worker at any time; `early` is how long before now its time is, milliseconds. */
export function event(
  id: string,
  action: string,
  { early = 0, after, ...options }: RequestOptions & More & { early?: number } = {},
): Action {
  const apply = (world: World) => {
    const time = wholeSeconds(world.now - early);
    const message = {
      kind: 'request' as const,
      organization: ORG,
      event: { id, time, action, options },
      visibleAt: world.now,
    };
    const put = withStory({ ...world, queue: [...world.queue, message] }, { begun: [...world.story.begun, id].sort() });
    return withAccepted(put, { id, action, organization: ORG, options }, { time, after: acceptedIn(world) });
  };
  return { label: `event ${id} ${action}`, apply, after };
}

/** `DELETE …/offboarding`. It covers what had been accepted, and events of an earlier second. */
export function cancel(as = 'C', { skew, after }: More = {}): Action {
  const apply = (world: World, stage: Stage) => {
    const { accepted } = world.story;
    const before = Object.keys(accepted).filter((id) => (accepted[id]?.time ?? 0) < wholeSeconds(world.now));
    const about: About = { kind: 'cancel', requests: [], before };
    return starts(world, stage, { name: `http cancel ${as}`, about, skew, program: (by) => cancelProgram(ORG, by) });
  };
  return { label: `DELETE ${as}`, apply, after };
}

export function cancelBatch(id: string, { as = id, after }: More = {}): Action {
  const apply = (world: World, stage: Stage) => {
    const before = acceptedIn(world).filter((one) => one.startsWith(`${id} `));
    const about: About = { kind: 'cancel batch', requests: [], before };
    return starts(world, stage, {
      name: `http cancel batch ${as}`,
      about,
      program: (by) => cancelBatchProgram(id, by),
    });
  };
  return { label: `DELETE batch ${as}`, apply, after };
}

/** A cancellation by event. Nobody waits for its answer: it is as good as 202, for what was requested in an earlier second. */
export function cancelByEvent(id = 'CE', { early = 0, after }: More & { early?: number } = {}): Action {
  const apply = (world: World) => {
    const time = wholeSeconds(world.now - early);
    const put = {
      ...world,
      queue: [
        ...world.queue,
        { kind: 'cancellation' as const, organization: ORG, event: { id, time }, visibleAt: world.now },
      ],
    };
    const { accepted } = world.story;
    const before = Object.keys(accepted).filter((one) => (accepted[one]?.time ?? accepted[one]?.at ?? 0) < time);
    return withCancelled(put, 202, before);
  };
  return { label: `cancellation event ${id}`, apply, after };
}

/** Auth0 says that a connection was changed. */
export function notification(as = 'N', { after }: More = {}): Action {
  const apply = (world: World, stage: Stage) => {
    const about: About = { kind: 'check', requests: [], before: [] };
    return starts(world, stage, { name: `http check ${as}`, about, program: (by) => checkProgram(ORG, by) });
  };
  return { label: `notification ${as}`, apply, after };
}

/** Somebody enables a connection by hand. */
export const enableByHand = (id: string, after?: Action['after']): Action => ({
  label: `somebody enables ${id}`,
  after: (world) => world.connections[ORG]?.some((one) => one.id === id) === true && after?.(world) !== false,
  apply: (world) => {
    const { story, ...changed } = withChange(world, {
      organization: ORG,
      kind: 'connection',
      id,
      goal: 'enabled',
      level: undefined,
    });
    return withStory(
      { ...changed, story: { ...story, changes: [] } },
      { touched: [...world.story.touched, { id, at: world.now }] },
    );
  },
});

export const switchSessionsOff = (after?: Action['after']): Action => ({
  label: 'the stage switches sessions off',
  after,
  apply: (world) => ({ ...world, isSessionsOff: true }),
});

export const hasStatus =
  (id: string, ...statuses: string[]) =>
  (world: World) =>
    statuses.includes(
      world.items[ORG]?.requests.find(({ offboarding_id }) => offboarding_id === id)?.status ??
        world.records[id]?.status ??
        '',
    );
