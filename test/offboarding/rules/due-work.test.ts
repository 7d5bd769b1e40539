import { describe, expect, test } from 'vitest';
import type { OpenRequest, Organization } from '../../../lib/offboarding/model/organization.ts';
import type { Sessions } from '../../../lib/offboarding/model/sessions.ts';
import {
  BATCH_IS_OPEN_MS,
  dueOf,
  SESSIONS_AGAIN_MS,
  sessionsDueAt,
  stepDueAt,
} from '../../../lib/offboarding/rules/due-work.ts';
import { ago, DAY, HOUR, MINUTE, organization, outbox, request } from '../items.ts';

const dueAt = (changes: Partial<Organization>) => dueOf(organization(changes));
const NOTHING = { due_at: undefined, work_due_at: undefined, priority: undefined };
const ENDED = { status: 'completed' as const };

describe('what is due of an organization', () => {
  test('when nothing is open, nothing is due', () => {
    expect(dueAt({})).toEqual(NOTHING);
    expect(dueAt({ next_drift_check_at: ago(DAY) })).toEqual(NOTHING);
    for (const status of ['completed', 'failed', 'cancelled', 'superseded'] as const)
      expect(dueAt({ requests: [request('A', { status })] })).toEqual(NOTHING);
  });
  test('when a request waits, it is due since it was accepted, whatever is due later', () => {
    const requests = [request('A', { accepted_at: ago(HOUR) }), request('B', { accepted_at: ago(2 * HOUR) })];
    expect(dueAt({ requests })).toEqual({ due_at: ago(2 * HOUR), work_due_at: ago(2 * HOUR), priority: 'single' });
  });
  test('when an offboarding is watched, its drift check is due by its own date, and is no work', () => {
    const requests = [request('A', { ...ENDED, watch: 'on' })];
    expect(dueAt({ requests, next_drift_check_at: ago(-DAY) })).toEqual({
      ...NOTHING,
      due_at: ago(-DAY),
      priority: 'watch',
    });
    expect(dueAt({ requests })).toEqual(NOTHING);
  });
  test('when a request lies behind an overdue drift check, its own date is known, and its priority counts', () => {
    const watched = request('A', { ...ENDED, watch: 'on' });
    const waiting = request('B', { accepted_at: ago(MINUTE), batch: { id: 'X', attempt: 1, is_accepted: true } });
    expect(dueAt({ requests: [watched, waiting], next_drift_check_at: ago(DAY) })).toEqual({
      ...{ due_at: ago(DAY), work_due_at: ago(MINUTE), priority: 'batch' },
    });
  });
  test('when an event is not published, or a record not written, that is due since then', () => {
    const requests = [request('A', ENDED)];
    expect(dueAt({ requests, outbox: [outbox('completed', 'A', { at: ago(HOUR) }), outbox('drifted', 'A')] })).toEqual({
      ...{ due_at: ago(HOUR), work_due_at: ago(HOUR), priority: 'single' },
    });
    const batch = { id: 'X', attempt: 1, is_accepted: true };
    const unrecorded = [request('A', { ...ENDED, is_unrecorded: true, updated_at: ago(HOUR), batch })];
    expect(dueAt({ requests: unrecorded })).toEqual({ due_at: ago(HOUR), work_due_at: ago(HOUR), priority: 'batch' });
    expect(dueAt({ requests: unrecorded, outbox: [outbox('completed', 'A', { at: ago(DAY) })] }).priority).toBe(
      'batch',
    );
  });
  test('when a member waits for its batch, it is due when the batch must have been accepted', () => {
    const member = request('A', {
      accepted_at: ago(0),
      batch: { id: 'X', attempt: 1, is_accepted: false },
      is_unrecorded: true,
    });
    const due_at = ago(-BATCH_IS_OPEN_MS);
    expect(dueAt({ requests: [member], outbox: [outbox('requested', 'A')] })).toEqual({
      due_at,
      work_due_at: due_at,
      priority: 'batch',
    });
  });
  test('when it is urgent, it goes with single requests; a dry run of a batch goes behind all', () => {
    const batch = { id: 'X', attempt: 1, is_accepted: true };
    expect(dueAt({ requests: [request('A', { batch, urgent: true })] }).priority).toBe('single');
    expect(dueAt({ requests: [request('A', { batch }, { dry_run: true })] }).priority).toBe('watch');
    expect(dueAt({ requests: [request('A', {}, { dry_run: true })] }).priority).toBe('single');
  });
});

describe('the date of the next step', () => {
  const of = (changes: Partial<OpenRequest>) => stepDueAt(request('A', { accepted_at: ago(DAY), ...changes }));
  const dates = { removal_due_at: '2026-12-24T09:00:00Z', notice_due_at: '2026-12-21T09:00:00.000Z' };
  test('when it is scheduled, it is the notice before the removal, and then the removal, to the millisecond', () => {
    expect(of({ status: 'scheduled', ...dates })).toBe('2026-12-21T09:00:00.000Z');
    expect(of({ status: 'scheduled', removal_due_at: dates.removal_due_at })).toBe('2026-12-24T09:00:00.000Z');
    expect(of({ status: 'removing', ...dates })).toBe('2026-12-24T09:00:00.000Z');
    const swapped = { removal_due_at: dates.notice_due_at, notice_due_at: dates.removal_due_at };
    expect(of({ status: 'scheduled', ...swapped })).toBe('2026-12-21T09:00:00.000Z');
    expect(of({ status: 'scheduled' })).toBe(ago(DAY));
  });
  test('when it is cancelled, it is the cancellation; else its acceptance', () => {
    expect(of({ status: 'cancelling', ...dates, cancelled: { at: ago(MINUTE), caller: 'c' } })).toBe(ago(MINUTE));
    expect(of({ status: 'cancelling', ...dates })).toBe(ago(DAY));
    expect(of({ status: 'working', ...dates })).toBe(ago(DAY));
    expect(of({ status: 'requested' })).toBe(ago(DAY));
  });
});

describe('the sessions of members', () => {
  const sessions = (changes: Partial<Sessions> = {}): Sessions => ({
    ...{ status: 'due', members: 0, revocations_requested: 0, skipped: 0, failed: 0, updated_at: ago(HOUR) },
    ...changes,
  });
  const of = (changes: Partial<OpenRequest>, end_sessions = true) =>
    sessionsDueAt(request('A', { status: 'completed', updated_at: ago(MINUTE), ...changes }, { end_sessions }));
  test('when connections are ended and no message was sent, they are due since then', () => {
    expect(of({})).toBe(ago(MINUTE));
    expect(of({ status: 'scheduled' })).toBe(ago(MINUTE));
    expect(of({ status: 'superseded' })).toBe(ago(MINUTE));
    expect(of({ sessions: sessions() })).toBe(ago(HOUR));
  });
  test('when a message was sent, it is sent again half an hour after it, or after the last page', () => {
    expect(SESSIONS_AGAIN_MS).toBe(30 * MINUTE);
    expect(of({ sessions: sessions({ sent_at: ago(MINUTE) }) })).toBe(ago(MINUTE - SESSIONS_AGAIN_MS));
    expect(of({ sessions: sessions({ status: 'ending', sent_at: ago(2 * HOUR) }) })).toBe(
      ago(HOUR - SESSIONS_AGAIN_MS),
    );
  });
  test('when they are ended, or nobody asked for it, or the watch has ended, nothing is due', () => {
    for (const status of ['ended', 'failed', 'refused'] as const)
      expect(of({ sessions: sessions({ status }) })).toBeUndefined();
    expect(of({}, false)).toBeUndefined();
    expect(of({ watch: 'ended' })).toBeUndefined();
    for (const status of ['requested', 'working', 'removing', 'cancelling', 'cancelled', 'failed'] as const)
      expect(of({ status })).toBeUndefined();
  });
  test('when they are due, the organization has work of a batch, also while a removal is scheduled', () => {
    const removal_due_at = ago(-DAY);
    const one = request('A', { status: 'scheduled', removal_due_at, updated_at: ago(MINUTE) }, { end_sessions: true });
    expect(dueAt({ requests: [one] })).toEqual({ due_at: ago(MINUTE), work_due_at: ago(MINUTE), priority: 'batch' });
    const ended = request('A', { status: 'superseded', updated_at: ago(MINUTE) }, { end_sessions: true });
    expect(dueAt({ requests: [ended] }).work_due_at).toBe(ago(MINUTE));
  });
});
