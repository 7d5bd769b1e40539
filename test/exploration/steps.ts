import type { Effect, Result, SingleEffect } from '../../lib/offboarding/model/effects.ts';
import { CLOCKS_APART_MS } from '../../lib/offboarding/worker/lease.ts';
import { eventProgram } from './event-programs.ts';
import { finish } from './finish.ts';
import { labelOf } from './labels.ts';
import { isInvisible, performSingle } from './perform.ts';
import { type By, dispatchProgram, pendingOf, proceed, sessionsProgram, workProgram } from './programs.ts';
import { type Scenario, stageOf } from './scenarios.ts';
import { unanswered } from './story.ts';
import { type Performer, use } from './ways.ts';
import { type Message, MINUTE_MS, type Process, type World, withChange } from './world.ts';

export type Step = { label: string; world: World };

/** A worker that crashed has its message back after this, milliseconds. */
const VISIBILITY_MS = 360_000;
/** What waits for its turn in an answer waits longer than for that, milliseconds. */
const PAUSE_TAKES_MS = 11_000;

/** Everything that can happen next. What nobody else can tell the moment of happens first. */
export function stepsOf(world: World, scenario: Scenario): Step[] {
  for (const [index, process] of world.processes.entries()) {
    if (process.isPaused) continue;
    const effect = pendingOf(process.program);
    if (!effect) return [finish(world, index, scenario)];
    if (isInvisible(world, effect)) return [...performAt(world, index, effect), ...crashes(world, index)];
  }
  return [
    ...world.processes.flatMap((process, index) => processSteps(world, process, index)),
    ...world.late.map((change, index) => ({
      label: `Auth0 carries out ${change.goal} ${change.id} late`,
      world: withChange({ ...world, late: world.late.filter((_, place) => place !== index) }, change),
    })),
    ...deliveries(world, scenario),
    ...scriptSteps(world, scenario),
    ...timeSteps(world, scenario),
  ];
}

function processSteps(world: World, process: Process, index: number): Step[] {
  if (process.isPaused)
    return [{ label: `${process.name} goes on`, world: withProcess(world, index, { ...process, isPaused: false }) }];
  const steps = [...performAt(world, index, pendingOf(process.program) as Effect), ...crashes(world, index)];
  const { paused = 0 } = world.faults;
  // The bus has no fencing: who stands still right before it publishes may be late, and reliability.md says so.
  const canPause = paused > 0 && process.name.startsWith('worker') && pendingOf(process.program)?.do !== 'publish';
  if (!canPause) return steps;
  const rest = use(world, 'paused');
  return [
    ...steps,
    { label: `${process.name} is paused`, world: withProcess(rest, index, { ...process, isPaused: true }) },
  ];
}

const withProcess = (world: World, index: number, process: Process): World => ({
  ...world,
  processes: world.processes.map((one, place) => (place === index ? process : one)),
});

function crashes(world: World, index: number): Step[] {
  const process = world.processes[index] as Process;
  const { name, message } = process;
  const { crash = 0 } = world.faults;
  if (crash === 0 || name === 'dispatch') return [];
  const processes = world.processes.filter((_, place) => place !== index);
  const rest = unanswered({ ...use(world, 'crash'), processes }, process);
  const queue = message
    ? [...rest.queue, { ...message, visibleAt: Math.ceil((world.now + VISIBILITY_MS) / MINUTE_MS) * MINUTE_MS }]
    : rest.queue;
  return [{ label: `${name} crashes`, world: { ...rest, queue } }];
}

/**
 * Performs the effect of a process in each way in which it may end. A read and the write upon it are one step: what somebody else
 * writes between them refuses the write, as if it had been written before. That this happens, too, is a fault of its own.
 */
function performAt(world: World, index: number, effect: Effect): Step[] {
  if (effect.do === 'all') return performEach(world, index, effect.effects, []);
  const steps = performOne(world, index, effect);
  if (effect.do !== 'readOrganization') return steps;
  const isVisit = world.processes[index]?.program.is === 'visit';
  return steps.flatMap((step) => {
    const next = pendingOf((step.world.processes[index] as Process).program);
    if (next?.do !== 'writeOrganization') return [step];
    const { overtaken = 0 } = step.world.faults;
    const overtaking = {
      label: `${step.label} (overtaken)`,
      world: use(step.world, 'overtaken'),
    };
    return [...performAt(step.world, index, next), ...(overtaken > 0 && !isVisit ? [overtaking] : [])];
  });
}

/** What a process takes the time to be (Unix ms). */
export const clockOf = ({ now }: World, { skew, elapsed }: Process) => now + skew + elapsed;

const performerOf = (world: World, process: Process): Performer => {
  const { name, nonce, program } = process;
  return { name, nonce, isByContent: program.is === 'core', at: clockOf(world, process) };
};

const resultOf = (world: World, process: Process, { value, error }: { value?: unknown; error?: unknown }) =>
  ({ at: clockOf(world, process), ...(error ? { error } : { value }) }) as Result;

function performOne(world: World, index: number, effect: SingleEffect): Step[] {
  const process = world.processes[index] as Process;
  const what = labelOf(effect, clockOf(world, process));
  return performSingle(world, effect, performerOf(world, process)).map(({ how, world: next, ...end }) => {
    const result = resultOf(next, process, end);
    const elapsed = process.elapsed + (effect.do === 'pause' ? Math.max(effect.ms, PAUSE_TAKES_MS) : 0);
    const label = [process.name, what, how === 'ok' ? end.error?.code : `(${how})`].filter(Boolean).join(' ');
    return {
      label,
      world: withProcess(next, index, { ...process, elapsed, program: proceed(process.program, result) }),
    };
  });
}

/** Effects at the same time: here one after the other, with everybody's steps before and after all of them. */
function performEach(world: World, index: number, effects: SingleEffect[], results: Result[]): Step[] {
  const process = world.processes[index] as Process;
  const [effect, ...rest] = effects;
  if (!effect) {
    const moved = { ...process, program: proceed(process.program, { at: clockOf(world, process), value: results }) };
    return [{ label: `${process.name} all`, world: withProcess(world, index, moved) }];
  }
  return performSingle(world, effect, performerOf(world, process)).flatMap(({ world: next, how, ...end }) =>
    performEach(next, index, rest, [...results, resultOf(next, process, end)]).map((step) => ({
      ...step,
      label: how === 'ok' ? step.label : `${step.label} (${how})`,
    })),
  );
}

/** A message reaches a worker: any of those that are visible, in any order. */
function deliveries(world: World, scenario: Scenario): Step[] {
  const isScriptOver =
    world.script === scenario.script.length && !world.processes.some(({ name }) => name.startsWith('http'));
  if (scenario.isPatient && !isScriptOver) return [];
  const names = world.processes.map(({ name }) => name);
  const workers = names.filter((name) => name.startsWith('worker')).length;
  return world.queue.flatMap((message, index) => {
    const isFull = message.kind === 'sessions' ? names.includes('sessions') : workers >= scenario.workers;
    if (message.visibleAt > world.now || isFull) return [];
    const place = [1, 2, 3].find((one) => !names.includes(`worker${one}`)) ?? 4;
    const name = message.kind === 'sessions' ? 'sessions' : `worker${place}`;
    const taken = { ...world, queue: world.queue.filter((_, other) => other !== index) };
    const label = `${name} gets ${message.kind} ${message.event?.id ?? message.organization}`;
    return [{ label, world: started(taken, { name, skew: scenario.skews[name] ?? 0, message }, scenario) }];
  });
}

function started(
  world: World,
  { name, skew, message }: { name: string; skew: number; message: Message },
  scenario: Scenario,
): World {
  const nonce = message.event
    ? `${message.event.id} ${world.now}`
    : `${message.kind === 'due' ? 'visit' : 'sessions'} ${world.serial}`;
  const { visitMs, retries } = scenario;
  const by: By = { nonce, now: world.now + skew, stage: stageOf(world, scenario), visitMs, retries };
  const program =
    message.kind === 'due'
      ? workProgram(message.organization, by)
      : message.kind === 'sessions'
        ? sessionsProgram(message, by)
        : eventProgram(message, by);
  const process: Process = { name, nonce, skew, elapsed: 0, message, program };
  return { ...world, serial: world.serial + 1, processes: [...world.processes, process] };
}

function scriptSteps(world: World, scenario: Scenario): Step[] {
  const action = scenario.script[world.script];
  const callers = world.processes.filter(({ name }) => name.startsWith('http')).length;
  if (!action || action.after?.(world) === false || callers >= 2) return [];
  return [
    { label: action.label, world: action.apply({ ...world, script: world.script + 1 }, stageOf(world, scenario)) },
  ];
}

/** Time goes by when nothing else can happen at once; who is paused stays so as long as it likes. */
function timeSteps(world: World, scenario: Scenario): Step[] {
  if (world.processes.some(({ isPaused }) => !isPaused)) return [];
  if (world.queue.some(({ visibleAt }) => visibleAt <= world.now) && world.processes.length === 0) return [];
  const past = (moments: number[]) =>
    pass(world, Math.min(...moments.filter((time) => time > world.now && time <= scenario.until)));
  if (world.processes.length > 0 || !isOverdue(world)) return past(momentsOf(world, scenario));
  const program = dispatchProgram({ nonce: `dispatch ${world.now}`, now: world.now, stage: scenario.stage });
  const processes = [{ name: 'dispatch', nonce: 'dispatch', skew: 0, elapsed: 0, program, since: world }];
  // The dispatcher comes now and then: where a world has moments of its own, it may be one of these before.
  return [{ label: 'the dispatcher runs', world: { ...world, processes } }, ...past(scenario.times)];
}

/** Time goes by until `now`. What Auth0 has not carried out by then, it never does. */
function pass(world: World, now: number): Step[] {
  if (now === Number.POSITIVE_INFINITY) return [];
  const late = world.late.filter(({ until }) => until >= now);
  return [{ label: `${Math.round((now - world.now) / 1000)} s go by`, world: { ...world, now, late } }];
}

/** Whether the dispatcher would send a message. */
function isOverdue({ dues, notices, batches, now }: World): boolean {
  const isPast = (due?: string) => due !== undefined && Date.parse(due) <= now;
  const isItem = Object.entries(dues).some(([id, { due_at }]) => isPast(due_at) && !((notices[id] ?? 0) > now));
  return isItem || Object.values(batches).some(({ due_at }) => isPast(due_at));
}

/** The moments at which something may change by itself (Unix ms). */
function momentsOf({ queue, late, items, dues, notices, batches }: World, { times }: Scenario): number[] {
  return [
    ...queue.map(({ visibleAt }) => visibleAt),
    ...late.map(({ until }) => until + 1),
    ...Object.values(notices),
    ...Object.values(batches).flatMap(({ due_at }) => (due_at ? [Date.parse(due_at)] : [])),
    ...Object.values(dues).flatMap(({ due_at }) => (due_at ? [Date.parse(due_at)] : [])),
    ...Object.values(items).flatMap(({ lease }) => (lease ? [lease.until + CLOCKS_APART_MS + 1] : [])),
    ...times,
  ];
}
