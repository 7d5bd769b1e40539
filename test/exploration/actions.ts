import type { Stage } from '../../lib/offboarding/model/stage.ts';
import { type By, batchProgram, cancelBatchProgram, cancelProgram, type Program, postProgram } from './programs.ts';
import type { Action } from './scenarios.ts';
import { type Accepted, withAccepted, withCancelled, withStory } from './story.ts';
import { type About, type EventKind, ORG, OTHER_ORG, type Request, type RequestOptions, type World } from './world.ts';

// What people, publishers and Auth0 do in a world.

interface Start {
  name: string;
  about: About;
  skew?: number | undefined;
  program: (by: By) => Program;
}

/** A request over HTTP begins. */
export function starts(world: World, stage: Stage, { name, about, skew = 0, program }: Start): World {
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
  return { label: `POST ${as} ${action}`, requests: [request], apply, after };
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
    batch: id,
  }));
  const apply = (world: World, stage: Stage) => {
    const about: About = { kind: 'batch', requests, before: acceptedIn(world) };
    return starts(world, stage, {
      name: `http batch ${as}`,
      about,
      program: (by) => batchProgram(id, requests, by, key),
    });
  };
  return { label: `POST batch ${as} ${action}`, requests, apply, after };
}

const wholeSeconds = (ms: number) => Math.floor(ms / 1000) * 1000;

/** An event that a publisher puts, and that may reach the worker at any time; `early` is how long before now its time is, milliseconds. */
export function event(
  id: string,
  action: string,
  { early = 0, after, kind, ...options }: RequestOptions & More & { early?: number; kind?: EventKind } = {},
): Action {
  const request: Request = { id, action, organization: ORG, options };
  const apply = (world: World) => {
    const time = wholeSeconds(world.now - early);
    const message = {
      kind: 'request' as const,
      organization: ORG,
      event: { id, time, action, options, kind },
      visibleAt: world.now,
    };
    const put = withStory({ ...world, queue: [...world.queue, message] }, { begun: [...world.story.begun, id].sort() });
    // What is put again, or says that it is the service's own, asks for nothing new.
    if (kind) return put;
    return withAccepted(put, request, { time, after: acceptedIn(world) });
  };
  return { label: `event ${id} ${action}`, requests: [request], apply, after };
}

/** `DELETE …/offboarding`. It covers what had been accepted, and events of an earlier second. */
export function cancel(as = 'C', { skew, after }: More = {}): Action {
  const apply = (world: World, stage: Stage) => {
    const { accepted } = world.story;
    const isBefore = ({ organization, time = 0 }: Accepted) => organization === ORG && time < wholeSeconds(world.now);
    const before = Object.entries(accepted).flatMap(([id, one]) => (isBefore(one) ? [id] : []));
    const about: About = { kind: 'cancel', requests: [], before, told: world.story.cancelled.length };
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

export const hasStatus =
  (id: string, ...statuses: string[]) =>
  (world: World) =>
    statuses.includes(
      world.items[ORG]?.requests.find(({ offboarding_id }) => offboarding_id === id)?.status ??
        world.records[id]?.status ??
        '',
    );
