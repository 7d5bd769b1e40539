// What a cancellation finds, how far it is carried out while its caller waits, and when it is over.
import { describe, expect, test } from 'vitest';
import {
  acceptCancellationEvent,
  type CancelInput,
  cancelOrganization,
} from '../../../lib/offboarding/intake/cancel.ts';
import type { Batch } from '../../../lib/offboarding/model/batch.ts';
import type { Organization } from '../../../lib/offboarding/model/organization.ts';
import { recordOf } from '../../../lib/offboarding/rules/projection.ts';
import { ago, entry, found, HOUR, MINUTE, NOW, ORG, organization, request, SECOND, STAGE, statuses } from '../items.ts';
import { AWAY, UNANSWERED, World } from '../play.ts';

const ACT = { caller: 'arn:support', requested_by: 'support', reason: 'stays' };
const input = (changes: Partial<CancelInput> = {}): CancelInput => ({
  ...{ organization_id: ORG, act: ACT, stage: STAGE, nonce: 'n', deadline: NOW + 28 * SECOND },
  ...changes,
});
const cancel = (world: World, changes: Partial<CancelInput> = {}) =>
  world.run(cancelOrganization(input(changes), world.now));
function foundBy(world: World, changes: Partial<CancelInput> = {}) {
  const result = cancel(world, changes);
  if (result.is !== 'found') throw new Error(JSON.stringify(result));
  return result;
}
/** One offboarding that has disabled a connection. */
const disabled = (changes: Partial<Organization> = {}) =>
  organization({ requests: [request('A', { status: 'scheduled' })], ledger: [entry('con_1', ['A'])], ...changes });

describe('a cancellation over HTTP', () => {
  test('when nothing was done yet, it is over at once, and a message goes out for its events and records', () => {
    const world = new World(organization({ requests: [request('A')] }));
    const result = foundBy(world);
    expect(result).toMatchObject({
      isOver: true,
      isReplayed: false,
      cancellation: { ...ACT, at: ago(0), found: ['A'] },
    });
    expect(result.records).toMatchObject([{ offboarding_id: 'A', status: 'cancelled', organization_id: ORG }]);
    expect(world.all('change')).toEqual([]);
    expect(world.all('sendDue')).toEqual([{ do: 'sendDue', notices: [{ organization_id: ORG, priority: 'single' }] }]);
  });
  test('when a connection was disabled, it is enabled while the caller waits', () => {
    const world = new World(disabled());
    expect(foundBy(world)).toMatchObject({ isOver: true, records: [{ status: 'cancelled' }] });
    expect(world.all('change')).toMatchObject([{ kind: 'connection', id: 'con_1', goal: 'enabled' }]);
    // It works under a lease of its own, which ends in time for the answer.
    const [, leased] = world.all('writeOrganization');
    expect(leased?.item.lease).toEqual({ owner: 'n.visit1', until: NOW + 28 * SECOND - 1500 + MINUTE });
    // Its events and records are the worker's.
    expect(world.all('publish')).toEqual([]);
    expect(world.all('writeRecord')).toEqual([]);
  });
  test('when a request was made in the same millisecond, it is covered', () => {
    const world = new World(organization({ requests: [request('A', { requested_at: ago(0) })] }));
    expect(foundBy(world)).toMatchObject({ cancellation: { found: ['A'] } });
  });
  test('when the clocks differ, it is later than all that the organization has accepted', () => {
    const world = new World(organization({ requests: [request('A')], last_requested_at: ago(-MINUTE) }));
    expect(foundBy(world).cancellation.at).toBe(ago(-MINUTE - 1));
  });
  test('when there is nothing, it is recorded, nobody visits, and no message goes out', () => {
    const world = new World();
    expect(cancel(world)).toEqual({ is: 'nothing' });
    expect(world.item.cancellation).toMatchObject({ ...ACT, found: [] });
    expect(world.story).toBe('readOrganization writeOrganization');
  });
  test('when connections are being removed, it is too late, and nothing is written', () => {
    const world = new World(organization({ requests: [request('A', { status: 'removing', updated_at: ago(HOUR) })] }));
    expect(cancel(world)).toEqual({ is: 'removing', since: ago(HOUR), offboarding_id: 'A' });
    expect(world.story).toBe('readOrganization');
  });
  test('when it is sent again, it is answered as the first, by the records where these are all that is left', () => {
    const cancellation = { ...ACT, at: ago(HOUR), found: ['A', 'B'], reenabled: ['A'] };
    const world = new World(organization({ cancellation }));
    for (const id of ['A', 'B']) world.records[id] = recordOf(world.item, request(id, { status: 'cancelled' }));
    const result = foundBy(world);
    expect(result).toMatchObject({ isReplayed: true, isOver: true, cancellation: { found: ['A', 'B'] } });
    expect(result.records.map(({ offboarding_id }) => offboarding_id)).toEqual(['A', 'B']);
  });
  test('when a record is not there, nobody can say that it is over', () => {
    const cancellation = { ...ACT, at: ago(HOUR), found: ['A'], reenabled: ['A'] };
    expect(foundBy(new World(organization({ cancellation })))).toMatchObject({ records: [], isOver: false });
  });
  test('when the result cannot be read, it is shown as it was accepted, and not over', () => {
    const world = new World(organization({ requests: [request('A')] }));
    const reads = () => world.all('readOrganization').length;
    world.answers.readOrganization = () => world.item;
    const again = new World(organization({ requests: [request('A')] }));
    foundBy(world);
    const last = reads();
    for (let i = 1; i < last; i++) again.meanwhile('readOrganization', () => {});
    again.fail('readOrganization', AWAY);
    expect(foundBy(again)).toMatchObject({ records: [{ status: 'cancelled' }], isOver: false });
  });
  test('when the table does not answer, the caller is told whether it may be written', () => {
    const world = new World(disabled()).fail('readOrganization', AWAY, { times: 3 });
    expect(cancel(world)).toEqual({ is: 'unavailable', error: AWAY });
    const unknown = new World(disabled()).fail('writeOrganization', UNANSWERED, { times: 3, isDone: true });
    unknown.meanwhile('readOrganization', () => {}).fail('readOrganization', AWAY, { times: 9 });
    expect(cancel(unknown)).toEqual({ is: 'unknown', error: AWAY });
    expect(unknown.all('sendDue')).toEqual([]);
  });
});

describe('a caller who waits', () => {
  const leased = (until: number) => disabled({ lease: { owner: 'worker', until } });
  test('when the worker is at work, the caller waits for its turn, a quarter of a second at a time', () => {
    const world = new World(leased(NOW + HOUR));
    let pauses = 0;
    world.answers.pause = ({ ms }) => {
      world.now += ms;
      if (++pauses === 4) world.items[ORG] = { ...world.item, lease: undefined, version: 'by the worker' };
    };
    expect(foundBy(world)).toMatchObject({ isOver: true });
    expect(world.all('pause').map(({ ms }) => ms)).toEqual([250, 250, 250, 250]);
  });
  test('when the worker stays at work, the caller waits for ten seconds, and the rest goes on by itself', () => {
    const world = new World(leased(NOW + HOUR));
    expect(foundBy(world)).toMatchObject({ isOver: false, records: [{ status: 'cancelling' }] });
    expect(world.all('pause')).toHaveLength(40);
    expect(world.all('sendDue')).toHaveLength(1);
  });
  test('when the caller has less time, the wait ends in time for the answer', () => {
    const world = new World(leased(NOW + HOUR));
    foundBy(world, { deadline: NOW + 2500 });
    expect(world.now).toBe(NOW + SECOND);
  });
  test('when Auth0 fails, the caller is told at once: the worker goes on', () => {
    const world = new World(disabled()).fail('change', { ...AWAY, code: 'auth0_unavailable' }, { times: 9 });
    expect(foundBy(world)).toMatchObject({ isOver: false, records: [{ status: 'cancelling' }] });
    expect(world.all('pause')).toEqual([]);
    expect(world.all('change')).toHaveLength(1);
  });
  test('when Auth0 may still carry out an earlier call, it is not over', () => {
    const world = new World(disabled({ lease: { owner: 'nobody', until: NOW + HOUR } }));
    expect(foundBy(world)).toMatchObject({ isOver: false });
    expect(world.all('pause')).toEqual([]);
  });
  test('when somebody cancels anew what was carried out, it is not over before that is', () => {
    const cancelledAgain = (id: string) => {
      const world = new World(disabled());
      world.answers.readOrganization = () => {
        const isDone = world.item.requests[0]?.status === 'cancelled' && !world.item.lease;
        const requests = [request('A', { status: id === 'A' ? 'cancelling' : 'cancelled' })];
        return isDone ? { ...world.item, requests } : world.item;
      };
      return foundBy(world).isOver;
    };
    expect(cancelledAgain('A')).toBe(false);
    expect(cancelledAgain('none')).toBe(true);
  });
  test('when the worker ends only after the caller has waited, the caller hears that it goes on', () => {
    const world = new World(leased(NOW + HOUR));
    let pauses = 0;
    world.answers.pause = ({ ms }) => {
      world.now += ms;
      const requests = [request('A', { status: 'cancelled' })];
      if (++pauses === 40) world.items[ORG] = { ...world.item, requests, ledger: [], lease: undefined };
    };
    expect(foundBy(world)).toMatchObject({ isOver: false, records: [{ status: 'cancelled' }] });
  });
  test('when somebody works on it again after it was carried out, it is not over until that lease has passed', () => {
    const after = (until: number) => {
      const world = new World(disabled());
      world.answers.readOrganization = () => {
        const isDone = world.item.requests[0]?.status === 'cancelled' && !world.item.lease;
        return isDone ? { ...world.item, lease: { owner: 'worker', until } } : world.item;
      };
      return foundBy(world).isOver;
    };
    expect(after(NOW - 120_000 + 1)).toBe(false);
    expect(after(NOW - 120_000)).toBe(true);
  });
});

describe('members of batches', () => {
  const member = request('A', { batch: { id: 'X', attempt: 1, is_accepted: false } });
  const withBatch = (changes: Partial<Batch> | undefined) => {
    const world = new World(organization({ requests: [member] }));
    const batch = { batch_id: 'X', attempt: 1, fingerprint: 'f', organization_ids: [ORG], created_at: ago(SECOND) };
    if (changes) world.batches.X = { ...batch, status: 'open', ...changes };
    return world;
  };
  test('when their batch is accepted and they do not know it yet, they are found', () => {
    const world = withBatch({ status: 'accepted' });
    expect(foundBy(world)).toMatchObject({ isOver: true, records: [{ offboarding_id: 'A', status: 'cancelled' }] });
    expect(found(world.item, 'A').batch?.is_accepted).toBe(true);
  });
  test('when their batch is still open, they are no find, and begin as cancelled', () => {
    const world = withBatch({ status: 'open' });
    expect(cancel(world)).toEqual({ is: 'nothing' });
    expect(found(world.item, 'A')).toMatchObject({ status: 'requested', cancelled: { ...ACT, at: ago(0) } });
  });
  test('when their batch is void, or gone, they leave no trace', () => {
    for (const batch of [{ status: 'void' as const }, undefined]) {
      const world = withBatch(batch);
      expect(cancel(world)).toEqual({ is: 'nothing' });
      expect(statuses(world.item)).toEqual({});
    }
  });
  test('when their batch cannot be read, the caller is told, and nothing is written', () => {
    const world = withBatch({ status: 'accepted' }).fail('readBatch', AWAY, { times: 3 });
    expect(cancel(world)).toEqual({ is: 'unavailable', error: AWAY });
    expect(world.all('writeOrganization')).toEqual([]);
  });
  test('when a request is of no batch, or its batch is known to be accepted, no batch is read', () => {
    const known = request('B', { batch: { id: 'X', attempt: 1, is_accepted: true } });
    const world = new World(organization({ requests: [request('A'), known] }));
    foundBy(world);
    expect(world.all('readBatch')).toEqual([]);
  });
});

describe('a cancellation by event', () => {
  const take = (world: World, at = ago(0)) => world.run(acceptCancellationEvent({ ...input(), at }, world.now));
  test('when it finds something, it is recorded by its own time, and the worker carries it out', () => {
    const world = new World(disabled());
    expect(take(world, ago(SECOND))).toMatchObject({ is: 'done', value: { is: 'found' } });
    expect(world.item.cancellation).toMatchObject({ ...ACT, at: ago(SECOND) });
    expect(statuses(world.item)).toEqual({ A: 'cancelling' });
    expect(world.story).toBe('readOrganization writeOrganization sendDue');
    expect(world.all('sendDue')).toEqual([{ do: 'sendDue', notices: [{ organization_id: ORG, priority: 'single' }] }]);
  });
  test('when it is delivered again, it has found something, also after a later request', () => {
    const world = new World(disabled());
    take(world, ago(SECOND));
    expect(take(world, ago(SECOND))).toMatchObject({ value: { is: 'found' } });
    const since = organization({
      requests: [request('B', { requested_at: ago(0) })],
      cancellation: { ...ACT, at: ago(SECOND), found: [], reenabled: [], has_found: true },
    });
    expect(take(new World(since), ago(SECOND))).toMatchObject({ value: { is: 'found' } });
    expect(take(new World(since), ago(2 * SECOND))).toMatchObject({ value: { is: 'nothing' } });
    const other = { ...since, cancellation: { ...ACT, at: ago(0), found: ['B'], reenabled: [] } };
    expect(take(new World(other), ago(SECOND))).toMatchObject({ value: { is: 'nothing' } });
    const cancelled = request('A', { status: 'cancelling', cancelled: { ...ACT, at: ago(SECOND) } });
    expect(take(new World({ ...other, requests: [cancelled] }), ago(SECOND))).toMatchObject({ value: { is: 'found' } });
  });
  test('when a request over HTTP was made in the same millisecond, that one is later', () => {
    const world = new World(organization({ requests: [request('A', { requested_at: ago(SECOND) })] }));
    expect(take(world, ago(SECOND))).toMatchObject({ value: { is: 'nothing' } });
  });
  test('when the table does not answer, it is not recorded', () => {
    expect(take(new World().fail('readOrganization', AWAY, { times: 3 }))).toMatchObject({ is: 'unavailable' });
  });
});
