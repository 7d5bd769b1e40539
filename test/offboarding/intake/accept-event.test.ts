import { describe, expect, test } from 'vitest';
import { acceptEvent } from '../../../lib/offboarding/intake/accept-event.ts';
import type { RequestMessage } from '../../../lib/offboarding/model/messages.ts';
import { recordOf } from '../../../lib/offboarding/rules/projection.ts';
import { ago, DAY, found, HOUR, MINUTE, NOW, ORG, organization, parameters, request, STAGE } from '../items.ts';
import { AWAY, UNANSWERED, World } from '../play.ts';

const writer = { nonce: 'n', deadline: NOW + MINUTE, stage: STAGE };
const recorded = (id: string, changes: object = {}) => recordOf(organization(), request(id, changes));

describe('a request by event', () => {
  const TIME = '2026-11-24T08:59:00Z';
  const message = (changes: object = {}, of: object = {}) =>
    ({
      ...{ id: 'e1', source: 'billing', account: '000000000000', time: TIME },
      'detail-type': 'organization.offboarding.requested',
      detail: { organization_id: ORG, ...parameters(), ...of },
      ...changes,
    }) as RequestMessage;
  const take = (world: World, of: RequestMessage = message(), changes: object = {}) =>
    world.run(acceptEvent({ ...writer, message: of, offboarding_id: 'A', fingerprint: 'f', ...changes }, world.now));

  test('when it is accepted, it has its own time, its publisher is its caller, and the worker visits at once', () => {
    const world = new World();
    expect(take(world)).toEqual({ is: 'visit' });
    expect(found(world.item, 'A')).toMatchObject({
      requested_at: '2026-11-24T08:59:00.000Z',
      caller: '000000000000 billing',
      request: { id: 'e1', source: 'billing', time: TIME },
      parameters: parameters(),
    });
    expect(found(world.item, 'A').parameters).not.toHaveProperty('organization_id');
    expect(Object.keys(found(world.item, 'A'))).not.toContain('fingerprint');
    expect(world.all('sendDue')).toEqual([]);
  });
  test('when it has no account, its source alone is its caller', () => {
    const world = new World();
    take(world, message({ account: '' }));
    expect(found(world.item, 'A').caller).toBe('billing');
  });
  test('when it has an idempotency key, a repetition with another body is refused', () => {
    const world = new World();
    const keyed = message({}, { idempotency_key: 'k' });
    expect(take(world, keyed)).toEqual({ is: 'visit' });
    expect(found(world.item, 'A')).toMatchObject({ fingerprint: 'f' });
    expect(found(world.item, 'A').parameters).not.toHaveProperty('idempotency_key');
    expect(take(world, keyed)).toEqual({ is: 'visit' });
    expect(take(world, keyed, { fingerprint: 'g' })).toEqual({
      is: 'refused',
      failure: { code: 'idempotency_key_reused', message: 'The idempotency key was used with another body' },
    });
  });
  test('when it was delivered before and has left the item, it begins nothing anew', () => {
    const world = new World();
    world.records.A = recorded('A', { status: 'completed' });
    expect(take(world)).toEqual({ is: 'visit' });
    expect(world.items).toEqual({});
  });
  test('when it is replayed from the archive after it was too old, nothing is done, and nothing fails', () => {
    const replayed = (time: string) => message({ time, 'replay-name': 'r' });
    const world = new World();
    expect(take(world, replayed(ago(7 * DAY + 1)))).toEqual({ is: 'nothing' });
    expect(world.effects).toEqual([]);
    expect(take(world, replayed(ago(7 * DAY)))).toEqual({ is: 'visit' });
  });
  test('when it is as old and no replay, it is refused', () => {
    expect(take(new World(), message({ time: ago(7 * DAY + 1) }))).toMatchObject({
      is: 'refused',
      failure: { code: 'request_too_old' },
    });
  });
  test('when the table does not answer, it is for later, whether it may be stored or not', () => {
    expect(take(new World().fail('readOrganization', AWAY, { times: 3 }))).toEqual({ is: 'later', error: AWAY });
    const unknown = new World().fail('writeOrganization', UNANSWERED, { times: 3, isDone: true });
    unknown.meanwhile('readOrganization', () => {}).fail('readOrganization', AWAY, { times: 9 });
    expect(take(unknown)).toEqual({ is: 'later', error: AWAY });
  });

  describe('of the service itself', () => {
    const own = (offboarding_id?: string) => message({ source: 'org-connections' }, { offboarding_id });
    const NOT_OURS = { is: 'refused', failure: { code: 'invalid_message' } };
    test('when its offboarding is there, the worker visits; it is no new request', () => {
      const world = new World(organization({ requests: [request('O')] }));
      expect(take(world, own('O'))).toEqual({ is: 'visit' });
      expect(world.story).toBe('readOrganization');
    });
    test('when only its record is left, nothing is to be done', () => {
      const world = new World(organization({ requests: [request('P')] }));
      world.records.O = recorded('O', { status: 'completed', requested_at: ago(HOUR) });
      expect(take(world, own('O'))).toEqual({ is: 'nothing' });
    });
    test('when nobody knows its offboarding, or it names none, somebody poses as the service', () => {
      expect(take(new World(), own('O'))).toMatchObject(NOT_OURS);
      const world = new World(organization({ requests: [request('A')] }));
      expect(take(world, own('O'))).toMatchObject(NOT_OURS);
      const none = new World();
      expect(take(none, own())).toMatchObject({
        failure: { message: 'An event of the service itself has no record: it is not its own' },
      });
      expect(none.effects).toEqual([]);
    });
    test('when the table does not answer, it is for later', () => {
      expect(take(new World().fail('readOrganization', AWAY), own('O'))).toEqual({ is: 'later', error: AWAY });
      expect(take(new World().fail('readRecord', AWAY), own('O'))).toEqual({ is: 'later', error: AWAY });
    });
  });
});
