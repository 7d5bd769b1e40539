import { describe, expect, test } from 'vitest';
import type { Batch } from '../../../lib/offboarding/model/batch.ts';
import type { OpenRequest, Organization } from '../../../lib/offboarding/model/organization.ts';
import { acceptMember, withMember } from '../../../lib/offboarding/rules/members.ts';
import { ago, events, found, MINUTE, NOW, organization, outbox, request, SECOND, statuses } from '../items.ts';

const with_ = (one: OpenRequest, changes: Partial<Organization> = {}) => organization({ requests: [one], ...changes });

const batchOf = (status: Batch['status']): Batch => ({
  ...{ batch_id: 'X', status, attempt: 1, fingerprint: 'f', organization_ids: [], created_at: ago(MINUTE) },
});

describe('a member of a batch', () => {
  const batch = { id: 'X', attempt: 2, is_accepted: false };
  test('when its batch is accepted, it counts', () => {
    const one = request('A', { batch });
    expect(found(acceptMember(with_(one), one, NOW), 'A')).toMatchObject({
      status: 'requested',
      batch: { ...batch, is_accepted: true },
    });
  });
  test('when it was cancelled meanwhile, it is cancelled at once', () => {
    const one = request('A', { batch, cancelled: { at: ago(SECOND), caller: 'c' } });
    const next = acceptMember(with_(one), one, NOW);
    expect(found(next, 'A')).toMatchObject({
      status: 'cancelled',
      batch: { is_accepted: true },
      cancelled: { at: ago(SECOND) },
    });
  });
  test('when its attempt was given up, overtaken or is gone, it leaves no trace; an attempt that may come does not tell', () => {
    const item = organization({
      requests: [request('A', { batch }), request('B')],
      outbox: [outbox('requested', 'A'), outbox('requested', 'B')],
    });
    const after = (status: Batch['status'], attempt: number) =>
      withMember(item, found(item, 'A'), { ...batchOf(status), attempt }, NOW);
    const none = withMember(item, found(item, 'A'), null, NOW);
    expect([statuses(none), events(none)]).toEqual([{ B: 'requested' }, ['requested B']]);
    for (const status of ['open', 'accepted', 'void', 'cancelled'] as const) {
      expect(after(status, 3)).toEqual(none);
      expect(after(status, 1)).toBe(item);
    }
    expect(after('void', 2)).toEqual(none);
    expect(after('open', 2)).toBe(item);
    expect(found(after('accepted', 2), 'A').batch?.is_accepted).toBe(true);
  });
  test('when its batch is cancelled, it is cancelled by whoever cancelled that', () => {
    const item = with_(request('A', { batch }));
    const cancelled = { at: ago(SECOND), caller: 'c' };
    const next = withMember(item, found(item, 'A'), { ...batchOf('cancelled'), attempt: 2, cancelled }, NOW);
    expect(found(next, 'A')).toMatchObject({ status: 'cancelled', cancelled });
  });
});
