import { describe, expect, test } from 'vitest';
import { cancelBatch } from '../../../lib/offboarding/intake/cancel-batch.ts';
import type { Batch } from '../../../lib/offboarding/model/batch.ts';
import type { LedgerEntry, OpenRequest } from '../../../lib/offboarding/model/organization.ts';
import { recordOf } from '../../../lib/offboarding/rules/projection.ts';
import { ago, entry, HOUR, MINUTE, NOW, organization, request, SECOND, STAGE } from '../items.ts';
import { AWAY, UNANSWERED, World } from '../play.ts';

const ACT = { at: ago(0), caller: 'arn:support', requested_by: 'support', reason: 'stays' };
const batch = (changes: Partial<Batch> = {}): Batch => ({
  ...{ batch_id: 'X', version: 'v', status: 'accepted', attempt: 1, fingerprint: 'f', organization_ids: ['org_a'] },
  created_at: ago(HOUR),
  ...changes,
});
const cancel = (world: World) =>
  world.run(
    cancelBatch(
      {
        batch_id: 'X',
        act: ACT,
        memberIdOf: (_, id) => `of ${id}`,
        nonce: 'n',
        deadline: NOW + MINUTE,
        stage: STAGE,
      },
      world.now,
    ),
  );
const member = (changes: Partial<OpenRequest> = {}, of: object = {}) =>
  request('of org_a', { batch: { id: 'X', attempt: 1, is_accepted: true }, ...changes }, of);
function withMember(one: OpenRequest, ledger: LedgerEntry[] = [], changes: Partial<Batch> = {}): World {
  const world = new World();
  world.batches.X = batch(changes);
  world.items.org_a = { ...organization({ requests: [one], ledger }), organization_id: 'org_a' };
  return world;
}
const first = (world: World) => world.items.org_a?.requests[0];
const CANCELLED = { is: 'cancelled', cancelling: 1, not_pending: 0 };
const NOT_PENDING = { is: 'cancelled', cancelling: 0, not_pending: 1 };

describe('the cancellation of a batch', () => {
  test('when the batch is accepted, its item says so first, then each member is cancelled, and messages go out', () => {
    const world = withMember(member());
    expect(cancel(world)).toEqual(CANCELLED);
    expect(world.batches.X).toMatchObject({ status: 'cancelled', cancelled: ACT, version: 'n.done' });
    expect(world.batches.X?.due_at).toBeUndefined();
    expect(first(world)).toMatchObject({ status: 'cancelled', cancelled: ACT });
    expect(world.all('writeBatch')[0]).toMatchObject({
      batch: { status: 'cancelled', due_at: ago(-MINUTE), version: 'n.cancelled.1' },
      expected: 'v',
    });
    expect(world.all('sendDue')).toEqual([
      { do: 'sendDue', notices: [{ organization_id: 'org_a', priority: 'batch' }] },
    ]);
    expect(world.story).toBe('readBatch writeBatch readOrganization writeOrganization writeBatch sendDue');
  });
  test('when it disabled something, the worker enables that', () => {
    const world = withMember(member({ status: 'scheduled' }), [entry('con_1', ['of org_a'])]);
    expect(cancel(world)).toEqual(CANCELLED);
    expect(first(world)?.status).toBe('cancelling');
  });
  test('when it has several, those that are pending are cancelled, and only of these a message is sent', () => {
    const world = withMember(member(), [], { organization_ids: ['org_a', 'org_b', 'org_c'] });
    const done = { ...member({ status: 'completed' }), offboarding_id: 'of org_c' };
    world.items.org_c = { ...organization({ requests: [done] }), organization_id: 'org_c' };
    expect(cancel(world)).toEqual({ is: 'cancelled', cancelling: 1, not_pending: 2 });
    expect(world.all('sendDue').flatMap(({ notices }) => notices)).toHaveLength(1);
  });
  test('when the batch is unknown, open or given up, there is nothing to cancel', () => {
    expect(cancel(new World())).toEqual({ is: 'not found' });
    for (const status of ['open', 'void'] as const)
      expect(cancel(withMember(member(), [], { status }))).toEqual({ is: 'not found' });
  });
  test('when it is cancelled already, it goes on where it was cut off, by the act of the first', () => {
    const firstAct = { at: ago(MINUTE), caller: 'arn:first' };
    const world = withMember(member(), [], { status: 'cancelled', cancelled: firstAct, due_at: ago(-SECOND) });
    expect(cancel(world)).toEqual(CANCELLED);
    expect(first(world)?.cancelled).toEqual(firstAct);
    expect(world.batches.X).toMatchObject({ version: 'n.done', cancelled: firstAct });
    expect(world.batches.X?.due_at).toBeUndefined();
  });
  test('when it was cancelled to its end, its item is not written again', () => {
    const world = withMember(member({ status: 'cancelling' }), [], { status: 'cancelled' });
    expect(cancel(world)).toEqual(CANCELLED);
    expect(world.all('writeBatch')).toEqual([]);
    expect(world.all('writeOrganization')).toEqual([]);
  });
});

describe('a member of a batch that is cancelled', () => {
  test('when it is being removed, or has ended, it stays as it is', () => {
    const removing = withMember(member({ status: 'removing' }), [entry('con_1', ['of org_a'])]);
    expect(cancel(removing)).toEqual(NOT_PENDING);
    expect(first(removing)?.status).toBe('removing');
    expect(removing.all('sendDue')).toEqual([]);
    const atOnce = member({ status: 'working' }, { action: 'remove' });
    expect(cancel(withMember(atOnce, [entry('con_1', ['of org_a'])]))).toEqual(NOT_PENDING);
    expect(cancel(withMember(member({ status: 'completed' })))).toEqual(NOT_PENDING);
    expect(cancel(withMember(member({ status: 'superseded' })))).toEqual(NOT_PENDING);
    expect(cancel(withMember(member({}, { dry_run: true })))).toEqual(NOT_PENDING);
    const waiting = { batch: { id: 'X', attempt: 1, is_accepted: false } };
    expect(cancel(withMember(member(waiting, { dry_run: true })))).toEqual(NOT_PENDING);
  });
  test('when a member that was taken over still ends sessions, they stop', () => {
    const world = withMember(member({ status: 'superseded', superseded_by: 'B' }, { end_sessions: true }));
    expect(cancel(world)).toEqual(CANCELLED);
    expect(first(world)).toMatchObject({ status: 'cancelled', cancelled: ACT });
  });
  test('when it is cancelled or being cancelled, it counts as cancelled', () => {
    for (const status of ['cancelling', 'cancelled'] as const) {
      const world = withMember(member({ status }));
      expect(cancel(world)).toEqual(CANCELLED);
      expect(world.all('writeOrganization')).toEqual([]);
    }
  });
  test('when it does not know yet that its batch is accepted, it is accepted as cancelled', () => {
    const world = withMember(member({ batch: { id: 'X', attempt: 1, is_accepted: false } }));
    expect(cancel(world)).toEqual(CANCELLED);
    expect(first(world)).toMatchObject({ status: 'cancelled', batch: { is_accepted: true }, cancelled: ACT });
  });
  test('when another request of the organization is open, that one goes on', () => {
    const world = withMember(member());
    world.items.org_a?.requests.unshift(request('other'));
    expect(cancel(world)).toEqual(CANCELLED);
    expect(first(world)).toMatchObject({ offboarding_id: 'other', status: 'requested' });
  });
  test('when the worker has dealt with it meanwhile, its record tells; of a repetition nothing is left to be done', () => {
    const gone = (status: 'cancelled' | 'completed', changes: Partial<Batch> = {}) => {
      const world = withMember(request('other'), [], changes);
      world.records['of org_a'] = recordOf(organization(), request('of org_a', { status }));
      return cancel(world);
    };
    expect(gone('cancelled')).toEqual(CANCELLED);
    expect(gone('completed')).toEqual(NOT_PENDING);
    expect(gone('cancelled', { status: 'cancelled' })).toEqual(NOT_PENDING);
    expect(cancel(withMember(request('other')))).toEqual(NOT_PENDING);
  });
});

describe('a table that fails the cancellation of a batch', () => {
  test('when the batch cannot be read, the caller is told', () => {
    const world = withMember(member()).fail('readBatch', AWAY, { times: 3 });
    expect(cancel(world)).toEqual({ is: 'unavailable', error: AWAY });
  });
  test('when its write is not answered, it is read again, and may be cancelled already', () => {
    const world = withMember(member()).fail('writeBatch', UNANSWERED, { isDone: true });
    expect(cancel(world)).toEqual(CANCELLED);
    const refused = withMember(member()).fail('writeBatch', AWAY);
    expect(cancel(refused)).toEqual(CANCELLED);
    expect(refused.all('writeBatch')[1]?.batch.version).toBe('n.cancelled.2');
  });
  test('when its write is never taken, it is tried three times; when others are quicker, more often', () => {
    const world = withMember(member()).fail('writeBatch', AWAY, { times: 99 });
    expect(cancel(world)).toEqual({ is: 'unavailable', error: AWAY });
    expect(world.all('writeBatch')).toHaveLength(3);
    const overtaken = withMember(member());
    overtaken.answers.writeBatch = () => false;
    expect(cancel(overtaken)).toMatchObject({
      is: 'unavailable',
      error: { message: 'The request could not be stored in time' },
    });
  });
  test('when a member cannot be cancelled, the caller is told, and the batch stays due', () => {
    const world = withMember(member()).fail('writeOrganization', AWAY, { times: 9 });
    expect(cancel(world)).toEqual({ is: 'unavailable', error: AWAY });
    expect(world.batches.X).toMatchObject({ status: 'cancelled', due_at: ago(-MINUTE) });
    expect(world.all('sendDue')).toEqual([]);
  });
});
