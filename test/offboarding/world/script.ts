// A way through the world, told in whole acts, and what the model writes and calls on it, in order: what the shell has to do, too.
import { vi } from 'vitest';
import type { ConnectionRecord, Offboarding, Organization } from '../../../lib/offboarding/offboarding.ts';
import { isAccepted } from '../../../lib/offboarding/rules.ts';
import { type Next, type Scenario, type World, worldOf } from './state.ts';
import { askStep, cancelStep, passed, runsOut, start } from './steps.ts';
import { workerSteps } from './worker.ts';

/** How a call of Auth0 may end, as the model's steps say it. */
export type Ending = 'fails for now, nothing done' | 'refused for good' | 'the answer is lost, it is done';
export type Act =
  | { do: 'ask'; ask: number }
  /** Accepts it; carrying it out is an act of its own. */
  | { do: 'cancel'; cancel: number }
  | { do: 'carry out'; cancel: number }
  /** Until nothing is left; `ending` of the first change of a connection; killed in place of its write number `kill`. */
  | { do: 'work'; ending?: Ending; kill?: number }
  | { do: 'pass'; ms: number }
  | { do: 'hand'; connection: string; enables: boolean }
  | { do: 'run out' };

/** A record as far as it decides something. */
export function ofRecord(record: Offboarding): string {
  const { offboarding_id, status, unpublished, watch, error, last_error, superseded_by } = record;
  const one = (connection: ConnectionRecord) => {
    const { connection_id, outcome, attempted, disabled_by_offboarding, disabling_again, untold } = connection;
    const marks = [
      attempted && 'asked',
      disabled_by_offboarding && 'held',
      disabling_again && 'again',
      untold && 'untold',
    ];
    return [`${connection_id}:`, outcome ?? 'open', ...marks.filter(Boolean)].join(' ');
  };
  const waits = last_error && `waits for ${last_error.code}`;
  const marks = [
    !isAccepted(record) && 'not accepted',
    unpublished && `untold ${unpublished}`,
    watch && `watch ${watch}`,
  ];
  const why = [error?.code, waits, superseded_by].filter(Boolean);
  return [`${offboarding_id} ${status}`, ...marks.filter(Boolean), ...why, ...record.connections.map(one)].join(', ');
}

export function ofOrganization({ open, holder, removing, cancelled, cancelled_ones, due_at, look_at }: Organization) {
  const held = holder && holder !== 'nobody' ? 'held' : holder;
  const cancels = [cancelled, ...(cancelled_ones ?? [])].flatMap((one) => (one ? [`cancelled ${one.ids}`] : []));
  const marks = [
    held,
    removing && `removing ${removing.offboarding_id}`,
    ...cancels,
    due_at && 'due',
    look_at && 'look',
  ];
  return [`organization, open: ${[...open].sort()}`, ...marks.filter(Boolean)].join(', ');
}

/** What the model calls, tells and writes on the way. */
export function modelOf(scenario: Scenario, acts: Act[]): string[] {
  const log: string[] = [];
  let world = worldOf({ ...scenario, left: { kill: 9, outage: 9, refusal: 9, unknown: 9, look: 9 } });
  const clock = vi.spyOn(Date, 'now').mockImplementation(() => world.now);
  const go = ([what, next]: Next) => {
    log.push(...callsIn(what), ...writesOf(world, next));
    world = next;
  };
  const repeat = (step: () => Next | undefined) => {
    for (let next = step(); next; next = step()) go(next);
  };
  for (const act of acts) {
    if (act.do === 'ask') repeat(() => askStep(world, act.ask));
    if (act.do === 'cancel') repeat(() => cancelStep(world, act.cancel));
    if (act.do === 'carry out') go(start(world, act.cancel));
    if (act.do === 'work') go(start(world));
    if (act.do === 'pass') world = passed(world, world.now + act.ms)[1];
    if (act.do === 'run out') world = runsOut(world)[1];
    if (act.do === 'hand') world = { ...world, auth0: { ...world.auth0, [act.connection]: act.enables } };
    const { ending, kill }: { ending?: Ending; kill?: number } = act.do === 'work' ? act : {};
    let [isEnded, writes] = [false, 1];
    while (world.worker) {
      const steps = workerSteps(world);
      const other = steps.find(([what]) => !isEnded && ending && what.endsWith(ending));
      const [what, next] = other ?? (steps[0] as Next);
      isEnded ||= other !== undefined;
      writes += writesOf(world, next).length;
      if (kill === undefined || writes < kill) {
        go([what, next]);
        continue;
      }
      log.push(...callsIn(what));
      world = { ...world, worker: undefined };
    }
  }
  clock.mockRestore();
  return log;
}

function callsIn(what: string): string[] {
  if (what.startsWith('worker: list')) return ['list'];
  const [, connection, goal] = /^worker: has (\w+) (\w+)/.exec(what) ?? [];
  if (connection) return [`${connection} ${goal}`];
  const [, outcome, id] = /^worker: tells (\w+) of (\w+)/.exec(what) ?? [];
  return outcome ? [`tells ${outcome} of ${id}`] : [];
}

function writesOf(before: World, { records, organization }: World): string[] {
  const written = Object.values(records).filter((one) => one !== before.records[one.offboarding_id]);
  const isWritten = organization && organization !== before.organization;
  return [...written.map(ofRecord), ...(isWritten ? [ofOrganization(organization)] : [])];
}
