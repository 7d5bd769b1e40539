// Whole visits: what a worker asks for, from its first read to its end.
import { describe, expect, test } from 'vitest';
import type { Organization } from '../../../lib/offboarding/model/organization.ts';
import { openIn } from '../../../lib/offboarding/rules/bounds.ts';
import { FRESH_LIST_MS } from '../../../lib/offboarding/rules/connections.ts';
import { visit } from '../../../lib/offboarding/worker/visit.ts';
import {
  ago,
  byEvent,
  DAY,
  entry,
  events,
  found,
  HOUR,
  listedGrant,
  NOW,
  ORG,
  off,
  organization,
  outbox,
  request,
  SECOND,
  statuses,
} from '../items.ts';
import { AWAY, REJECTED, World } from '../play.ts';
import { INPUT } from './states.ts';

const work = (world: World) => world.run(visit(INPUT, world.now));
const NOT_SENT = { ...AWAY, code: 'lease_ended' };
const UNAVAILABLE = { ...AWAY, code: 'auth0_unavailable' };

describe('a removal that is due', () => {
  const due = () =>
    new World(
      organization({
        requests: [request('A', { status: 'scheduled', watch: 'on', removal_due_at: ago(0) })],
        ledger: [entry('con_1', ['A'])],
      }),
    );
  test('when the tenant’s limit holds it up for longer than its list is good for, it looks again', () => {
    const world = due();
    let isEnabled = false;
    world.answers.listConnections = () => [{ connection_id: 'con_1', is_enabled: isEnabled }];
    world.takes.change = FRESH_LIST_MS;
    world
      .fail('change', NOT_SENT)
      .meanwhile('listConnections', () => {})
      .meanwhile('listConnections', () => {
        isEnabled = true;
      });
    work(world);
    expect(world.all('change')).toMatchObject([{ goal: 'removed', send_before: NOW + FRESH_LIST_MS }]);
    expect(world.all('listConnections')).toHaveLength(2);
    expect(world.records.A).toMatchObject({ status: 'completed', connections: [{ outcome: 'unchanged' }] });
  });
  test('when its lease is over, nobody looks again', () => {
    const world = due();
    world.answers.listConnections = () => [off('con_1')];
    world.takes.change = 120 * SECOND;
    world.fail('change', NOT_SENT);
    expect(work(world)).toMatchObject({ is: 'later', wait_ms: 0 });
    expect(world.all('listConnections')).toHaveLength(1);
  });
  test('what remains is told as it is then', () => {
    const world = due();
    world.answers.listConnections = () => [off('con_1')];
    world.answers.listGrants = () => [listedGrant('cgr_1')];
    work(world);
    expect(world.records.A?.remaining_access).toMatchObject([{ client_id: 'client of cgr_1' }]);
  });
});

describe('an item that the table never takes', () => {
  test('when what begins has no room, it fails, and that is told', () => {
    const world = new World(organization({ requests: [request('A'), request('B')] }));
    world.answers.listConnections = () => [{ connection_id: 'con_1', is_enabled: true }];
    world.fail('writeOrganization', REJECTED);
    work(world);
    expect(world.records.A).toMatchObject({ status: 'failed', error: { code: 'conflict' }, connections: [] });
    expect(world.records.B).toMatchObject({ status: 'scheduled', connections: [{ outcome: 'disabled' }] });
    const published = world.all('publish').flatMap((one) => one.events.map(({ event }) => event));
    expect(published).toEqual(['failed', 'scheduled']);
  });
  test('when the table does not take that, either, the visit ends with its error', () => {
    const world = new World(organization({ requests: [request('A')] }));
    world.fail('writeOrganization', REJECTED, { times: 2 });
    expect(work(world)).toMatchObject({ is: 'later', error: REJECTED });
    expect(statuses(world.item)).toEqual({ A: 'requested' });
  });
  test('when a connection was disabled already, that is not forgotten', () => {
    const world = new World(organization({ requests: [request('A', {}, { action: 'disable' })] }));
    world.answers.listConnections = () => [{ connection_id: 'con_1', is_enabled: true }];
    world.meanwhile('writeOrganization', () => {}).fail('writeOrganization', REJECTED);
    expect(work(world)).toMatchObject({ is: 'later', error: REJECTED });
    expect(world.item.ledger).toMatchObject([{ id: 'con_1', intent: { goal: 'disabled' } }]);
  });
});

describe('offboardings that failed', () => {
  const failed = (count: number) =>
    Array.from({ length: count }, (_, index) =>
      request(`r${String(index).padStart(2, '0')}`, {
        requested_at: ago(HOUR - index),
        status: 'failed',
        outcomes: { con_1: { outcome: 'unchanged' }, con_9: { outcome: 'failed' } },
      }),
    );
  const holding = (count: number): Organization => {
    const requests = failed(count);
    return organization({
      requests,
      ledger: [
        entry(
          'con_1',
          requests.map(({ offboarding_id }) => offboarding_id),
        ),
      ],
    });
  };
  test('when there are more than ten, the newest hold what was disabled, and the others leave the item', () => {
    const world = new World(holding(13));
    work(world);
    expect(world.item.requests.map(({ offboarding_id }) => offboarding_id)).toEqual(
      Array.from({ length: 10 }, (_, index) => `r${String(index + 3).padStart(2, '0')}`),
    );
    expect(world.item.ledger[0]?.claims).toHaveLength(10);
    expect(world.records.r02).toMatchObject({ status: 'failed', expires_at: expect.any(Number) });
  });
  test('when one alone holds something, it stays', () => {
    const { requests, ledger } = holding(12);
    const world = new World(organization({ requests, ledger: [...ledger, entry('con_2', ['r00'])] }));
    work(world);
    expect(statuses(world.item).r00).toBe('failed');
    expect(statuses(world.item).r01).toBeUndefined();
  });
  test('they are not open: others find room', () => {
    expect(openIn(holding(20))).toBe(0);
  });
});

describe('sessions of an offboarding whose removal failed', () => {
  const removed = (changes: object = {}) =>
    new World(
      organization({
        requests: [request('A', { status: 'failed', watch: 'on', ...changes }, { end_sessions: true })],
        outbox: [outbox('failed', 'A')],
        next_drift_check_at: ago(-DAY),
      }),
    );
  test('they are ended all the same', () => {
    const world = removed();
    work(world);
    expect(world.all('sendSessionsDue')).toMatchObject([{ offboarding_id: 'A' }]);
  });
  test('when nothing was ended, they are not', () => {
    const world = removed({ watch: undefined });
    work(world);
    expect(world.all('sendSessionsDue')).toEqual([]);
  });
});

describe('a drift check that a notification asked for', () => {
  const watched = (asked: number) =>
    new World(
      organization({
        requests: [request('A', { status: 'completed', watch: 'on' }, { on_reenable: 'report' })],
        next_drift_check_at: ago(0),
        drift_checks_requested: 1,
        drift_check_requested_at: ago(asked),
        known: ['con_1'],
      }),
    );
  test('when its list may be from before the change, there is another one soon, which is waited for', () => {
    const world = watched(SECOND);
    world.answers.listConnections = () => [off('con_1')];
    expect(work(world)).toEqual({ is: 'later', wait_ms: 6001 });
    world.now += 6001;
    world.answers.listConnections = () => [{ connection_id: 'con_1', is_enabled: true }];
    work(world);
    expect(world.all('publish').flatMap((one) => one.events.map(({ event }) => event))).toEqual(['drifted']);
    expect(events(world.item)).toEqual([]);
  });
  test('when Auth0 takes longer for its list than that, it is asked again at once, and the check ends', () => {
    const world = watched(0);
    world.takes.listConnections = 7100;
    world.answers.listConnections = () => [off('con_1')];
    expect(work(world)).toEqual({ is: 'done' });
    expect(world.all('listConnections')).toHaveLength(2);
    expect(world.item.next_drift_check_at).toMatch(/^2026-11-25T09:00/);
  });
  test('when a clock is far ahead, the message does not wait for that', () => {
    const world = watched(-60 * SECOND);
    world.answers.listConnections = () => [off('con_1')];
    expect(work(world)).toEqual({ is: 'done' });
    expect(world.item.next_drift_check_at).toBe(ago(-67 * SECOND - 1));
  });
  test('when its list is later than that, the next check is the stage’s', () => {
    const world = watched(10 * SECOND);
    world.answers.listConnections = () => [off('con_1')];
    expect(work(world)).toEqual({ is: 'done' });
    expect(world.item.next_drift_check_at).toBe(ago(-DAY));
    expect(found(world.item, 'A').watch).toBe('on');
  });
});

describe('the time of a visit', () => {
  const enabled = () => {
    const world = new World(organization({ requests: [request('A', {}, { action: 'disable' })] }));
    world.answers.listConnections = () => [{ connection_id: 'con_1', is_enabled: true }];
    return world;
  };
  const workFor = (world: World, ms: number) =>
    world.run(visit({ ...INPUT, deadline: NOW + ms, retries: 1 }, world.now));

  test('when there is just enough for a call, it is made, and not sent after the end', () => {
    const world = enabled();
    workFor(world, 3 * SECOND);
    expect(world.all('change')).toMatchObject([{ goal: 'disabled', send_before: NOW + 3 * SECOND }]);
    const late = enabled();
    expect(workFor(late, 3 * SECOND - 1)).toMatchObject({ is: 'later' });
    expect(late.all('change')).toEqual([]);
  });
  test('when a call failed, it is made again after a pause where there is time for both', () => {
    const world = enabled().fail('change', UNAVAILABLE);
    expect(workFor(world, 4 * SECOND)).toMatchObject({ is: 'later', error: UNAVAILABLE });
    expect(world.all('pause')).toEqual([]);
    const again = enabled().fail('change', UNAVAILABLE);
    expect(workFor(again, 4 * SECOND + 1)).toEqual({ is: 'done' });
    expect(again.all('pause')).toHaveLength(1);
  });
});

describe('the dead letter of a request by event that failed', () => {
  const letterOf = (changes: object) => {
    const world = new World(
      organization({ requests: [byEvent('A', { status: 'failed', ...changes })], outbox: [outbox('failed', 'A')] }),
    );
    work(world);
    return world.all('sendDeadLetter')[0];
  };
  const error = { code: 'rejected_by_auth0', message: 'no' };
  test('when it had a key, it is that event, with its account, for moved back it is the same request', () => {
    const letter = letterOf({ caller: '000000000000 billing', idempotency_key: 'k', error });
    expect(letter).toMatchObject({ priority: 'single', reason: 'rejected_by_auth0: no' });
    const { parameters } = byEvent('A');
    expect(letter?.body).toEqual({
      ...byEvent('A').request,
      account: '000000000000',
      'detail-type': 'organization.offboarding.requested',
      detail: { organization_id: ORG, ...parameters, idempotency_key: 'k' },
    });
  });
  test('when it had none, it has none, and no account that nobody vouched for', () => {
    const letter = letterOf({ caller: 'arn:aws:sts::000000000000:assumed-role/billing 7 /session' });
    expect(letter?.reason).toBe('failed: A connection could not be changed');
    expect(letter?.body).not.toHaveProperty('account');
    expect(letter?.body.detail).toEqual({ organization_id: ORG, ...byEvent('A').parameters });
  });
});
