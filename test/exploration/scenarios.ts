import {
  batchProgram,
  cancelBatchProgram,
  cancelProgram,
  checkProgram,
  type Program,
  postProgram,
  type Request,
  statusOfBatch,
  statusOfCancel,
  statusOfCancelBatch,
  statusOfPost,
} from './programs.ts';
import {
  type About,
  type Connection,
  emptyStory,
  type Fault,
  ORG,
  OTHER_ORG,
  type Process,
  START,
  type World,
  withChange,
  withStory,
} from './world.ts';

/** Something that somebody does, in the order of the script and at any moment. */
export interface Action {
  label: string;
  apply: (world: World) => World;
  after?: (world: World) => boolean;
}

export interface Scenario {
  name: string;
  world: World;
  script: Action[];
  /** So many workers at a time. */
  workers: number;
  /** How far ahead the clocks of some are, milliseconds. */
  skews?: Record<string, number>;
  until: number;
  times?: number[];
  connections: Record<string, Connection[]>;
  /** Auth0 refuses something in this world. */
  mayFail?: boolean;
  isUncovered?: (world: World) => boolean;
  /** What the answer of a request over HTTP means for the story. */
  answered: (world: World, process: Process, end: unknown) => World;
}

const HOUR_MS = 3_600_000;
export const TWO: Connection[] = [
  { id: 'con_1', isEnabled: true, level: 'none' },
  { id: 'con_2', isEnabled: true, level: 'limited' },
];

type Options = Partial<Scenario> & {
  faults?: Partial<Record<Fault, number>>;
  two?: Connection[];
  other?: Connection[];
  grants?: string[];
};

export function scenario(name: string, script: Action[], options: Options = {}): Scenario {
  const { faults = {}, two = TWO, other = [], grants = [], ...rest } = options;
  const connections = { [ORG]: two, ...(other.length > 0 && { [OTHER_ORG]: other }) };
  const world: World = {
    ...{
      now: START,
      items: {},
      records: {},
      batches: {},
      connections,
      grants: { [ORG]: grants },
      late: [],
      queue: [],
      processes: [],
    },
    ...{ faults, serial: 0, script: 0, story: emptyStory() },
  };
  return { name, world, script, workers: 2, until: START + 3 * HOUR_MS, connections, answered, ...rest };
}

/** What a caller was told. */
function answered(world: World, { about }: Process, end: unknown): World {
  if (!about || about.kind === 'check') return world;
  const { kind, requests, before } = about;
  if (kind === 'cancel' || kind === 'cancel batch') {
    const status = kind === 'cancel' ? statusOfCancel(end) : statusOfCancelBatch(end);
    return withStory(world, {
      cancelled: [
        ...world.story.cancelled,
        { organization: ORG, status, before, begun: world.story.begun, order: world.story.order },
      ],
    });
  }
  const status = kind === 'post' ? statusOfPost(end) : statusOfBatch(end);
  if (status === 202) return requests.reduce(withAccepted, world);
  const rejected = status === 504 ? [] : requests.map(({ id }) => id);
  return withStory(world, { rejected: [...world.story.rejected, ...rejected] });
}

function withAccepted(world: World, { id, action, organization, options = {} }: Request): World {
  const { ids, dry_run } = options;
  const one = {
    organization,
    action,
    ...(ids && { ids }),
    ...(dry_run && { isDryRun: true }),
    order: world.story.order,
  };
  return withStory(world, { accepted: { ...world.story.accepted, [id]: one } });
}

/** A caller who got no answer knows nothing: what it asked for may be carried out, or not. */
export function unansweredOf(world: World, { about: known }: Process): World {
  if (known?.kind !== 'post' && known?.kind !== 'batch')
    return withStory(world, {
      cancelled:
        known?.kind === 'cancel'
          ? [
              ...world.story.cancelled,
              {
                organization: ORG,
                status: 0,
                before: known.before,
                begun: world.story.begun,
                order: world.story.order,
              },
            ]
          : world.story.cancelled,
    });
  const maybe = known.requests.filter(({ id }) => !world.story.accepted[id]);
  const next = maybe.reduce(withAccepted, world);
  const accepted = Object.fromEntries(
    maybe.map(({ id }) => [id, { ...(next.story.accepted[id] as World['story']['accepted'][string]), isMaybe: true }]),
  );
  return withStory(next, { accepted: { ...next.story.accepted, ...accepted } });
}

function starts(
  world: World,
  name: string,
  about: About,
  program: (nonce: string, now: number) => Program,
  skew = 0,
): World {
  const process = {
    name,
    about,
    nonce: name,
    skew,
    elapsed: 0,
    startedAt: world.now,
    program: program(name, world.now + skew),
  };
  const begun = [...new Set([...world.story.begun, ...about.requests.map(({ id }) => id)])];
  return { ...world, story: { ...world.story, begun }, processes: [...world.processes, process] };
}

/** `POST …/offboarding`; `again` repeats it with the same key. */
export function post(
  id: string,
  action: string,
  options: Request['options'] & { key?: string; skew?: number; as?: string } = {},
): Action {
  const { key, skew, as = id, ...rest } = options;
  const request: Request = { id, action, organization: ORG, options: rest };
  const name = `http post ${as}`;
  const apply = (world: World) => {
    const about: About = { kind: 'post', requests: [request], before: [] };
    return starts(world, name, about, (nonce, now) => postProgram(request, nonce, now, key !== undefined), skew);
  };
  return { label: `POST ${as} ${action}`, apply };
}

export function batch(
  id: string,
  action: string,
  options: { key?: string; as?: string; organizations?: string[] } = {},
): Action {
  const { as = id, key, organizations = [ORG, OTHER_ORG] } = options;
  const requests = organizations.map((organization) => ({ id: `${id} ${organization}`, action, organization }));
  const name = `http batch ${as}`;
  const apply = (world: World) => {
    const about: About = { kind: 'batch', requests, before: [] };
    return starts(world, name, about, (nonce, now) => batchProgram(id, requests, nonce, now, key !== undefined));
  };
  return { label: `POST batch ${as} ${action}`, apply };
}

/** An event that a publisher puts; `early` is how long before now its time is, milliseconds. */
export function event(id: string, action: string, options: { early?: number; options?: object } = {}): Action {
  const apply = (world: World) => {
    const time = Math.floor((world.now - (options.early ?? 0)) / 1000) * 1000;
    const message = {
      kind: 'request' as const,
      organization: ORG,
      event: { id, time, action, ...(options.options && { options: options.options }) },
      visibleAt: world.now,
    };
    const put = { ...world, queue: [...world.queue, message] };
    return withAccepted(put, { id, action, organization: ORG, options: options.options ?? {} });
  };
  return { label: `event ${id} ${action}`, apply };
}

export function cancel(as = 'C', options: { skew?: number; after?: Action['after'] } = {}): Action {
  const name = `http cancel ${as}`;
  const apply = (world: World) => {
    const about: About = { kind: 'cancel', requests: [], before: Object.keys(world.story.accepted) };
    return starts(world, name, about, (nonce, now) => cancelProgram(ORG, nonce, now), options.skew);
  };
  return { label: `DELETE ${as}`, apply, ...(options.after && { after: options.after }) };
}

export function cancelBatch(id: string): Action {
  const name = `http cancel batch ${id}`;
  const apply = (world: World) => {
    const about: About = {
      kind: 'cancel batch',
      requests: [],
      before: Object.keys(world.story.accepted).filter((one) => one.startsWith(id)),
    };
    return starts(world, name, about, (nonce, now) => cancelBatchProgram(id, nonce, now));
  };
  return { label: `DELETE batch ${id}`, apply };
}

export function cancelByEvent(id = 'CE', early = 0): Action {
  const apply = (world: World) => {
    const time = Math.floor((world.now - early) / 1000) * 1000;
    const before = Object.entries(world.story.accepted).map(([known]) => known);
    const put = {
      ...world,
      queue: [
        ...world.queue,
        { kind: 'cancellation' as const, organization: ORG, event: { id, time }, visibleAt: world.now },
      ],
    };
    return withStory(put, {
      cancelled: [
        ...put.story.cancelled,
        { organization: ORG, status: 202, before, begun: put.story.begun, order: put.story.order },
      ],
    });
  };
  return { label: `cancellation event ${id}`, apply };
}

/** Auth0 says that a connection was changed. */
export function notification(as = 'N'): Action {
  const name = `http check ${as}`;
  const apply = (world: World) => {
    const about: About = { kind: 'check', requests: [], before: [] };
    return starts(world, name, about, (nonce, now) => checkProgram(ORG, nonce, now));
  };
  return { label: `notification ${as}`, apply };
}

/** Somebody enables a connection by hand. */
export const enableByHand = (id: string, after?: Action['after']): Action => ({
  label: `somebody enables ${id}`,
  ...(after && { after }),
  apply: (world) => {
    const changed = withChange(world, { organization: ORG, kind: 'connection', id, goal: 'enabled', level: undefined });
    return withStory(
      { ...changed, story: { ...changed.story, changes: [] } },
      { touched: [...world.story.touched, id] },
    );
  },
});

export const hasStatus =
  (id: string, ...statuses: string[]) =>
  (world: World) =>
    statuses.includes(
      world.items[ORG]?.requests.find(({ offboarding_id }) => offboarding_id === id)?.status ??
        world.records[id]?.status ??
        '',
    );
