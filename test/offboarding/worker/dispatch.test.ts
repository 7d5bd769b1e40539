// What the dispatcher sends of what the index has: pages, shards, batches, and what is on its way already.
import { describe, expect, test } from 'vitest';
import type { DueItem } from '../../../lib/offboarding/model/effects.ts';
import { type DispatchInput, dispatchDueWork } from '../../../lib/offboarding/worker/dispatch.ts';
import { ago, DAY, HOUR, MINUTE, NOW, organization, request, STAGE } from '../items.ts';
import { AWAY, World } from '../play.ts';

const work = (organization_id: string, changes: Partial<DueItem> = {}): DueItem => ({
  ...{ organization_id, offboarding_id: 'organization', due_at: ago(HOUR), work_due_at: ago(HOUR) },
  priority: 'single',
  ...changes,
});
const check = (organization_id: string, ms: number, changes: Partial<DueItem> = {}) =>
  work(organization_id, { due_at: ago(ms), work_due_at: undefined, priority: 'watch', ...changes });
const worldOf = (...pages: DueItem[][]) => {
  const world = new World();
  world.answers.readDue = ({ cursor = '0' }) => {
    const place = Number(cursor);
    return { due: pages[place] ?? [], cursor: place + 1 < pages.length ? String(place + 1) : undefined };
  };
  return world;
};
const dispatch = (world: World, changes: Partial<DispatchInput> = {}) =>
  world.run(
    dispatchDueWork(
      {
        ...{ nonce: 'n', deadline: NOW + MINUTE, shards: [0], all: false, stage: STAGE },
        memberIdOf: (batch, id) => `${batch} ${id}`,
        ...changes,
      },
      NOW,
    ),
  );
const noticesOf = (world: World) =>
  world.all('sendDue').flatMap(({ notices }) => notices.map((one) => `${one.organization_id} ${one.priority}`));
const NOTHING = { sent: 0, checks: 0, late: 0, oldest: NOW, isWhole: true };

describe('what is due', () => {
  test('when nothing is, nothing is sent', () => {
    const world = worldOf([]);
    expect(dispatch(world)).toEqual(NOTHING);
    expect(world.effects).toEqual([{ do: 'readDue', shard: 0, before: ago(0), cursor: undefined }]);
  });
  test('when work is due, a notice goes out in its group, and the next half hour no other does', () => {
    const world = worldOf([work('org_a'), work('org_b', { due_at: ago(DAY), priority: 'batch' })]);
    expect(dispatch(world)).toEqual({ ...NOTHING, sent: 2, oldest: NOW - HOUR });
    expect(noticesOf(world)).toEqual(['org_a single', 'org_b batch']);
    expect(world.all('markNoticed')).toEqual(
      [ago(HOUR), ago(DAY)].map((due_at, index) => ({
        ...{ do: 'markNoticed', organization_id: ['org_a', 'org_b'][index], offboarding_id: 'organization', due_at },
        notice_at: NOW + 30 * MINUTE,
      })),
    );
  });
  test('when several are due, the oldest of the work is measured, whether its notice goes out or not', () => {
    const ages = [2 * HOUR, DAY, HOUR].map((ms, index) => work(`org_${index}`, { work_due_at: ago(ms) }));
    expect(dispatch(worldOf(ages)).oldest).toBe(NOW - DAY);
    const noticed = worldOf([work('org_a', { notice_at: NOW + 1 })]);
    expect(dispatch(noticed)).toEqual({ ...NOTHING, oldest: NOW - HOUR });
    expect(noticed.all('sendDue')).toEqual([]);
  });
  test('when a notice has been on its way for long enough, or all are wanted, another goes out', () => {
    expect(dispatch(worldOf([work('org_a', { notice_at: NOW })])).sent).toBe(1);
    expect(dispatch(worldOf([work('org_a', { notice_at: NOW + HOUR })]), { all: true }).sent).toBe(1);
  });
  test('when work is due just now, it is; what is due a moment later counts as a check', () => {
    expect(dispatch(worldOf([work('org_a', { work_due_at: ago(0) })])).checks).toBe(0);
    const later = worldOf([work('org_a', { work_due_at: ago(-1) })]);
    expect(dispatch(later).checks).toBe(1);
    expect(noticesOf(later)).toEqual(['org_a watch']);
  });
  test('when the index has pages and shards, each of them is read to its end', () => {
    const world = worldOf([work('org_a')], [], [work('org_b')]);
    expect(dispatch(world, { shards: [3, 5] }).sent).toBe(4);
    expect(world.all('readDue').map(({ shard, cursor }) => `${shard} ${cursor ?? ''}`)).toEqual([
      ...['3 ', '3 1', '3 2'],
      ...['5 ', '5 1', '5 2'],
    ]);
  });
  test('when the index fails, what was sent before is told', () => {
    const world = worldOf([work('org_a')], [work('org_b')])
      .meanwhile('readDue', () => {})
      .fail('readDue', AWAY);
    expect(dispatch(world)).toMatchObject({ sent: 1, isWhole: false });
  });
  test('when the queue takes nothing, nothing is marked, and the next page is tried', () => {
    const world = worldOf([work('org_a')], [work('org_b')]).fail('sendDue', AWAY);
    expect(dispatch(world)).toMatchObject({ sent: 1 });
    expect(world.all('markNoticed').map(({ organization_id }) => organization_id)).toEqual(['org_b']);
  });
});

describe('drift checks', () => {
  test('when they are due, they go in their own group; later than a day, they are late', () => {
    const world = worldOf([check('org_a', MINUTE), check('org_b', DAY), check('org_c', DAY + 1)]);
    expect(dispatch(world)).toEqual({ ...NOTHING, sent: 3, checks: 3, late: 1 });
    expect(noticesOf(world)).toEqual(['org_a watch', 'org_b watch', 'org_c watch']);
  });
  test('when more than three thousand are due, the others wait for the next run, and are counted', () => {
    const world = worldOf(Array.from({ length: 3001 }, (_, index) => check(`org_${index}`, MINUTE)));
    expect(dispatch(world)).toMatchObject({ sent: 3000, checks: 3001 });
  });
});

describe('a batch whose cancellation was cut off', () => {
  const cutOff = () => {
    const world = worldOf([work('X', { offboarding_id: 'batch', priority: 'batch' })]);
    world.batches.X = {
      ...{ batch_id: 'X', version: 'v', status: 'cancelled', attempt: 1, fingerprint: 'f', due_at: ago(HOUR) },
      ...{ organization_ids: ['org_a', 'org_b'], created_at: ago(DAY) },
    };
    const batch = { id: 'X', attempt: 1, is_accepted: true };
    world.items.org_a = { ...organization({ requests: [request('X org_a', { batch })] }), organization_id: 'org_a' };
    return world;
  };
  test('when it is due, its members are cancelled by the service, and no notice is sent about the batch itself', () => {
    const world = cutOff();
    expect(dispatch(world)).toMatchObject({ sent: 0, oldest: NOW - HOUR });
    expect(world.items.org_a?.requests[0]).toMatchObject({
      status: 'cancelled',
      cancelled: { at: ago(0), caller: 'org-connections' },
    });
    expect(world.items.org_a?.version).toBe('n.X.1');
    expect(world.batches.X?.due_at).toBeUndefined();
    expect(noticesOf(world)).toEqual(['org_a batch']);
    expect(world.all('markNoticed')).toEqual([]);
  });
  test('when it was accepted and some took no more, they get their records, and nothing is cancelled', () => {
    const world = cutOff();
    const { parameters } = request('A');
    const failure = { code: 'conflict', message: 'It takes no more' };
    world.batches.X = {
      ...(world.batches.X as NonNullable<typeof world.batches.X>),
      ...{ status: 'accepted', cancelled: undefined },
      refused: { organization_ids: ['org_b'], parameters, caller: 'somebody', failure },
    };
    dispatch(world);
    expect(world.all('writeRecord')).toMatchObject([
      { record: { organization_id: 'org_b', offboarding_id: 'X org_b', status: 'failed', error: failure } },
    ]);
    expect(world.items.org_b?.outbox).toMatchObject([{ event: 'failed', offboarding_id: 'X org_b' }]);
    expect(world.batches.X).toMatchObject({ status: 'accepted', version: 'n.X.done' });
    expect(world.batches.X?.refused).toBeUndefined();
    expect(world.batches.X?.due_at).toBeUndefined();
    expect(world.items.org_a?.requests[0]?.status).toBe('requested');
  });
  test('when the table does not take such a record, the batch stays due', () => {
    const world = cutOff().fail('writeRecord', AWAY, { times: 9 });
    const failure = { code: 'conflict', message: 'It takes no more' };
    const refused = { organization_ids: ['org_b'], parameters: request('A').parameters, caller: 'somebody', failure };
    world.batches.X = { ...(world.batches.X as NonNullable<typeof world.batches.X>), status: 'accepted', refused };
    dispatch(world);
    expect(world.batches.X).toMatchObject({ refused, due_at: expect.any(String) });
    expect(world.items.org_b).toBeUndefined();
  });
});
