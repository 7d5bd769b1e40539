import type { Result } from '../../lib/offboarding/model/effects.ts';
import type { Dispatched } from '../../lib/offboarding/worker/dispatch.ts';
import type { VisitEnd } from '../../lib/offboarding/worker/visit-state.ts';
import { endOf, workProgram } from './programs.ts';
import { answered, type Scenario, stageOf } from './scenarios.ts';
import { withStory } from './story.ts';
import { type Message, MINUTE_MS, type Process, type World, withDue } from './world.ts';

/** A message that waits comes back at the next full minute: queues may be late, and who finds a lease in force changes nothing. */
const laterBy = ({ now }: World, ms: number) => Math.ceil((now + Math.max(ms, 1)) / MINUTE_MS) * MINUTE_MS;

type Step = { label: string; world: World };

const queued = (world: World, message: Message, ms: number): World => ({
  ...world,
  queue: [...world.queue, { ...message, visibleAt: laterBy(world, ms) }],
});

/** What becomes of a process that has ended: its answer, or its message. */
export function finish(world: World, index: number, scenario: Scenario): Step {
  const process = world.processes[index] as Process;
  const end = endOf(process.program);
  const rest = { ...world, processes: world.processes.filter((_, place) => place !== index) };
  const { message, name } = process;
  if (name === 'dispatch') {
    const dispatched = { reported: end as Dispatched, since: process.since ?? world };
    return { label: 'the dispatcher ends', world: withStory(rest, { dispatched }) };
  }
  if (!message) return { label: `${name} ends ${(end as { is: string }).is}`, world: answered(rest, process, end) };
  if (message.kind === 'sessions') {
    const { is } = end as { is: string };
    const isLater = is === 'later';
    return { label: `${name} ends ${is}`, world: isLater ? queued(rest, message, 10_000) : rest };
  }
  if (process.program.is === 'core') return afterEvent(rest, process, end as EventEnd, scenario);
  return afterVisit(rest, process, end as VisitEnd);
}

type EventEnd = { is: string; failure?: object; error?: NonNullable<Result['error']>; value?: { is: string } };

/** What an event asked for is accepted, and its organization is visited; it is refused; or it comes back. */
function afterEvent(rest: World, process: Process, end: EventEnd, scenario: Scenario): Step {
  const { name, message, skew, elapsed } = process;
  if (!message) return { label: `${name} ends`, world: rest };
  const is = end.value?.is ?? end.is;
  if (end.error && !end.error.is_transient) return { label: `${name} gives up`, world: failed(rest, message) };
  if (end.error) return { label: `${name} waits`, world: queued(rest, message, 5000) };
  if (is === 'refused') return { label: `${name} refuses`, world: failed(rest, message) };
  if (is !== 'visit') return { label: `${name} is done with ${is}`, world: rest };
  const nonce = `visit ${rest.serial}`;
  const program = workProgram(message.organization, {
    nonce,
    now: rest.now + skew + elapsed,
    stage: stageOf(rest, scenario),
    visitMs: scenario.visitMs,
    retries: scenario.retries,
  });
  return {
    label: `${name} visits`,
    world: { ...rest, serial: rest.serial + 1, processes: [...rest.processes, { ...process, nonce, program }] },
  };
}

/** A request by event that can never be carried out has its event and its dead letter. */
function failed(world: World, { event, kind }: Message): World {
  if (!event || kind !== 'request') return world;
  const { events, letters } = world.story;
  return withStory(world, {
    events: [...events, { event: 'failed', id: event.id, about: [], by: 'worker' }],
    letters: [...letters, event.id],
  });
}

function afterVisit(rest: World, { name, message }: Process, end: VisitEnd): Step {
  if (end.is === 'done') return { label: `${name} is done`, world: rest };
  // An error that never passes does not hold up the group: the message is a dead letter, and the dispatcher comes back.
  if (end.error && !end.error.is_transient) return { label: `${name} gives up`, world: rest };
  // What an event asked for is accepted: from here on it is a due notice.
  const label = [name, 'waits', `${end.wait_ms / 1000} s`, end.error?.code].filter(Boolean).join(' ');
  return { label, world: withDue(rest, message?.organization ?? '', laterBy(rest, end.wait_ms)) };
}
