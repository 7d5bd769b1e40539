import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { describeIssues } from '../../../lib/json.ts';
import { OffboardingMessage, timeOf } from '../../../lib/offboarding/model/messages.ts';
import { after, iso, latestOf } from '../../../lib/offboarding/model/stage.ts';
import { hasEnded, STATUSES, TRANSITIONS, withStatus } from '../../../lib/offboarding/model/status.ts';
import { readableDetail } from '../../../lib/offboarding/views/rejected-event.ts';
import { ago, NOW, ORG, request } from '../items.ts';

const EVENT = {
  id: 'e1',
  source: 'billing',
  account: '000000000000',
  time: '2026-11-24T09:00:00Z',
  'detail-type': 'organization.offboarding.requested',
  detail: { organization_id: ORG, action: 'disable', requested_by: 'billing', reason: 'contract ended' },
};
const wrongOf = (message: unknown) => {
  const parsed = v.safeParse(OffboardingMessage, message);
  return parsed.success ? undefined : describeIssues(parsed.issues, 'message');
};

describe('a message of the queue', () => {
  test('when it is a request, a cancellation or a due notice, it is taken, and unknown members are not read', () => {
    expect(v.parse(OffboardingMessage, { ...EVENT, more: 1 })).toMatchObject({
      id: 'e1',
      account: '000000000000',
      detail: { dry_run: false },
    });
    const { account: _, ...without } = EVENT;
    expect(v.parse(OffboardingMessage, without)).toMatchObject({ account: '' });
    const cancellation = { ...EVENT, 'detail-type': 'organization.offboarding.cancellation_requested' };
    expect(v.parse(OffboardingMessage, cancellation)).toMatchObject({
      detail: { organization_id: ORG, reason: 'contract ended' },
    });
    const due = { 'detail-type': 'organization.offboarding.due', detail: { organization_id: ORG, more: 1 }, id: 'x' };
    expect(v.parse(OffboardingMessage, due)).toEqual({
      'detail-type': 'organization.offboarding.due',
      detail: { organization_id: ORG },
    });
  });
  test('when it is of another type, or none, it is not taken', () => {
    const other = { ...EVENT, 'detail-type': 'organization.offboarding.completed' };
    expect(wrongOf(other)).toContain('is not one that this queue takes');
    expect(wrongOf({})).toContain('detail-type: is missing');
    for (const message of ['text', null, 7]) expect(wrongOf(message)).toBeDefined();
    expect(wrongOf({ ...EVENT, detail: {} })).toBeDefined();
  });
  test('when its source has blanks, or is ours in another spelling, somebody poses as another', () => {
    for (const source of ['org-connections', 'billing', 'x'.repeat(256), '!~'])
      expect(wrongOf({ ...EVENT, source }), source).toBeUndefined();
    for (const source of ['Org-Connections', 'ORG-CONNECTIONS'])
      expect(wrongOf({ ...EVENT, source })).toContain('must not be the service itself in another spelling');
    for (const source of [' org-connections', 'org-connections ', 'a b', '', 'é', 'x'.repeat(257), 'a\n'])
      expect(wrongOf({ ...EVENT, source }), source).toContain('must be visible ASCII, without blanks');
    expect(wrongOf({ ...EVENT, source: 1 })).toContain('must be text');
  });
  test('when its id is a reserved key, empty or too long, it is not taken', () => {
    for (const id of ['x', 'x'.repeat(128)]) expect(wrongOf({ ...EVENT, id })).toBeUndefined();
    for (const id of ['organization', 'batch'])
      expect(wrongOf({ ...EVENT, id })).toContain('must be the id of an event');
    expect(wrongOf({ ...EVENT, id: '' })).toContain('must not be empty');
    expect(wrongOf({ ...EVENT, id: 'x'.repeat(129) })).toContain('is too long');
    expect(wrongOf({ ...EVENT, id: 1 })).toContain('must be text');
    expect(wrongOf({ ...EVENT, time: 1 })).toContain('must be text');
  });
});

describe('the time of an event', () => {
  test('when it has passed, it counts, to the millisecond; when it is in the future, or none, now does', () => {
    expect(timeOf('2026-11-24T08:59:59Z', NOW)).toBe('2026-11-24T08:59:59.000Z');
    expect(timeOf('2027-01-01T00:00:00Z', NOW)).toBe(ago(0));
    expect(timeOf('yesterday', NOW)).toBe(ago(0));
  });
});

describe('moments', () => {
  test('when a duration is added, the result is Unix time; one that is none throws', () => {
    expect(after(ago(0), 'PT1M')).toBe(NOW + 60_000);
    expect(after(NOW, 'P1D')).toBe(NOW + 86_400_000);
    expect(() => after(NOW, 'soon')).toThrow('soon is not an ISO 8601 duration');
    expect(iso(NOW)).toBe('2026-11-24T09:00:00.500Z');
  });
  test('when some moments are not known, the latest of the others counts', () => {
    expect(latestOf(undefined, 'b', 'a')).toBe('b');
    expect(latestOf(undefined, undefined)).toBe('');
    expect(latestOf()).toBe('');
  });
});

describe('statuses', () => {
  test('when a status may follow another, it does; any other is a mistake', () => {
    for (const from of STATUSES)
      for (const to of STATUSES) {
        const isAllowed = (TRANSITIONS[from] as readonly string[]).includes(to);
        const change = () => withStatus(request('A', { status: from }), to);
        if (isAllowed) expect(change()).toEqual(request('A', { status: to }));
        else expect(change).toThrow(`An offboarding that is ${from} cannot become ${to}`);
      }
  });
  test('when an offboarding has ended, it is completed, failed, cancelled or superseded', () => {
    expect(STATUSES.filter((status) => hasEnded({ status }))).toEqual(
      ['completed', 'failed', 'cancelled', 'superseded'].sort(
        (a, b) => STATUSES.indexOf(a as never) - STATUSES.indexOf(b as never),
      ),
    );
  });
  test('when the transitions are read, they are those of the contract', () => {
    expect(TRANSITIONS).toEqual({
      requested: ['working', 'cancelling', 'superseded', 'failed'],
      working: ['completed', 'failed', 'scheduled', 'cancelling', 'superseded'],
      scheduled: ['removing', 'cancelling', 'superseded', 'failed'],
      removing: ['completed', 'failed'],
      cancelling: ['cancelled', 'failed'],
      completed: ['cancelling'],
      failed: ['cancelling'],
      cancelled: [],
      superseded: ['cancelling'],
    });
  });
});

describe('what a message that may be malformed says of itself', () => {
  test('when all of it is text, all is shown', () => {
    const detail = { ...EVENT.detail, correlation_id: 'c', dry_run: true };
    expect(readableDetail({ ...EVENT, detail })).toEqual({
      ...{
        version: 1,
        offboarding_id: 'e1',
        organization_id: ORG,
        action: 'disable',
        requested_by: 'billing',
        reason: 'contract ended',
      },
      ...{
        caller: '000000000000 billing',
        correlation_id: 'c',
        request: { id: 'e1', source: 'billing', time: EVENT.time },
      },
      ...{ dry_run: true, connections: [] },
    });
  });
  test('when nothing of it can be read, it still has an id of its own', () => {
    for (const raw of [undefined, null, 7, 'text', { detail: 7, id: 7 }]) {
      const shown = readableDetail(raw);
      expect(shown).toMatchObject({
        organization_id: null,
        action: null,
        requested_by: null,
        reason: null,
        caller: '',
        request: null,
        dry_run: false,
      });
      expect(shown.offboarding_id).toMatch(/^[0-9a-f-]{36}$/);
      expect(shown.correlation_id).toBeUndefined();
    }
    expect(readableDetail({ id: '' }).offboarding_id).toMatch(/^[0-9a-f-]{36}$/);
    expect(readableDetail({ detail: { dry_run: 'true' } }).dry_run).toBe(false);
  });
  test('when a text is long, it is cut by characters', () => {
    expect(readableDetail({ detail: { reason: '😀'.repeat(1001) } }).reason).toBe('😀'.repeat(1000));
  });
});
