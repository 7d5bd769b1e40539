// How a batch is accepted: all of it by one write of its item, or none of it ever counts.
import { describe, expect, test } from 'vitest';
import { type AcceptBatchInput, acceptBatch } from '../../../lib/offboarding/intake/accept-batch.ts';
import type { Batch } from '../../../lib/offboarding/model/batch.ts';
import { ago, MINUTE, NOW, organization, parameters, request, STAGE } from '../items.ts';
import { AWAY, REJECTED, UNANSWERED, World } from '../play.ts';

const IDS = ['org_a', 'org_b'];
const input = (changes: Partial<AcceptBatchInput> = {}): AcceptBatchInput => ({
  ...{ batch_id: 'X', fingerprint: 'f', organization_ids: IDS, hasKey: false, stage: STAGE },
  ...{ request: { parameters: parameters(), caller: 'arn:caller' }, memberIdOf: (_, id) => `of ${id}` },
  ...{ nonce: 'n', deadline: NOW + MINUTE },
  ...changes,
});
const accept = (world: World, changes: Partial<AcceptBatchInput> = {}) =>
  world.run(acceptBatch(input(changes), world.now));
const batch = (changes: Partial<Batch> = {}): Batch => ({
  ...{ batch_id: 'X', version: 'v', status: 'open', attempt: 1, fingerprint: 'f', organization_ids: IDS },
  created_at: ago(MINUTE),
  ...changes,
});
const KEYED = { hasKey: true };
const withBatch = (changes: Partial<Batch>) => {
  const world = new World();
  world.batches.X = batch(changes);
  return world;
};
const membersOf = (world: World) =>
  Object.values(world.items).flatMap(({ requests }) => requests.map((one) => one.batch));

describe('a batch', () => {
  test('when all members are written, one write of its item accepts all of it, and messages say so', () => {
    const world = new World();
    expect(accept(world)).toEqual({ is: 'accepted', status: 'accepted', accepted: 2 });
    expect(world.batches.X).toEqual({
      ...{ batch_id: 'X', fingerprint: 'f', organization_ids: IDS, attempt: 1, created_at: ago(0) },
      ...{ status: 'accepted', version: 'n.accepted.1' },
    });
    // The worker learns from the batch's item that they count.
    expect(membersOf(world)).toEqual([0, 1].map(() => ({ id: 'X', attempt: 1, is_accepted: false })));
    expect(world.all('sendDue')).toEqual([
      { do: 'sendDue', notices: IDS.map((organization_id) => ({ organization_id, priority: 'batch' })) },
    ]);
  });
  test('when its organizations are new, none of them is read before it is written', () => {
    const world = new World();
    accept(world);
    expect(world.story).toBe('writeBatch writeOrganization writeOrganization writeBatch sendDue');
  });
  test('when its first write takes long, its members are written by the later time', () => {
    const world = new World();
    world.takes = { writeBatch: 2000 };
    accept(world);
    expect(world.items.org_a?.requests[0]?.accepted_at).toBe(ago(-2000));
  });
  test('when a message is not sent, it is accepted all the same', () => {
    expect(accept(new World().fail('sendDue', AWAY)).is).toBe('accepted');
  });
  test('when one member cannot be written, none of the batch ever counts', () => {
    const world = new World().meanwhile('writeOrganization', () => {}).fail('writeOrganization', REJECTED);
    expect(accept(world)).toEqual({ is: 'unavailable', error: REJECTED });
    expect(world.batches.X).toMatchObject({ status: 'void', version: 'n.void' });
    expect(world.all('sendDue')).toEqual([]);
  });
});

describe('a repetition with the same key', () => {
  test('when the batch was accepted or cancelled, it is answered as that, and nothing is written', () => {
    for (const status of ['accepted', 'cancelled'] as const) {
      const world = withBatch({ status, organization_ids: ['org_a', 'org_b', 'org_c'] });
      expect(accept(world, KEYED)).toEqual({ is: 'replayed', status, accepted: 3 });
      expect(world.story).toBe('readBatch');
    }
  });
  test('when its body is another one, the key is used twice', () => {
    for (const status of ['open', 'accepted', 'void'] as const)
      expect(accept(withBatch({ status, fingerprint: 'g' }), KEYED)).toEqual({ is: 'reused' });
  });
  test('when the first was cut off, it goes on with it, and writes no member twice', () => {
    const world = withBatch({ status: 'open' });
    const first = request('of org_a', { batch: { id: 'X', attempt: 1, is_accepted: false } });
    world.items.org_a = { ...organization({ requests: [first] }), organization_id: 'org_a' };
    expect(accept(world, KEYED)).toMatchObject({ is: 'accepted', accepted: 2 });
    expect(world.items.org_a.requests).toEqual([first]);
    expect(world.items.org_b?.requests).toHaveLength(1);
    expect(world.batches.X).toMatchObject({ status: 'accepted', attempt: 1 });
  });
  test('when the first was given up, it is another attempt, and what the first left is written anew', () => {
    const world = withBatch({ status: 'void', attempt: 2 });
    const old = request('of org_a', { batch: { id: 'X', attempt: 2, is_accepted: false } });
    world.items.org_a = { ...organization({ requests: [request('B'), old] }), organization_id: 'org_a' };
    expect(accept(world, KEYED).is).toBe('accepted');
    expect(world.batches.X).toMatchObject({ status: 'accepted', attempt: 3 });
    expect(world.items.org_a?.requests.map(({ offboarding_id, batch: of }) => [offboarding_id, of?.attempt])).toEqual([
      ['B', undefined],
      ['of org_a', 3],
    ]);
  });
  test('when it comes for the first time, it is a batch like any other', () => {
    const world = new World();
    expect(accept(world, KEYED)).toMatchObject({ is: 'accepted' });
    expect(world.batches.X).toMatchObject({ attempt: 1 });
  });
});

describe('a table that fails a batch', () => {
  test('when the batch cannot be read, nothing is written', () => {
    const world = new World().fail('readBatch', AWAY, { times: 3 });
    expect(accept(world, KEYED)).toEqual({ is: 'unavailable', error: AWAY });
    expect(world.story).toBe('readBatch readBatch readBatch');
    expect(accept(new World().fail('readBatch', AWAY, { times: 2 }), KEYED).is).toBe('accepted');
  });
  test('when its first write is not answered, it is looked up, and goes on if it is there', () => {
    const world = new World().fail('writeBatch', UNANSWERED, { isDone: true });
    expect(accept(world)).toMatchObject({ is: 'accepted', accepted: 2 });
    expect(world.story.startsWith('writeBatch readBatch writeOrganization')).toBe(true);
    const again = new World().fail('writeBatch', AWAY);
    expect(accept(again)).toMatchObject({ is: 'accepted', accepted: 2 });
    // Each attempt has a version of its own: what is read tells whose write it was.
    expect(again.all('writeBatch').map(({ batch: { version } }) => version)).toEqual([
      ...['n.open.1', 'n.open.2', 'n.accepted.1'],
    ]);
  });
  test('when its first write is never taken, it is tried three times; one that is refused for good, once', () => {
    const world = new World().fail('writeBatch', AWAY, { times: 99 });
    expect(accept(world)).toEqual({ is: 'unavailable', error: AWAY });
    expect(world.all('writeBatch')).toHaveLength(3);
    const unanswered = new World().fail('writeBatch', UNANSWERED, { times: 99 }).fail('readBatch', AWAY, { times: 99 });
    expect(accept(unanswered)).toMatchObject({ is: 'unavailable' });
    const refused = new World().fail('writeBatch', REJECTED, { times: 99 });
    expect(accept(refused)).toEqual({ is: 'unavailable', error: REJECTED });
    expect(refused.story).toBe('writeBatch');
  });

  /** A world in which the write that accepts the batch is the next of its kind. */
  const atDecision = () => new World().meanwhile('writeBatch', () => {});
  test('when the write that accepts it is carried out and not answered, it is accepted', () => {
    const world = atDecision().fail('writeBatch', UNANSWERED, { isDone: true });
    expect(accept(world)).toEqual({ is: 'accepted', status: 'accepted', accepted: 2 });
    expect(world.all('sendDue')).toHaveLength(1);
  });
  test('when a repetition was quicker to accept the same attempt, it is accepted', () => {
    const world = atDecision().meanwhile('writeBatch', () => {
      world.batches.X = batch({ status: 'accepted', version: 'another' });
    });
    expect(accept(world).is).toBe('accepted');
  });
  test('when somebody gave it up meanwhile, or another attempt was accepted, it is not', () => {
    for (const changes of [{ status: 'void' as const }, { status: 'accepted' as const, attempt: 2 }]) {
      const world = atDecision().meanwhile('writeBatch', () => {
        world.batches.X = batch({ version: 'another', ...changes });
      });
      expect(accept(world)).toMatchObject({
        is: 'unavailable',
        error: { message: 'The batch could not be stored in time' },
      });
      expect(world.batches.X?.version).toBe('another');
    }
  });
  test('when the write is refused three times, the batch is given up', () => {
    const world = atDecision().fail('writeBatch', AWAY, { times: 3 });
    expect(accept(world)).toEqual({ is: 'unavailable', error: AWAY });
    expect(world.batches.X).toMatchObject({ status: 'void' });
    expect(accept(atDecision().fail('writeBatch', AWAY, { times: 2 })).is).toBe('accepted');
  });
  test('when neither the write nor the read after it is answered, nobody knows', () => {
    const world = atDecision().fail('writeBatch', UNANSWERED).fail('readBatch', AWAY, { times: 3 });
    expect(accept(world)).toEqual({ is: 'unknown', error: AWAY });
    const answered = atDecision().fail('writeBatch', UNANSWERED).fail('readBatch', AWAY);
    expect(accept(answered).is).toBe('accepted');
  });
  test('when the write was refused and the read after it fails, it is tried again, and given up in the end', () => {
    const other = { ...AWAY, code: 'other' };
    const world = atDecision().fail('writeBatch', AWAY).fail('readBatch', other, { times: 3 });
    expect(accept(world)).toEqual({ is: 'unavailable', error: other });
    expect(world.batches.X).toMatchObject({ status: 'void' });
    expect(accept(atDecision().fail('writeBatch', AWAY).fail('readBatch', other)).is).toBe('accepted');
  });
  test('when the time is over before it is accepted, it is given up', () => {
    const world = new World();
    world.takes = { writeOrganization: MINUTE };
    expect(accept(world)).toMatchObject({
      is: 'unavailable',
      error: { message: 'The request could not be stored in time' },
    });
    expect(world.batches.X).toMatchObject({ status: 'void', version: 'n.void' });
    expect(world.all('sendDue')).toEqual([]);
    const later = atDecision().fail('writeBatch', AWAY);
    later.takes = { readBatch: MINUTE };
    expect(accept(later)).toMatchObject({ is: 'unavailable' });
    expect(later.batches.X).toMatchObject({ status: 'void' });
  });
});

describe('an organization of a batch that takes no more', () => {
  const full = (outbox: { event: 'requested'; offboarding_id: string; at: string }[] = []) => {
    const world = new World();
    const requests = Array.from({ length: 20 }, (_, index) => request(`r${index}`));
    world.items.org_a = { ...organization({ requests, outbox }), organization_id: 'org_a' };
    return world;
  };
  test('when the batch is accepted, its offboarding is a failed record, its event goes out, and the others count', () => {
    const world = full();
    expect(accept(world, { hasKey: true })).toEqual({ is: 'accepted', status: 'accepted', accepted: 2 });
    expect(world.records['of org_a']).toMatchObject({
      ...{ offboarding_id: 'of org_a', organization_id: 'org_a', batch_id: 'X', status: 'failed', ended_at: ago(0) },
      error: { code: 'conflict', message: 'The organization has 20 open offboardings; cancel them first' },
    });
    expect(world.records['of org_a']?.expires_at).toBeDefined();
    expect(world.items.org_a).toMatchObject({
      outbox: [{ event: 'failed', offboarding_id: 'of org_a', at: ago(0) }],
      version: 'n.failed.1',
    });
    expect(world.items.org_a?.requests).toHaveLength(20);
    expect(world.items.org_b?.requests).toHaveLength(1);
  });
  test('when the outbox of the organization is full too, its record is all that says so', () => {
    const entries = (count: number) =>
      Array.from({ length: count }, () => ({ event: 'requested' as const, offboarding_id: 'r0', at: ago(0) }));
    const world = full(entries(40));
    expect(accept(world, { hasKey: true }).is).toBe('accepted');
    expect(world.records['of org_a']?.status).toBe('failed');
    expect(world.items.org_a?.outbox).toHaveLength(40);
    const almost = full(entries(39));
    accept(almost, { hasKey: true });
    expect(almost.items.org_a?.outbox).toHaveLength(40);
  });
  test('when all have room, no record is written', () => {
    const world = new World();
    accept(world);
    expect(world.records).toEqual({});
  });
});
