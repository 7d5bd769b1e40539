import { createHash } from 'node:crypto';
import type { Effect, Result, SingleEffect } from '../../lib/offboarding/model/effects.ts';
import { dueOf as dueOfItem } from '../../lib/offboarding/rules/due-work.ts';
import { CLOCKS_APART_MS } from '../../lib/offboarding/worker/visit.ts';
import type { VisitEnd } from '../../lib/offboarding/worker/visit-state.ts';
import { checkRest, checkStep } from './oracle.ts';
import { dueOf, isInvisible, performSingle, withDue } from './perform.ts';
import { dispatchProgram, endOf, eventProgram, forgetPrograms, pendingOf, proceed, workProgram } from './programs.ts';
import { type Action, type Scenario, unansweredOf } from './scenarios.ts';
import { type Message, type Process, withChange, type World } from './world.ts';

// Explores a world to its end, breadth first: every order of the steps of everybody, with every fault that it has in store. What is
// found wrong comes with the shortest way to it.

export interface Explored {
  name: string;
  states: number;
  /** How many states have nothing left that could happen. */
  ends: number;
  violation?: { what: string; path: string[] } | undefined;
  /** False where the limit was reached first. */
  isExhausted: boolean;
}

type Step = { label: string; world: World };

/** A worker that crashed has its message back after this, milliseconds. */
const VISIBILITY_MS = 360_000;

export function explore(scenario: Scenario, limit = Number.POSITIVE_INFINITY): Explored {
  forgetPrograms();
  const start = scenario.world;
  const seen = new Map<string, { parent: string | undefined; label: string }>();
  let frontier: [string, World][] = [[keyOf(start), start]];
  seen.set(keyOf(start), { parent: undefined, label: 'start' });
  let ends = 0;
  const pathTo = (key: string): string[] => {
    const path: string[] = [];
    for (let at: string | undefined = key; at; at = seen.get(at)?.parent) path.unshift(seen.get(at)?.label ?? '');
    return path;
  };
  while (frontier.length > 0) {
    const next: [string, World][] = [];
    for (const [key, world] of frontier) {
      const steps = stepsOf(world, scenario);
      if (steps.length === 0) {
        ends += 1;
        const what = checkRest(world, scenario);
        if (what) return { name: scenario.name, states: seen.size, ends, violation: { what, path: pathTo(key) }, isExhausted: true };
      }
      for (const step of steps) {
        const what = checkStep(world, step.world, scenario);
        if (what) return { name: scenario.name, states: seen.size, ends, violation: { what, path: [...pathTo(key), step.label] }, isExhausted: true };
        const reached = { ...step.world, story: { ...step.world.story, changes: [] } };
        const id = keyOf(reached);
        if (seen.has(id)) continue;
        seen.set(id, { parent: key, label: step.label });
        next.push([id, reached]);
      }
      if (seen.size > limit) return { name: scenario.name, states: seen.size, ends, isExhausted: false };
    }
    frontier = next;
  }
  return { name: scenario.name, states: seen.size, ends, isExhausted: true };
}

/** A message that waits comes back at the next full minute: queues may be late, and who finds a lease in force changes nothing. */
const laterBy = ({ now }: World, ms: number) => Math.ceil((now + Math.max(ms, 1)) / MINUTE_MS) * MINUTE_MS;
const MINUTE_MS = 60_000;

/** Everything that can happen next. */
function stepsOf(world: World, scenario: Scenario): Step[] {
  for (const [index, process] of world.processes.entries()) {
    if (process.isPaused) continue;
    const effect = pendingOf(process.program);
    if (!effect) return [finish(world, index, scenario)];
    if (isInvisible(world, effect)) return [...performAt(world, index, effect, scenario), ...crashes(world, index)];
  }
  const steps = world.processes.flatMap((process, index) => processSteps(world, process, index, scenario));
  const landing = world.late.map((change, index) => ({
    label: `Auth0 carries out ${change.goal} ${change.id} late`,
    world: withChange({ ...world, late: world.late.filter((_, place) => place !== index) }, change),
  }));
  return [...steps, ...landing, ...deliveries(world, scenario), ...scriptSteps(world, scenario), ...timeSteps(world, scenario)];
}

function processSteps(world: World, process: Process, index: number, scenario: Scenario): Step[] {
  if (process.isPaused) return [{ label: `${process.name} goes on`, world: withProcess(world, index, { ...process, isPaused: false }) }];
  const effect = pendingOf(process.program) as Effect;
  const steps = performAt(world, index, effect, scenario);
  const { paused = 0 } = world.faults;
  steps.push(...crashes(world, index));
  if (paused > 0 && process.name.startsWith('worker')) {
    const faults = { ...world.faults, paused: paused - 1 };
    steps.push({ label: `${process.name} is paused`, world: withProcess({ ...world, faults }, index, { ...process, isPaused: true }) });
  }
  return steps;
}

const withProcess = (world: World, index: number, process: Process): World => ({
  ...world,
  processes: world.processes.map((one, place) => (place === index ? process : one)),
});
const withoutProcess = (world: World, index: number): World => ({ ...world, processes: world.processes.filter((_, place) => place !== index) });

function crashes(world: World, index: number): Step[] {
  const { name } = world.processes[index] as Process;
  return (world.faults.crash ?? 0) > 0 && !name.startsWith('dispatch') ? [{ label: `${name} crashes`, world: crashed(world, index) }] : [];
}

function crashed(world: World, index: number): World {
  const process = world.processes[index] as Process;
  const { message, name } = process;
  const faults = { ...world.faults, crash: (world.faults.crash ?? 0) - 1 };
  const rest = { ...withoutProcess(world, index), faults };
  const unanswered = name.startsWith('http') ? unansweredOf(rest, process) : rest;
  return message ? { ...unanswered, queue: [...unanswered.queue, { ...message, visibleAt: laterBy(world, VISIBILITY_MS) }] } : unanswered;
}

/**
 * Performs the effect of a process in each way in which it may end. A read and the write upon it are one step: what somebody else
 * writes between them refuses the write, as if it had been written before. That this happens, too, is a fault of its own.
 */
function performAt(world: World, index: number, effect: Effect, scenario: Scenario): Step[] {
  if (effect.do === 'all') return performEach(world, index, effect.effects, []);
  const steps = performOne(world, index, effect);
  if (effect.do !== 'readOrganization') return steps;
  return steps.flatMap((step) => {
    const next = pendingOf((step.world.processes[index] as Process).program);
    if (next?.do !== 'writeOrganization') return [step];
    const { overtaken = 0 } = step.world.faults;
    const faults = { ...step.world.faults, overtaken: overtaken - 1 };
    return [...performAt(step.world, index, next, scenario), ...(overtaken > 0 ? [{ label: `${step.label} (overtaken)`, world: { ...step.world, faults } }] : [])];
  });
}

function performOne(world: World, index: number, effect: SingleEffect): Step[] {
  const process = world.processes[index] as Process;
  const at = world.now + process.skew + process.elapsed;
  return performSingle(world, effect, at, readerOf(process)).map(({ how, world: next, value, error }) => {
    const result = (error ? { at, error } : { at, value }) as Result;
    const elapsed = process.elapsed + (effect.do === 'pause' ? Math.max(effect.ms, 11_000) : 0);
    const moved = { ...process, elapsed, program: proceed(process.program, result) };
    const what = effect.do === 'change' ? `${effect.goal} ${effect.id}` : '';
    return { label: `${process.name} ${effect.do} ${what} ${how === 'ok' ? (error?.code ?? '') : `(${how})`}`.replace(/ +/g, ' ').trim(), world: withProcess(next, index, moved) };
  });
}

/** A visit is compared by its state, all else by what it has read. */
const readerOf = ({ program, nonce }: Process) => (program.is === 'core' ? nonce : undefined);

/** Effects at the same time: here one after the other, with everybody's steps before and after all of them. */
function performEach(world: World, index: number, effects: SingleEffect[], results: Result[]): Step[] {
  const process = world.processes[index] as Process;
  const at = world.now + process.skew + process.elapsed;
  const [effect, ...rest] = effects;
  if (!effect) {
    const moved = { ...process, program: proceed(process.program, { at, value: results }) };
    return [{ label: `${process.name} all`, world: withProcess(world, index, moved) }];
  }
  return performSingle(world, effect, at, readerOf(process)).flatMap(({ world: next, value, error, how }) =>
    performEach(next, index, rest, [...results, (error ? { at, error } : { at, value }) as Result]).map((step) => ({ ...step, label: how === 'ok' ? step.label : `${step.label} (${how})` })),
  );
}

/** What becomes of a process that has ended: its answer, or its message. */
function finish(world: World, index: number, scenario: Scenario): Step {
  const process = world.processes[index] as Process;
  const end = endOf(process.program);
  const rest = withoutProcess(world, index);
  const { message, name } = process;
  if (!message) return { label: `${name} ends`, world: scenario.answered(rest, process, end) };
  if (process.program.is === 'core') {
    const { is } = (end as { value?: { is: string }; is: string }).value ?? (end as { is: string });
    if (is === 'unavailable' || is === 'unknown' || is === 'later')
      return { label: `${name} waits`, world: { ...rest, queue: [...rest.queue, { ...message, visibleAt: laterBy(world, 5000) }] } };
    const nonce = `visit ${world.serial}`;
    const at = world.now + process.skew + process.elapsed;
    const visiting = { ...process, nonce, program: workProgram(message.organization, nonce, at) };
    return { label: `${name} visits`, world: { ...rest, serial: world.serial + 1, processes: [...rest.processes, visiting] } };
  }
  const { is, ...later } = end as VisitEnd;
  if (is === 'done') return { label: `${name} is done`, world: rest };
  const visibleAt = laterBy(world, 'wait_ms' in later ? later.wait_ms : 0);
  // What an event asked for is accepted: from here on it is a due notice.
  return { label: `${name} waits`, world: withDue(rest, message.organization, visibleAt) };
}

function deliveries(world: World, scenario: Scenario): Step[] {
  const workers = world.processes.filter(({ name }) => name.startsWith('worker')).length;
  if (workers >= scenario.workers) return [];
  return world.queue.flatMap((message, index) => {
    if (message.visibleAt > world.now) return [];
    const used = new Set(world.processes.map(({ name }) => name));
    const place = [1, 2, 3].find((one) => !used.has(`worker${one}`)) ?? 4;
    const name = `worker${place}`;
    const skew = scenario.skews?.[name] ?? 0;
    return [{ label: `${name} gets ${message.kind} ${message.event?.id ?? message.organization}`, world: started(world, { name, skew, message }, index) }];
  });
}

function started(world: World, { name, skew, message }: { name: string; skew: number; message: Message }, index: number): World {
  const at = world.now + skew;
  const nonce = `visit ${world.serial}`;
  const program = message.kind === 'due' ? workProgram(message.organization, nonce, at) : eventProgram(message, `${message.event?.id} ${world.now}`, at);
  const own = message.kind === 'due' ? nonce : `${message.event?.id} ${world.now}`;
  const process: Process = { name, nonce: own, skew, elapsed: 0, startedAt: world.now, message, program };
  return { ...world, serial: world.serial + 1, queue: world.queue.filter((_, place) => place !== index), processes: [...world.processes, process] };
}

function scriptSteps(world: World, scenario: Scenario): Step[] {
  const action: Action | undefined = scenario.script[world.script];
  if (!action || (action.after && !action.after(world))) return [];
  const https = world.processes.filter(({ name }) => name.startsWith('http')).length;
  if (https >= 2) return [];
  return [{ label: action.label, world: action.apply({ ...world, script: world.script + 1 }) }];
}

/** Time goes by when nothing else can happen at once; who is paused stays so as long as it likes. */
function timeSteps(world: World, scenario: Scenario): Step[] {
  if (world.processes.some(({ isPaused }) => !isPaused)) return [];
  if (world.queue.some(({ visibleAt }) => visibleAt <= world.now) && world.processes.length === 0) return [];
  const isDue = dueOf(world, new Date(world.now).toISOString()).some(({ organization_id }) => !world.queue.some((one) => one.organization === organization_id));
  if (isDue && world.processes.length === 0) {
    const program = dispatchProgram(`dispatch${world.now}`, world.now);
    return [{ label: 'the dispatcher runs', world: { ...world, processes: [{ name: 'dispatch', nonce: 'dispatch', skew: 0, elapsed: 0, startedAt: world.now, program }] } }];
  }
  const times = [
    ...world.queue.map(({ visibleAt }) => visibleAt),
    ...world.late.map(({ until }) => until + 1),
    ...Object.values(world.items).flatMap((item) => {
      const due = dueOfItem(item).due_at;
      return [...(due ? [Date.parse(due)] : []), ...(item.lease ? [item.lease.until + CLOCKS_APART_MS + 1] : [])];
    }),
    ...(scenario.times ?? []),
  ].filter((time) => time > world.now && time <= scenario.until);
  if (times.length === 0) return [];
  const now = Math.min(...times);
  // What Auth0 has not carried out by then, it never does.
  return [{ label: `${Math.round((now - world.now) / 1000)} s go by`, world: { ...world, now, late: world.late.filter(({ until }) => until >= now) } }];
}

/** What tells two worlds apart: everything but the names of versions, which are new with every write. */
function keyOf(world: World): string {
  const { items, records, processes, previous, story, serial: _, ...rest } = world;
  const parts = [
    rest,
    previous && previous.until >= world.now && (world.faults['stale list'] ?? 0) > 0 ? previous : 0,
    Object.values(items).map((item) => `${itemKey(item)} ${item.lease && ownerOf(item.lease.owner, processes)}`),
    Object.values(records).map((record) => `${recordKey(record)} ${record.revision - (items[record.organization_id]?.revision ?? 0)}`),
    // Two workers are alike.
    processes.map((process) => `${processKey(process)} ${isCurrent(process, world)}`).sort(),
    { ...story, order: 0, events: eventsKey(story.events) },
  ];
  return createHash('md5').update(JSON.stringify(parts)).digest('base64');
}

function ownerOf(owner: string, processes: Process[]): string {
  if (owner === 'nobody') return owner;
  const isIts = ({ program }: Process) => program.is === 'visit' && program.state.input.nonce === owner;
  return processes.some(isIts) ? 'a worker' : owner.startsWith('visit') ? 'gone' : owner;
}

const eventsKey = (events: World['story']['events']) => [...new Set(events.map(({ event, id }) => `${id} ${event}`))];

/** A text for each object of a kind, computed once. */
function keyed<T extends object>(compute: (one: T) => unknown): (one: T) => string {
  const known = new WeakMap<T, string>();
  return (one) => {
    let key = known.get(one);
    if (key === undefined) {
      key = createHash('md5').update(JSON.stringify(compute(one))).digest('base64');
      known.set(one, key);
    }
    return key;
  };
}

const itemKey = keyed<World['items'][string]>((item) => ({ ...item, version: 0, revision: 0, lease: item.lease?.until }));
const recordKey = keyed<World['records'][string]>((record) => ({ ...record, revision: 0 }));
const processKey = keyed<Process>((process) => ({ ...process, name: process.name.replace(/\d$/, ''), nonce: 0, program: programKey(process), startedAt: 0 }));

/** Whether what a visit holds is what the table has. */
function isCurrent({ program }: Process, { items }: World): boolean {
  return program.is === 'visit' && program.state.stored?.version === items[program.state.input.organization_id]?.version;
}

function programKey({ program }: Process): unknown {
  if (program.is === 'core') return program.node.id;
  const { stored, item, input, writes, ...state } = program.state;
  const same = (one: typeof item) => one && { ...one, version: one.version === stored?.version, revision: 0, lease: one.lease && { ...one.lease, owner: one.lease.owner === input.nonce } };
  return [state, same(item), item === stored || same(stored), input.mode, input.deadline, writes > 25];
}
