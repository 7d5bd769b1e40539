// How a request over HTTP is accepted: what is written, what the caller is told, and what a table that fails makes of it.
import { describe, expect, test } from 'vitest';
import { acceptOffboarding } from '../../../lib/offboarding/intake/accept.ts';
import type { Organization } from '../../../lib/offboarding/model/organization.ts';
import { recordOf } from '../../../lib/offboarding/rules/projection.ts';
import { ago, DAY, found, MINUTE, NOW, ORG, organization, parameters, request, STAGE, statuses } from '../items.ts';
import { AWAY, REJECTED, UNANSWERED, World } from '../play.ts';

const writer = { nonce: 'n', deadline: NOW + MINUTE, stage: STAGE };
const given = (changes: object = {}) => ({
  ...{ offboarding_id: 'A', parameters: parameters(), caller: 'arn:caller' },
  ...changes,
});
const post = (world: World, changes: object = {}, of: object = {}) =>
  world.run(
    acceptOffboarding(
      { ...writer, organization_id: ORG, request: given(of), mayBeRepeated: false, ...changes },
      world.now,
    ),
  );
const recorded = (id: string, changes: object = {}) => recordOf(organization(), request(id, changes));

describe('a request over HTTP', () => {
  test('when it is accepted, it is in the organization’s item, and a message says so', () => {
    const world = new World();
    expect(post(world)).toEqual({ is: 'accepted', status: 'requested' });
    expect(statuses(world.item)).toEqual({ A: 'requested' });
    expect(world.item).toMatchObject({ organization_id: ORG, version: 'n.1', revision: 1 });
    expect(world.all('sendDue')).toEqual([{ do: 'sendDue', notices: [{ organization_id: ORG, priority: 'single' }] }]);
    expect(world.story).toBe('readOrganization writeOrganization sendDue');
  });
  test('when the worker accepts it itself, no message is needed', () => {
    const world = new World();
    expect(post(world, { isQuiet: true }).is).toBe('accepted');
    expect(world.all('sendDue')).toEqual([]);
  });
  test('when an earlier message about something else is on its way, that does not count as one about this', () => {
    const world = new World(organization({ notice_at: NOW + DAY }));
    post(world);
    expect(world.item).toMatchObject({ version: 'n.1', revision: 4 });
    expect(world.item.notice_at).toBeUndefined();
  });
  test('when its message is not sent, it is accepted all the same', () => {
    expect(post(new World().fail('sendDue', AWAY)).is).toBe('accepted');
  });
  test('when it has the key of one that is open, it is a repetition; with another body the key is used twice', () => {
    const world = new World(organization({ requests: [request('A', { status: 'working', fingerprint: 'f' })] }));
    expect(post(world, {}, { fingerprint: 'f' })).toEqual({ is: 'replayed', status: 'working' });
    expect(post(world, {}, { fingerprint: 'g' })).toEqual({ is: 'reused' });
    expect(world.all('writeOrganization')).toEqual([]);
    expect(world.all('sendDue')).toEqual([]);
  });
  test('when it has the key of one that has left the item, its record tells', () => {
    const world = new World();
    world.records.A = recorded('A', { status: 'completed', fingerprint: 'f' });
    const again = { mayBeRepeated: true };
    expect(post(world, again, { fingerprint: 'f' })).toEqual({ is: 'replayed', status: 'completed' });
    expect(post(world, again, { fingerprint: 'g' })).toEqual({ is: 'reused' });
    expect(post(world, again, { offboarding_id: 'B' }).is).toBe('accepted');
  });
  test('when it has no key, no record is looked up: its id is new', () => {
    const world = new World();
    post(world);
    expect(world.all('readRecord')).toEqual([]);
  });
  test('when the organization takes no more, it is refused, and nothing is written', () => {
    const requests = Array.from({ length: 20 }, (_, index) => request(`r${index}`));
    const world = new World(organization({ requests }));
    expect(post(world)).toMatchObject({ is: 'refused', failure: { code: 'conflict' } });
    expect(world.story).toBe('readOrganization');
  });
});

describe('a table that fails', () => {
  test('when it does not answer a read, it is asked three times, and nothing is written', () => {
    const world = new World().fail('readOrganization', AWAY, { times: 2 });
    expect(post(world).is).toBe('accepted');
    const silent = new World().fail('readOrganization', AWAY, { times: 3 });
    expect(post(silent)).toEqual({ is: 'unavailable', error: AWAY });
    expect(silent.story).toBe('readOrganization readOrganization readOrganization');
  });
  test('when the record cannot be read, nothing is accepted: it may be a repetition', () => {
    const world = new World().fail('readRecord', AWAY, { times: 3 });
    expect(post(world, { mayBeRepeated: true })).toEqual({ is: 'unavailable', error: AWAY });
    expect(world.items).toEqual({});
  });
  test('when the answer to the write is lost, the item tells that it was written', () => {
    const world = new World().fail('writeOrganization', UNANSWERED, { isDone: true });
    expect(post(world)).toMatchObject({ is: 'accepted', status: 'requested' });
    expect(world.story).toBe('readOrganization writeOrganization readOrganization sendDue');
  });
  test('when the write was not carried out, it is written again', () => {
    const world = new World().fail('writeOrganization', UNANSWERED);
    expect(post(world).is).toBe('accepted');
    expect(world.item.version).toBe('n.2');
    expect(world.item.requests).toHaveLength(1);
  });
  test('when it answers neither the write nor the read after it, nobody knows; when it says no, nothing is written', () => {
    const unknown = new World().fail('writeOrganization', UNANSWERED, { times: 3, isDone: true });
    unknown.meanwhile('readOrganization', () => {}).fail('readOrganization', AWAY, { times: 9 });
    expect(post(unknown)).toEqual({ is: 'unknown', error: AWAY });
    const no = new World().fail('writeOrganization', AWAY, { times: 3 });
    expect(post(no)).toEqual({ is: 'unavailable', error: AWAY });
    expect(no.all('writeOrganization')).toHaveLength(3);
    expect(no.items).toEqual({});
  });
  test('when the write is unanswered and the read after it shows that it was not carried out, it is not written', () => {
    const world = new World().fail('writeOrganization', UNANSWERED, { times: 3 });
    expect(post(world)).toEqual({ is: 'unavailable', error: UNANSWERED });
  });
  test('when it will never take the item, it is not asked again', () => {
    const world = new World().fail('writeOrganization', REJECTED);
    expect(post(world)).toEqual({ is: 'unavailable', error: REJECTED });
    expect(world.story).toBe('readOrganization writeOrganization');
  });
  test('when somebody else writes meanwhile, both changes are there', () => {
    const world = new World(organization({ requests: [request('B')] }));
    world.meanwhile('writeOrganization', () => {
      world.items[ORG] = { ...world.item, requests: [...world.item.requests, request('C')], version: 'v.2' };
    });
    expect(post(world).is).toBe('accepted');
    expect(Object.keys(statuses(world.item))).toEqual(['B', 'C', 'A']);
    expect(world.item.version).toBe('n.2');
  });
  test('when an earlier write may have been dealt with meanwhile, its record is looked up', () => {
    const world = new World().fail('writeOrganization', UNANSWERED);
    world
      .meanwhile('readOrganization', () => {})
      .meanwhile('readOrganization', () => {
        world.records.A = recorded('A', { status: 'completed' });
      });
    expect(post(world)).toEqual({ is: 'replayed', status: 'completed' });
  });
  test('when others always write first, it pauses longer each time, and gives up in the end', () => {
    const world = new World(organization());
    world.answers.writeOrganization = () => false;
    expect(post(world)).toMatchObject({ is: 'unavailable', error: { code: 'record_unavailable' } });
    expect(world.all('writeOrganization')).toHaveLength(40);
    const pauses = world.all('pause').map(({ ms }) => ms);
    expect(pauses.slice(0, 3)).toEqual([40, 50, 60]);
    expect(pauses).toHaveLength(37);
    expect(Math.max(...pauses)).toBe(200);
  });
  test('when the time is over, nothing more is begun', () => {
    const world = new World();
    expect(post(world, { deadline: NOW })).toMatchObject({ is: 'unavailable', error: { is_transient: true } });
    expect(world.effects).toEqual([]);
    const slow = new World(organization());
    slow.answers.writeOrganization = () => false;
    slow.takes = { readOrganization: 10_000, writeOrganization: 10_000 };
    expect(post(slow)).toMatchObject({
      is: 'unavailable',
      error: { message: 'The request could not be stored in time' },
    });
    expect(slow.all('writeOrganization')).toHaveLength(2);
  });
  test('when its clock is behind what it was told, the later time counts', () => {
    const world = new World();
    world.takes = { readOrganization: 2000 };
    post(world);
    expect(found(world.item, 'A').accepted_at).toBe(ago(-2000));
  });
});

test('when nothing of an organization is known, its item begins empty', () => {
  const world = new World();
  post(world);
  const { ledger, known } = world.item as Organization;
  expect([ledger, known]).toEqual([[], []]);
});
