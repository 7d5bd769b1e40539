import * as v from 'valibot';
import { SHARDS } from '../../aws/table.ts';
import { OrganizationId } from '../../ids.ts';
import type { Log } from '../../log.ts';
import type { Notification } from '../intake/auth0-notification.ts';
import { memberIdOf } from '../intake/batch-members.ts';
import { requestDriftCheck } from '../intake/drift-check.ts';
import { perform } from '../model/effects.ts';
import { dueOf } from '../rules/due-work.ts';
import { redrive } from '../store/dead-letters.ts';
import { DUE_INDEX_EFFECTS } from '../store/due-shell.ts';
import { DUE_EFFECTS } from '../store/offboarding-queue.ts';
import { run, writerUntil } from '../store/shell.ts';
import { TABLE_EFFECTS } from '../store/table-shell.ts';
import { dispatchDueWork } from './dispatch.ts';

const PERFORMERS = [TABLE_EFFECTS, DUE_INDEX_EFFECTS, DUE_EFFECTS];

/**
 * Finds and sends everything that is due, and reports how old the oldest of it is. `all` sends also what a message is on its way for.
 * The metric DueWorkDispatched counts the runs that have read all of the index: its alarm is on their absence.
 */
export async function dispatch(deadline: number, log: Log, all = false): Promise<number> {
  const now = Date.now();
  const core = dispatchDueWork({ ...writerUntil(deadline), shards: SHARDS, all, memberIdOf }, now);
  const { sent, checks, late, oldest, isWhole } = await run(core, PERFORMERS, log);
  const overdue_s = Math.round((now - oldest) / 1000);
  const metrics = { ...(overdue_s > 0 && { OldestOverdue: overdue_s }), ...(late > 0 && { DriftChecksLate: late }) };
  log.metrics('due_noticed', metrics, { sent, checks_due: checks });
  if (isWhole) log.metrics('due_work_dispatched', { DueWorkDispatched: 1 });
  return sent;
}

/** Sends a due notice for what an operator names: one organization, or everything that is overdue. Returns how many; throws when it is neither. */
export async function requeue(what: unknown, deadline: number, log: Log): Promise<number> {
  if (what === 'overdue') return dispatch(deadline, log, true);
  const { organization_id } = Object(what);
  if (!v.is(OrganizationId, organization_id))
    throw new Error('requeue: must be "overdue" or {"organization_id": "org_…"}');
  const hasWork = await run(sendIfDue(organization_id), PERFORMERS, log);
  if (hasWork) log.info('requeued', { organization_id });
  return hasWork ? 1 : 0;
}

function* sendIfDue(organization_id: string) {
  const read = yield* perform({ do: 'readOrganization', organization_id });
  if (read.error) throw new Error('The table did not answer');
  if (!read.value || dueOf(read.value).due_at === undefined) return false;
  yield* perform({ do: 'sendDue', notices: [{ organization_id, priority: 'single' }] });
  return true;
}

/** Has the organization compared with Auth0 that a notification names. Throws where the table is away: Lambda then calls again. */
export async function requestCheck(notification: Notification | undefined, deadline: number, log: Log): Promise<void> {
  const core = requestDriftCheck({ organization_id: '', ...notification, ...writerUntil(deadline) }, Date.now());
  const result = notification?.isOfInterest ? await run(core, PERFORMERS, log) : undefined;
  if (result?.is === 'unavailable') throw new Error(`The check was not requested: ${result.error.message}`);
  const check_requested = result?.is === 'requested';
  log.info('notification_received', { organization_id: notification?.organization_id, check_requested });
}

/** Moves dead letters back to the offboarding queue, after reading them as what they are. Throws when `what` is not what it takes. */
export async function redriveDeadLetters(what: unknown, deadline: number, log: Log): Promise<object> {
  const result = await redrive(what, deadline);
  log.info('dead_letters_redriven', result);
  return result;
}
