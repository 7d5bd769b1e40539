// The one next step of a visit: what is decided, published, called and recorded first.
import { describe, expect, test } from 'vitest';
import type { LedgerEntry, OpenRequest, Organization } from '../../../lib/offboarding/model/organization.ts';
import type { VisitState } from '../../../lib/offboarding/worker/visit-state.ts';
import {
  ago,
  DAY,
  entry,
  events,
  found,
  grant,
  HOUR,
  listedGrant,
  listing,
  MINUTE,
  NOW,
  ORG,
  off,
  organization,
  outbox,
  request,
  SECOND,
  type STAGE,
  statuses,
} from '../items.ts';
import { AWAY } from '../play.ts';
import { changed, INPUT, listed, OPEN_BATCH, short, stage, step } from './states.ts';

const of = (one: OpenRequest, ...ledger: LedgerEntry[]) => organization({ requests: [one], ledger });
const working = (changes: Partial<OpenRequest> = {}, parameters: object = { action: 'disable' }) =>
  request('A', { status: 'working', ...changes }, parameters);
const untouched = (id: string, changes: Partial<LedgerEntry> = {}) =>
  entry(id, ['A'], { disabled_by_us: false, ...changes });
const ERROR = { code: 'x', message: 'x' };

describe('what is done first', () => {
  test('when nothing is left, the visit rests', () => {
    expect(step(organization())).toEqual({ do: 'rest' });
  });
  test('when a request is over, or a watch is, the item is tidied before anything else', () => {
    const over = request('A', { status: 'completed' });
    expect(changed(organization({ requests: [over, request('B')] })).requests.map((one) => one.offboarding_id)).toEqual(
      ['B'],
    );
    const watched = request('A', { status: 'completed', watch: 'on', ended_at: ago(401 * DAY) });
    expect(events(changed(of(watched)))).toEqual(['watch_ended A']);
  });
  test('when an event is decided, it is published before more is; that a request was made waits for what follows', () => {
    const begun = of(working({ is_unrecorded: true }), untouched('con_1'));
    expect(short(step({ ...begun, outbox: [outbox('scheduled', 'A')] }))).toBe('publish');
    expect(short(step({ ...begun, outbox: [outbox('requested', 'A')] }))).toBe('listConnections');
    expect(short(step({ ...begun, outbox: [outbox('requested', 'A')] }, { error: AWAY }))).toBe('publish');
  });
  test('when all is published, what is out of date on record is written, an error or not', () => {
    const waiting = request('A', { status: 'scheduled', watch: 'on', is_unrecorded: true, removal_due_at: ago(-DAY) });
    const item = { ...of(waiting), next_drift_check_at: ago(-DAY) };
    expect(step(item)).toEqual({ do: 'record', request: waiting });
    expect(short(step(item, { error: AWAY }))).toBe('record');
    const batch = { id: 'X', attempt: 1, is_accepted: false };
    expect(short(step(of(request('A', { batch, is_unrecorded: true })), { batches: { X: OPEN_BATCH } }))).toBe('rest');
  });
  test('when an error ended the work, nothing more is begun', () => {
    expect(short(step(of(working(), untouched('con_1')), { error: AWAY }))).toBe('rest');
  });
  test('when a caller waits for a cancellation, nothing but that is done', () => {
    const cancel = { input: { ...INPUT, mode: 'cancel' as const } };
    const cancelling = of(request('A', { status: 'cancelling' }), entry('con_1', ['A']));
    expect(short(step({ ...cancelling, outbox: [outbox('scheduled', 'A')] }, cancel))).toBe('enabled con_1');
    expect(short(step(cancelling, { ...cancel, error: AWAY }))).toBe('rest');
    expect(short(step(of(working(), untouched('con_1')), cancel))).toBe('rest');
  });
  test('when several are open, cancellations come first, then removals, then what is being worked on, then what is new', () => {
    const all = [
      request('R', { requested_at: ago(4) }),
      request('W', { status: 'working', requested_at: ago(3) }, { action: 'disable' }),
      request('M', { status: 'removing', requested_at: ago(2) }),
      request('C', { status: 'cancelling', requested_at: ago(1) }),
    ];
    const ledger = ['W', 'M', 'C'].map((id) => entry(`con_${id}`, [id], { disabled_by_us: id !== 'W' }));
    const list = listed(listing(['con_W', off('con_M'), off('con_C')], { grants: null }));
    const steps = [4, 3, 2].map((count) => short(step(organization({ requests: all.slice(0, count), ledger }), list)));
    expect(steps).toEqual(['enabled con_C', 'removed con_M', 'disabled con_W']);
    expect(statuses(changed(organization({ requests: all.slice(0, 1) }), list))).toEqual({ R: 'working' });
  });
});

describe('the schedule of a removal', () => {
  const dates = { notice_due_at: ago(-HOUR), removal_due_at: '2026-11-26T09:00:00Z' };
  const scheduled = (changes: Partial<OpenRequest> = {}, at = ago(MINUTE)) => ({
    ...of(request('A', { status: 'scheduled', updated_at: at, ...dates, ...changes })),
    outbox: [outbox('scheduled', 'A', { at: ago(MINUTE) })],
  });
  const removal = '2026-11-26T09:00:00.000Z';
  test('when it was scheduled just now, its notice and its removal are, each once, before that is published', () => {
    const next = step(scheduled());
    expect(next).toMatchObject({ do: 'scheduleRemoval', organization_id: ORG, at: ago(-HOUR) });
    expect(step(scheduled(), { sent: [`schedule ${ago(-HOUR)}`] })).toMatchObject({
      do: 'scheduleRemoval',
      at: removal,
    });
    const both = { sent: [`schedule ${ago(-HOUR)}`, `schedule ${removal}`] };
    expect(short(step(scheduled(), both))).toBe('publish');
  });
  test('when a date has passed, or the event is an older one, or an error ended the work, nothing is scheduled', () => {
    expect(step(scheduled({ notice_due_at: ago(0) }))).toMatchObject({ at: removal });
    expect(short(step(scheduled({}, ago(HOUR))))).toBe('publish');
    expect(short(step(scheduled(), { error: AWAY }))).toBe('publish');
    const other = { ...scheduled(), outbox: [outbox('drifted', 'A', { at: ago(MINUTE) })] };
    expect(short(step(other))).toBe('publish');
  });
});

describe('the beginning of a request', () => {
  const waiting = (changes: Partial<OpenRequest> = {}, parameters: object = {}) =>
    of(request('A', changes, parameters));
  const list = listed(listing(['con_1'], { grants: null }));
  test('when there is no list, connections are listed, then grants; a list serves for twenty seconds', () => {
    expect(step(waiting())).toEqual({ do: 'listConnections', organization_id: ORG });
    expect(step(waiting(), listed(listing(['con_1'])))).toEqual({ do: 'listGrants', organization_id: ORG });
    expect(short(step(waiting(), listed(listing([], { grants: null, at: NOW - 20 * SECOND }))))).toBe('change');
    expect(short(step(waiting(), listed(listing([], { grants: null, at: NOW - 20 * SECOND - 1 }))))).toBe(
      'listConnections',
    );
  });
  test('when it is listed, the request claims what is there', () => {
    const next = changed(waiting(), list);
    expect([statuses(next), next.ledger.map(({ claims }) => claims)]).toEqual([{ A: 'working' }, [['A']]]);
    expect(found(next, 'A').removal_due_at).toBe('2026-12-24T09:00:01Z');
  });
  test('when it is a dry run, the name of the organization is read once', () => {
    const dry = waiting({}, { dry_run: true });
    expect(step(dry, list)).toEqual({ do: 'readName', organization_id: ORG });
    for (const name of ['acme', null]) expect(short(step({ ...dry, name }, list))).toBe('change');
  });
  test('when the stage does not end sessions or machine access, the request fails; another one begins', () => {
    const failing = (parameters: object, changes: Partial<typeof STAGE>) =>
      found(changed(waiting({}, parameters), { ...list, ...stage(changes) }), 'A');
    const none = { canEndSessions: false, canEndMachineAccess: false };
    expect(failing({ end_sessions: true }, none).error).toEqual({
      ...{ code: 'end_sessions_not_enabled', message: 'This stage does not end sessions' },
    });
    expect(failing({ end_machine_access: true }, none).error).toEqual({
      ...{ code: 'machine_access_not_enabled', message: 'This stage does not end machine access' },
    });
    expect(failing({}, none).status).toBe('working');
    expect(failing({ end_sessions: true, end_machine_access: true }, {}).status).toBe('working');
  });
  test('when Auth0 refuses the list for good, it fails', () => {
    expect(found(changed(waiting(), { listFailure: ERROR }), 'A')).toMatchObject({ status: 'failed', error: ERROR });
  });
});

describe('the age of a request', () => {
  const old = (changes: Partial<OpenRequest>, ms = 7 * DAY + 1) =>
    of(working({ accepted_at: ago(ms), attempts: 1, last_error: ERROR, ...changes }), untouched('con_1'));
  test('when it is older than the service tries for and has an error, it fails with that', () => {
    expect(found(changed(old({})), 'A')).toMatchObject({ status: 'failed', error: ERROR });
    expect(found(changed(old({ status: 'requested' })), 'A').status).toBe('failed');
  });
  test('when it has had no error, or that of a rate limit, or is younger, it goes on', () => {
    for (const changes of [
      { attempts: 0 },
      { last_error: undefined },
      { last_error: { ...ERROR, code: 'rate_limited' } },
    ])
      expect(short(step(old(changes)))).toBe('listConnections');
    expect(short(step(old({}, 7 * DAY)))).toBe('listConnections');
  });
});

describe('the connections of a request', () => {
  const call = (item: Organization, changes: Partial<VisitState> = {}) => {
    const next = step(item, changes);
    if (next.do !== 'call') throw new Error(`no call: ${JSON.stringify(next)}`);
    return next;
  };
  const two = of(working(), untouched('con_1'), untouched('con_2'));
  const list = listed(listing(['con_1', 'con_2']));
  test('when they are to be disabled, all intents are stored before the first call', () => {
    const next = call(two, list);
    expect(next).toMatchObject({
      ...{ entry: { id: 'con_1', intent: { goal: 'disabled', offboarding_id: 'A' } } },
    });
    expect(next.item.ledger.map(({ intent }) => intent)).toEqual(
      [1, 2].map(() => ({ goal: 'disabled', offboarding_id: 'A', level: undefined })),
    );
  });
  test('when an intent is stored already, it stays as it is, with what is known of it', () => {
    const intent = { goal: 'disabled' as const, offboarding_id: 'A', is_uncertain: true as const };
    const planned = of(working(), untouched('con_1', { intent }));
    expect(call(planned, list).item).toBe(planned);
    const other = of(working(), untouched('con_1', { intent: { ...intent, offboarding_id: 'B' } }));
    expect(call(other, list).item.ledger[0]?.intent).toEqual({ ...intent, level: undefined });
    const goal = of(working(), untouched('con_1', { intent: { ...intent, goal: 'removed', is_uncertain: undefined } }));
    expect(call(goal, list).item.ledger[0]?.intent).toEqual({
      goal: 'disabled',
      offboarding_id: 'A',
      level: undefined,
    });
  });
  test('when Auth0 failed for one, the next one is called; when it failed for all, the visit rests', () => {
    expect(call(two, { ...list, postponed: ['con_1'] }).entry.id).toBe('con_2');
    const planned = call(two, list).item;
    expect(short(step(planned, { ...list, postponed: ['con_1', 'con_2'] }))).toBe('rest');
    expect(short(step(two, { ...list, postponed: ['con_1', 'con_2'] }))).toBe('rest');
  });
  test('when Auth0 may still carry out a call with another goal, this one waits for that; with the same, it does not', () => {
    expect(call(two, { ...list, unsettled: { con_1: 'enabled' } }).entry.id).toBe('con_2');
    expect(call(two, { ...list, unsettled: { con_1: 'disabled' } }).entry.id).toBe('con_1');
  });
  test('when only a newer list can tell, it is waited for', () => {
    const changedNow = { goal: 'disabled' as const, at: NOW - SECOND };
    const item = of(working(), untouched('con_1', { changed: changedNow }), untouched('con_2'));
    expect(call(item, list).entry.id).toBe('con_2');
    expect(short(step(of(working(), untouched('con_1', { changed: changedNow })), list))).toBe('rest');
  });
  test('when the outcome is known without a call, it is taken down, and all of them end the request', () => {
    const next = changed(two, listed(listing([off('con_1')])));
    expect(found(next, 'A')).toMatchObject({
      status: 'completed',
      outcomes: { con_1: { outcome: 'unchanged' }, con_2: { outcome: 'unchanged' } },
    });
  });
  test('when one is gone, what we had disabled of it is nobody’s to give back; a dry run changes nothing of that', () => {
    const other = request('B', { status: 'scheduled' });
    const ended = (dry_run: boolean) => {
      const intent = { goal: 'disabled' as const, offboarding_id: 'B', is_uncertain: true as const };
      const one = working({}, { action: 'disable', dry_run });
      const item = organization({ requests: [one, other], ledger: [entry('con_1', ['A', 'B'], { intent })] });
      return changed(item, listed(listing([]))).ledger[0];
    };
    expect(ended(false)).toMatchObject({ disabled_by_us: false });
    expect(ended(false)?.intent).toBeUndefined();
    expect(ended(true)).toMatchObject({ disabled_by_us: true, intent: { is_uncertain: true } });
  });
  test('when a request has nothing to do, it ends without a list', () => {
    expect(statuses(changed(of(working())))).toEqual({ A: 'completed' });
  });
  test('when it ends machine access, the grants are listed too', () => {
    const one = working({}, { action: 'disable', end_machine_access: true });
    expect(short(step(of(one, untouched('con_1')), list))).toBe('listGrants');
    const withGrants = listed(listing([], { grants: [listedGrant('cgr_1')] }));
    expect(short(step(of(one, grant('cgr_1', ['A'], { disabled_by_us: false })), withGrants))).toBe('disabled cgr_1');
  });
  test('when they are to be removed, the list is at most five seconds old', () => {
    const removing = of(request('A', { status: 'removing' }), entry('con_1', ['A']));
    const at = (ms: number) => short(step(removing, listed(listing([off('con_1')], { at: NOW - ms, grants: [] }))));
    expect(at(5 * SECOND)).toBe('removed con_1');
    expect(at(5 * SECOND + 1)).toBe('listConnections');
    expect(short(step(two, listed(listing(['con_1'], { at: NOW - 5 * SECOND - 1 }))))).toBe('disabled con_1');
  });
});

describe('a cancellation', () => {
  const cancelling = (...ledger: LedgerEntry[]) => of(request('A', { status: 'cancelling' }), ...ledger);
  test('when a connection was disabled, it is enabled without a list; where a level was lowered, a list tells of that', () => {
    expect(short(step(cancelling(entry('con_1', ['A']))))).toBe('enabled con_1');
    const lowered = cancelling(entry('con_1', ['A'], { lowered_level: 'full' }));
    expect(short(step(lowered))).toBe('listConnections');
    expect(short(step(lowered, listed(listing([off('con_1')]))))).toBe('enabled con_1');
    expect(statuses(changed(cancelling(untouched('con_1', { lowered_level: 'full' }))))).toEqual({ A: 'cancelled' });
  });
  test('when it ended machine access, no grants are listed: they are created again', () => {
    const one = request('A', { status: 'cancelling' }, { end_machine_access: true });
    const lowered = of(one, entry('con_1', ['A'], { lowered_level: 'full' }));
    expect(short(step(lowered, listed(listing([off('con_1')]))))).toBe('enabled con_1');
  });
});
