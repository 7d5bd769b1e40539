import type { CallContext } from '../auth0/call-context.ts';
import { sleep } from '../deadline.ts';
import { describeError } from '../log.ts';
import { Problem, type ProblemCode, RetryLater } from '../problem.ts';
import { acceptCancelling } from './acceptance.ts';
import { type Act, hasEnded, hasEndedIt, type Offboarding } from './offboarding.ts';
import { outcomesOf } from './outcome.ts';
import { sendDue } from './queue.ts';
import { getRecords } from './record.ts';
import { byAskedAt, nextCancellingStep } from './rules.ts';
import { workOn } from './work.ts';

/** How long a caller waits for whoever works on the organization, and between two attempts, milliseconds. */
const WAIT_FOR_TURN_MS = 10_000;
const TRY_AGAIN_MS = 250;
/** What it takes to read the records and to answer, milliseconds. */
const ANSWER_TAKES_MS = 1500;

/**
 * Cancels all of an organization that is pending, holds something or is watched. Accepted, it is carried out: here, or, where
 * that can not be done in time (the rate limit, an outage, a worker at it), by whoever works on the organization next. Returns
 * what it found, as it is now. Throws `not_found`, `conflict` while connections are being removed, and what Auth0 said where
 * it refused for good to enable a connection.
 */
export async function cancelOrganization(organization_id: string, act: Act, context: CallContext) {
  const { ids, pending } = await acceptCancelling(organization_id, act, true);
  await carryOut(organization_id, context);
  // Whoever was at it before may have carried it out.
  const found = await getRecords(ids.map((offboarding_id) => ({ organization_id, offboarding_id })));
  const undone = found.filter(({ offboarding_id }) => pending.includes(offboarding_id)).sort(byAskedAt);
  const failed = undone.filter(({ status, cancelled }) => status === 'failed' && cancelled);
  const error = failed.flatMap(({ connections }) => connections).find(({ outcome }) => outcome === 'failed')?.error;
  if (error) throw new Problem(error.code as ProblemCode, `A connection could not be enabled: ${error.message}`);
  // What was over is watched no more, from now on; nothing of it is enabled.
  return resultOf(undone, found.filter((record) => !undone.includes(record)).sort(byAskedAt));
}

/** Carries a cancelling out as far as that can be done in time; the rest goes on by itself. */
async function carryOut(organization_id: string, context: CallContext): Promise<void> {
  // What was accepted is answered as that, whatever becomes of the work.
  const inTime = { ...context, deadline: context.deadline - ANSWER_TAKES_MS };
  const end = Math.min(Date.now() + WAIT_FOR_TURN_MS, inTime.deadline - TRY_AGAIN_MS);
  while (Date.now() < end) {
    try {
      return await workOn(organization_id, inTime, { next: nextCancellingStep });
    } catch (error) {
      context.log.info('cancelling_waits', { error: describeError(error) });
      if (!(error instanceof RetryLater)) break;
      await sleep(TRY_AGAIN_MS);
    }
  }
  context.log.warn('cancelling_goes_on');
  // The watch finds it in any case; this makes it sooner.
  await sendDue([{ organization_id, priority: 'single' }]).catch(() => undefined);
}

/** What a caller may take for more than it is: a 200 enables nothing of what was completed. */
function inWords(isOver: boolean, stay: Set<string>): string {
  const done = isOver ? 'pending any more' : 'removed any more; what was disabled is enabled by itself';
  const watch = `The watch of what was completed has ended; it stays as it is: ${[...stay].join(', ')}.`;
  return `Nothing is ${done}.${stay.size > 0 ? ` ${watch}` : ''}`;
}

/** What a cancelling did, as its caller sees it: `cancelling` where it goes on by itself, or Auth0 may still do what a drift check asked for. */
function resultOf(undone: Offboarding[], over: Offboarding[]) {
  const isOver = undone.every(hasEnded);
  const isWatched = over.some(({ watch }) => watch === 'on');
  const { organization_id, offboarding_id, status } = undone.at(-1) ?? over.at(-1) ?? {};
  const stay = over.flatMap(({ connections }) => connections.filter(hasEndedIt));
  return {
    organization_id,
    offboarding_id,
    status: isOver && !isWatched ? status : ('cancelling' as const),
    detail: inWords(isOver, new Set(stay.map(({ name, connection_id }) => name ?? connection_id))),
    watch: over.length > 0 ? ('ended' as const) : null,
    cancelled_removal_due_at: undone.findLast(({ removal_due_at }) => removal_due_at)?.removal_due_at ?? null,
    connections: undone.flatMap(outcomesOf),
  };
}
