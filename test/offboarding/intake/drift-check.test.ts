import { describe, expect, test } from 'vitest';
import { type CheckInput, requestDriftCheck } from '../../../lib/offboarding/intake/drift-check.ts';
import type { Organization } from '../../../lib/offboarding/model/organization.ts';
import { LIST_IS_OLD_MS } from '../../../lib/offboarding/rules/connections.ts';
import { CLOCKS_APART_MS } from '../../../lib/offboarding/worker/lease.ts';
import { ago, DAY, HOUR, MINUTE, NOW, ORG, organization, request, SECOND, STAGE } from '../items.ts';
import { AWAY, World } from '../play.ts';

const watched = (changes: Partial<Organization> = {}) =>
  organization({ requests: [request('A', { status: 'completed', watch: 'on' })], ...changes });
const notify = (world: World, changes: Partial<CheckInput> = {}) =>
  world.run(
    requestDriftCheck(
      { organization_id: ORG, stage: STAGE, nonce: 'n', deadline: NOW + MINUTE, ...changes },
      world.now,
    ),
  ).is === 'requested';
const SENT = [{ do: 'sendDue', notices: [{ organization_id: ORG, priority: 'watch' }] }];

describe('a notification of a change', () => {
  test('when an offboarding is watched, its check is due at once, and a message says so', () => {
    const world = new World(watched({ next_drift_check_at: ago(-DAY) }));
    expect(notify(world)).toBe(true);
    expect(world.item).toMatchObject({ next_drift_check_at: ago(0), drift_checks_requested: 1 });
    expect(world.item.changed_by).toEqual([]);
    expect(world.all('sendDue')).toEqual(SENT);
    const never = new World(watched({ drift_checks_requested: 4 }));
    expect(notify(never)).toBe(true);
    expect(never.item).toMatchObject({ next_drift_check_at: ago(0), drift_checks_requested: 5 });
  });
  test('when it says who changed what, the check will tell', () => {
    const world = new World(watched());
    notify(world, { connection_id: 'con_1', changed_by: 'My Tool' });
    expect(world.item.changed_by).toEqual([{ connection_id: 'con_1', name: 'My Tool', at: ago(0) }]);
  });
  test('when something is being worked on, it is checked once that is watched', () => {
    const world = new World(organization({ requests: [request('A', { status: 'working' })] }));
    expect(notify(world)).toBe(true);
    expect(world.item).toMatchObject({ next_drift_check_at: ago(0), drift_check_requested_at: ago(0) });
  });
  test('when nothing is watched, nobody checks', () => {
    const world = new World(organization({ requests: [request('A', { status: 'cancelled' })] }));
    expect(notify(world)).toBe(false);
    expect(notify(new World())).toBe(false);
    expect(world.story).toBe('readOrganization');
  });
  test('when the last check is newer than the change by more than a list may be old and two clocks apart, it has seen it', () => {
    const seen = LIST_IS_OLD_MS + CLOCKS_APART_MS;
    const at = (time: string | undefined, last_drift_check_at = ago(HOUR)) =>
      notify(new World(watched({ last_drift_check_at, next_drift_check_at: ago(-DAY) })), { time });
    expect(at(ago(HOUR + seen))).toBe(false);
    expect(at(ago(HOUR + seen - 1))).toBe(true);
    expect(at(ago(2 * HOUR))).toBe(false);
    expect(at(ago(HOUR - 1))).toBe(true);
    expect(at(undefined)).toBe(true);
    expect(notify(new World(watched()), { time: ago(HOUR) })).toBe(true);
  });
  test('when a check is due already, of a flood one is enough', () => {
    const due = { next_drift_check_at: ago(0), drift_check_requested_at: ago(SECOND - 1) };
    const world = new World(watched(due));
    expect(notify(world)).toBe(true);
    expect(world.all('writeOrganization')).toEqual([]);
    expect(world.all('sendDue')).toEqual(SENT);
    const by = { ...due, changed_by: [{ connection_id: undefined, name: 'My Tool', at: ago(HOUR) }] };
    const same = new World(watched(by));
    notify(same, { changed_by: 'My Tool' });
    expect(same.all('writeOrganization')).toEqual([]);
  });
  test('when the flood began a second ago, it is newer than what the check is to show', () => {
    const due = { next_drift_check_at: ago(0), drift_check_requested_at: ago(SECOND) };
    const world = new World(watched(due));
    notify(world);
    expect(world.item).toMatchObject({ drift_checks_requested: 1, drift_check_requested_at: ago(0) });
  });
  test('when somebody else changed it, that is kept although a check is due', () => {
    const world = new World(watched({ next_drift_check_at: ago(MINUTE), changed_by: [{ name: 'A', at: ago(HOUR) }] }));
    notify(world, { changed_by: 'B' });
    expect(world.item).toMatchObject({ changed_by: [{ name: 'A' }, { name: 'B' }], next_drift_check_at: ago(MINUTE) });
  });
  test('when a check is being made just now, it leads to another one', () => {
    const lease = { owner: 'worker', until: NOW + MINUTE };
    const world = new World(watched({ next_drift_check_at: ago(MINUTE), lease, drift_checks_requested: 1 }));
    expect(notify(world)).toBe(true);
    expect(world.item).toMatchObject({ drift_checks_requested: 2, next_drift_check_at: ago(MINUTE) });
  });
  test('when the same name changed another connection, both are kept; of many the latest ten', () => {
    const changed_by = Array.from({ length: 10 }, (_, index) => ({
      connection_id: `con_${index}`,
      name: 'My Tool',
      at: ago(HOUR),
    }));
    const world = new World(watched({ changed_by }));
    notify(world, { connection_id: 'con_a', changed_by: 'My Tool' });
    expect(world.item.changed_by?.map(({ connection_id }) => connection_id)).toEqual([
      ...changed_by.slice(1).map(({ connection_id }) => connection_id),
      'con_a',
    ]);
  });
  test('when the one requested a moment before is not due any more, it is requested anew', () => {
    const world = new World(watched({ next_drift_check_at: ago(-HOUR), drift_check_requested_at: ago(1) }));
    notify(world);
    expect(world.item).toMatchObject({ next_drift_check_at: ago(0), drift_checks_requested: 1 });
  });
  test('when nothing is requested, it says so, and nothing is written or sent', () => {
    const world = new World(organization());
    const input = { organization_id: ORG, stage: STAGE, nonce: 'n', deadline: NOW + MINUTE };
    expect(world.run(requestDriftCheck(input, NOW))).toEqual({ is: 'nothing' });
    expect(world.all('writeOrganization')).toEqual([]);
  });
  test('when the table does not answer, nothing is sent', () => {
    const world = new World(watched()).fail('readOrganization', AWAY, { times: 3 });
    const input = { organization_id: ORG, stage: STAGE, nonce: 'n', deadline: NOW + MINUTE };
    expect(world.run(requestDriftCheck(input, NOW))).toEqual({ is: 'unavailable', error: AWAY });
    expect(world.all('sendDue')).toEqual([]);
  });
});
