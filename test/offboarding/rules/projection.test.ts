import { describe, expect, test } from 'vitest';
import type { OpenRequest, Organization } from '../../../lib/offboarding/model/organization.ts';
import {
  connectionsOf,
  grantsOf,
  isToRecord,
  recordOf,
  remainingAccessOf,
  remainingIn,
} from '../../../lib/offboarding/rules/projection.ts';
import { toOutgoingEvent } from '../../../lib/offboarding/views/outcome.ts';
import { ago, DAY, entry, grant, HOUR, listedGrant, NOW, organization, outbox, request } from '../items.ts';

const ERROR = { code: 'rejected_by_auth0', message: 'No' };
const before = { is_enabled: true };
const with_ = (one: OpenRequest, changes: Partial<Organization> = {}) => organization({ requests: [one], ...changes });
const about = (id: string) => ({ connection_id: id, name: `name of ${id}`, strategy: 'okta', before });

describe('the connections of a record', () => {
  test('when a connection is claimed, it is shown with what was done to it', () => {
    const one = request('A', {
      status: 'working',
      outcomes: { con_1: { outcome: 'disabled' }, con_9: { outcome: 'failed', error: ERROR } },
    });
    const ledger = [
      entry('con_1', ['A'], { drifted_at: ago(HOUR), reenabled_at: [ago(HOUR)], added: true }),
      entry('con_2', ['A'], { disabled_by_us: false }),
      entry('con_3', ['B']),
      grant('cgr_1', ['A']),
    ];
    expect(connectionsOf(with_(one, { ledger }), one)).toEqual([
      {
        ...about('con_1'),
        outcome: 'disabled',
        error: null,
        disabled_by_offboarding: true,
        added: true,
        drifted_at: ago(HOUR),
        reenabled_at: [ago(HOUR)],
      },
      { ...about('con_2'), outcome: null, error: null, disabled_by_offboarding: false },
      {
        connection_id: 'con_9',
        name: null,
        strategy: null,
        before: null,
        outcome: 'failed',
        error: ERROR,
        disabled_by_offboarding: false,
      },
    ]);
  });
  test('when the offboarding is completed, nothing of it is there to be given back', () => {
    for (const status of ['completed', 'cancelled', 'superseded'] as const) {
      const one = request('A', { status });
      expect(connectionsOf(with_(one, { ledger: [entry('con_1', ['A'])] }), one)[0]?.disabled_by_offboarding).toBe(
        false,
      );
    }
  });
  test('when an event was decided earlier, it shows the outcomes of then', () => {
    const one = request('A', { outcomes: { con_1: { outcome: 'enabled' } } });
    const [shown] = connectionsOf(with_(one, { ledger: [entry('con_1', ['A'])] }), one, {
      con_1: { outcome: 'disabled' },
    });
    expect(shown?.outcome).toBe('disabled');
  });
});

describe('the client grants of a record', () => {
  const machines = (outcomes: OpenRequest['outcomes']) => request('A', { outcomes }, { end_machine_access: true });
  test('when it is not about them, there are none', () => {
    expect(grantsOf(with_(request('A'), { ledger: [grant('cgr_1', ['B'])] }), request('A'))).toBeUndefined();
  });
  test('when it took over those of an earlier offboarding, it shows them', () => {
    const item = with_(request('A'), { ledger: [grant('cgr_1', ['A'])] });
    expect(grantsOf(item, request('A'))).toMatchObject([{ grant_id: 'cgr_1' }]);
  });
  test('when one was disabled, it was removed; when enabled, restored', () => {
    const shown = (outcome: 'disabled' | 'removed' | 'enabled' | 'unchanged' | 'failed' | undefined) => {
      const one = machines(
        outcome ? { 'grant cgr_1': { outcome, ...(outcome === 'failed' && { error: ERROR }) } } : {},
      );
      return grantsOf(with_(one, { ledger: [grant('cgr_1', ['A']), entry('con_1', ['A'])] }), one);
    };
    const row = { grant_id: 'cgr_1', client_id: 'client of cgr_1', audience: 'api', scope: ['read'] };
    expect(shown('disabled')).toEqual([{ ...row, outcome: 'removed', error: null }]);
    expect(
      ['removed', 'enabled', 'unchanged', 'failed', undefined].map((one) => shown(one as 'removed')?.[0]?.outcome),
    ).toEqual([...['removed', 'restored', 'unchanged', 'failed', null]]);
    expect(shown('failed')?.[0]?.error).toEqual(ERROR);
    const gone = machines({ 'grant cgr_2': { outcome: 'unchanged' } });
    expect(grantsOf(with_(gone), gone)).toEqual([
      { grant_id: 'cgr_2', client_id: '', audience: '', scope: [], outcome: 'unchanged', error: null },
    ]);
  });
});

test('when grants were listed, those that are not removed remain; when nobody knows, that is null', () => {
  const one = (id: string) => ({ id, kind: 'client_grant' as const, client_id: id, audience: 'api', scope: [] });
  const item = organization({
    remaining_access: [one('cgr_1'), one('cgr_2'), one('cgr_3')],
    ledger: [
      grant('cgr_1', [], { changed: { goal: 'disabled', at: NOW } }),
      grant('cgr_2', [], { changed: { goal: 'enabled', at: NOW } }),
      entry('cgr_3', [], { changed: { goal: 'disabled', at: NOW } }),
    ],
  });
  const { id: _, ...second } = one('cgr_2');
  const { id: __, ...third } = one('cgr_3');
  expect(remainingAccessOf(item)).toEqual([second, third]);
  const outcomes = { 'grant cgr_2': { outcome: 'disabled' as const } };
  const dryRun = request('D', { outcomes }, { dry_run: true, end_machine_access: true });
  expect(remainingAccessOf(item, dryRun)).toEqual([third]);
  expect(remainingAccessOf(item, request('A', { outcomes }))).toEqual([second, third]);
  expect(remainingAccessOf(organization())).toBeNull();
  expect(remainingAccessOf(organization({ remaining_access: null }))).toBeNull();
});

test('when Auth0 lists client grants, what is kept of them is what is shown', () => {
  const own = (id: string) => ({
    id,
    kind: 'client_grant',
    client_id: `client of ${id}`,
    audience: 'api',
    scope: ['read'],
  });
  const listed = { ...listedGrant('cgr_1'), settings: {} };
  expect(remainingIn([listed, listedGrant('cgr_3')])).toEqual([own('cgr_1'), own('cgr_3')]);
  expect(remainingIn(null)).toBeNull();
});

describe('a record', () => {
  test('when a request is pending, its record shows it without what is the item’s alone', () => {
    const batch = { id: 'X', attempt: 1, is_accepted: true };
    const one = request('A', { status: 'working', batch, is_unrecorded: true, notice_due_at: 'n', outcomes: {} });
    const record = recordOf(with_(one, { name: 'acme', remaining_access: [] }), one);
    expect(record).toMatchObject({
      offboarding_id: 'A',
      organization_id: 'org_bCE84ZIRjtX58FeO',
      revision: 3,
      batch_id: 'X',
      action: 'disable_then_remove',
      organization_name: 'acme',
      status: 'working',
      caller: 'arn:caller',
    });
    for (const name of ['outcomes', 'notice_due_at', 'is_unrecorded', 'batch', 'parameters'])
      expect(Object.keys(record)).not.toContain(name);
    expect([record.expires_at, record.remaining_access, record.last_drift_check_at]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(Object.keys(recordOf(with_(one), one))).not.toContain('organization_name');
  });
  test('when it is scheduled or has ended, what remains is shown; when it is watched, the last check', () => {
    const item = { remaining_access: [], last_drift_check_at: ago(HOUR) };
    const scheduled = request('A', { status: 'scheduled', watch: 'on' });
    expect(recordOf(with_(scheduled, item), scheduled)).toMatchObject({
      remaining_access: [],
      last_drift_check_at: ago(HOUR),
    });
    const completed = request('A', { status: 'completed' });
    expect(recordOf(with_(completed, item), completed)).toMatchObject({
      remaining_access: [],
      last_drift_check_at: undefined,
    });
  });
  test('when it leaves the item, it is kept for 400 days more, a dry run for a week', () => {
    const ended = request('A', { status: 'completed', updated_at: ago(0) });
    expect(recordOf(with_(ended), ended).expires_at).toBe(Math.floor(NOW / 1000) + 400 * 86_400);
    const dry = request('A', { status: 'completed', updated_at: ago(0) }, { dry_run: true });
    expect(recordOf(with_(dry), dry).expires_at).toBe(Math.floor(NOW / 1000) + 7 * 86_400);
    const unrecorded = { ...ended, is_unrecorded: true as const };
    expect(recordOf(with_(unrecorded), unrecorded).expires_at).toBeDefined();
    const watched = request('A', { status: 'completed', watch: 'on' });
    expect(recordOf(with_(watched), watched).expires_at).toBeUndefined();
  });

  const ended = request(
    'A',
    { status: 'completed', ended_at: ago(DAY), outcomes: { con_1: { outcome: 'disabled' } } },
    { end_machine_access: true, reason: '', requested_by: '' },
  );
  const known = {
    ...recordOf(with_(ended, { ledger: [entry('con_1', ['A'])] }), {
      ...ended,
      parameters: { ...ended.parameters, reason: 'why', requested_by: 'who' },
    }),
    client_grants: [],
    remaining_access: null,
  };
  test('when it had ended before, its words and what was done stay as its record has them', () => {
    const now = { ...ended, watch: 'ended' as const, drift_count: 2 };
    const ledger = [
      entry('con_1', ['A'], { before: { changed: true }, drifted_at: ago(HOUR), reenabled_at: [ago(HOUR)] }),
    ];
    const record = recordOf(with_(now, { ledger, remaining_access: [] }), now, known);
    expect(record).toMatchObject({
      reason: 'why',
      requested_by: 'who',
      watch: 'ended',
      drift_count: 2,
      remaining_access: null,
      client_grants: [],
    });
    expect(record.connections).toEqual([{ ...known.connections[0], drifted_at: ago(HOUR), reenabled_at: [ago(HOUR)] }]);
  });
  test('when a connection was added since, it is shown beside them, once', () => {
    const ledger = [
      entry('con_1', ['A'], { added: true }),
      entry('con_2', ['A'], { added: true }),
      entry('con_3', ['A']),
    ];
    const record = recordOf(with_(ended, { ledger }), ended, known);
    expect(record.connections.map(({ connection_id, outcome, added }) => [connection_id, outcome, added])).toEqual([
      ['con_1', 'disabled', undefined],
      ['con_2', 'unchanged', true],
    ]);
  });
  test('when it had several, each keeps what drift checks have found of it alone', () => {
    const [first] = known.connections;
    const both = { ...known, connections: [first, { ...first, connection_id: 'con_2' }] as typeof known.connections };
    const ledger = [
      entry('con_1', ['A'], { drifted_at: ago(HOUR), added: true }),
      entry('con_2', ['A'], { drifted_at: ago(DAY), added: true }),
      entry('con_3', ['A'], { added: true }),
    ];
    const { connections } = recordOf(with_(ended, { ledger }), ended, both);
    expect(connections.map(({ connection_id, drifted_at }) => [connection_id, drifted_at])).toEqual([
      ['con_1', ago(HOUR)],
      ['con_2', ago(DAY)],
      ['con_3', undefined],
    ]);
  });
  test('when it is being cancelled, its connections are decided anew', () => {
    const cancelling = { ...ended, status: 'cancelling' as const };
    const record = recordOf(
      with_(cancelling, { ledger: [entry('con_2', ['A'])] }),
      { ...cancelling, outcomes: {} },
      known,
    );
    expect(record.connections.map(({ connection_id }) => connection_id)).toEqual(['con_2']);
    expect(record.reason).toBe('');
  });
  test('when it counts and its record is out of date, it is to be written', () => {
    const batch = { id: 'X', attempt: 1, is_accepted: false };
    expect(isToRecord(request('A'))).toBe(false);
    expect(isToRecord(request('A', { is_unrecorded: true }))).toBe(true);
    expect(isToRecord(request('A', { is_unrecorded: true, batch }))).toBe(false);
  });
});

describe('an event', () => {
  const completed = request('A', {
    status: 'completed',
    ended_at: ago(0),
    outcomes: { con_1: { outcome: 'disabled' } },
    error: undefined,
  });
  const ledger = [entry('con_1', ['A']), entry('con_2', ['A'])];
  const eventOf = (
    one: OpenRequest,
    entry_ = outbox('completed', 'A', { outcomes: one.outcomes }),
    changes: Partial<Organization> = {},
    record?: Parameters<typeof toOutgoingEvent>[2],
  ) => toOutgoingEvent(with_(one, { ledger, ...changes }), entry_, record);

  test('when an offboarding ended, its event says who, what, and what became of each connection', () => {
    expect(
      eventOf({ ...completed, superseded_by: 'B', removal_due_at: 'r' }, undefined, {
        remaining_access: [],
        name: 'acme',
      }),
    ).toEqual({
      event: 'completed',
      detail: {
        ...{
          version: 1,
          offboarding_id: 'A',
          organization_id: 'org_bCE84ZIRjtX58FeO',
          organization_name: 'acme',
          action: 'disable_then_remove',
        },
        ...{
          requested_by: 'billing',
          reason: 'contract ended',
          caller: 'arn:caller',
          request: completed.request,
          requested_at: completed.requested_at,
        },
        ...{ superseded_by: 'B', removal_due_at: 'r', dry_run: false, remaining_access: [] },
        connections: [
          { ...about('con_1'), outcome: 'disabled', error: null },
          { ...about('con_2'), outcome: 'unchanged', error: null },
        ],
      },
    });
  });
  test('when it was requested, the event has its parameters and no connections', () => {
    const one = request('A', {}, { grace_period: 'P1D', connection_ids: ['con_1'] });
    const { detail } = eventOf(one, outbox('requested', 'A'));
    expect(detail).toMatchObject({
      connections: [],
      grace_period: 'P1D',
      connection_ids: ['con_1'],
      on_reenable: 'report',
      end_sessions: false,
      end_machine_access: false,
    });
    expect(Object.keys(detail)).not.toContain('remaining_access');
    expect(Object.keys(eventOf(completed).detail)).not.toContain('on_reenable');
  });
  test('when the record is final, its connections are shown, else those of the ledger', () => {
    const known = recordOf(with_(completed), completed);
    expect(eventOf(completed, undefined, {}, known).detail.connections).toMatchObject([
      { connection_id: 'con_1', outcome: 'disabled' },
    ]);
    expect(eventOf(completed, undefined, {}, { ...known, ended_at: undefined }).detail.connections).toHaveLength(2);
    expect(eventOf(completed, undefined, {}, { ...known, status: 'failed' }).detail.connections).toHaveLength(2);
  });
  test('when sessions ended, the event has their counts, and why they did not', () => {
    const sessions = {
      status: 'ended' as const,
      members: 3,
      revocations_requested: 1,
      skipped: 1,
      failed: 1,
      updated_at: ago(0),
    };
    const shown = (changes: Partial<OpenRequest>) =>
      eventOf({ ...completed, ...changes }, outbox('sessions_ended', 'A')).detail;
    expect(shown({ sessions })).toMatchObject({
      members: 3,
      revocations_requested: 1,
      skipped: 1,
      failed: 1,
      connections: [],
    });
    expect(Object.keys(shown({ sessions }))).not.toContain('status');
    expect(shown({ sessions: { ...sessions, error: ERROR } }).error).toEqual(ERROR);
    expect(shown({ sessions, error: ERROR }).error).toEqual(ERROR);
    expect(Object.keys(eventOf({ ...completed, sessions }).detail)).not.toContain('members');
  });
  test('when machine access was ended, the event has its client grants', () => {
    const one = request('A', { outcomes: {} }, { end_machine_access: true });
    const entries = outbox('scheduled', 'A', { outcomes: { 'grant cgr_1': { outcome: 'disabled' } } });
    const { detail } = eventOf(one, entries, { ledger: [grant('cgr_1', ['A']), grant('cgr_2', ['A'])] });
    expect(detail.client_grants).toMatchObject([
      { grant_id: 'cgr_1', outcome: 'removed' },
      { grant_id: 'cgr_2', outcome: 'unchanged' },
    ]);
    expect(detail.remaining_access).toBeNull();
    const known = { ...recordOf(with_(one), one), client_grants: [] };
    expect(eventOf(one, entries, {}, known).detail.client_grants).toEqual([]);
    expect(Object.keys(eventOf(completed).detail)).not.toContain('client_grants');
  });

  const drift = {
    key: 'con_1',
    drift: 'reenabled' as const,
    outcome: 'unchanged' as const,
    error: ERROR,
    now: { is_enabled: true },
    changed_by: 'My Tool',
  };
  test('when a connection drifted, the event is about it alone, with the settings from before and of now', () => {
    const drifted = (changes: Partial<typeof drift> = {}, record?: Parameters<typeof toOutgoingEvent>[2]) =>
      eventOf(completed, outbox('drifted', 'A', { drift: { ...drift, ...changes } as typeof drift }), {}, record).detail
        .connections;
    const shown = { ...about('con_1'), outcome: 'unchanged', drift: 'reenabled', error: ERROR };
    expect(drifted()).toEqual([{ ...shown, now: { is_enabled: true }, changed_by: 'My Tool' }]);
    expect(drifted({ now: null as never, changed_by: undefined as never })).toEqual([shown]);
    expect(drifted({ key: 'con_7' })).toMatchObject([
      { connection_id: 'con_7', name: null, strategy: null, before: null },
    ]);
    const known = recordOf(with_(completed), completed);
    const [one] = known.connections;
    expect(
      drifted({}, { ...known, connections: [{ ...(one as NonNullable<typeof one>), before: { was: 'before' } }] }),
    ).toMatchObject([{ before: { was: 'before' } }]);
  });
  test('when a client grant drifted, the event is about it alone', () => {
    const shown = (outcome: 'unchanged' | 'disabled') =>
      eventOf(completed, outbox('drifted', 'A', { drift: { ...drift, key: 'grant cgr_1', drift: 'added', outcome } }), {
        ledger: [grant('cgr_1', ['A'])],
      }).detail;
    const row = {
      grant_id: 'cgr_1',
      client_id: 'client of cgr_1',
      audience: 'api',
      scope: ['read'],
      drift: 'added',
      error: ERROR,
    };
    expect(shown('unchanged')).toMatchObject({ connections: [], client_grants: [{ ...row, outcome: 'unchanged' }] });
    expect(shown('disabled').client_grants).toEqual([{ ...row, outcome: 'removed' }]);
  });
  test('when the organization’s item never had the request, the event is made of its record', () => {
    const failed = { ...recordOf(with_(completed), completed), error: ERROR, dry_run: true };
    const { event, detail } = toOutgoingEvent(organization(), outbox('failed', 'A'), failed);
    expect(event).toBe('failed');
    expect(detail).toMatchObject({ version: 1, offboarding_id: 'A', error: ERROR, dry_run: true, connections: [] });
    expect(toOutgoingEvent(organization(), outbox('failed', 'A')).detail).toEqual({
      version: 1,
      dry_run: false,
      connections: [],
    });
  });

  test('when an event has no outcomes, it lists none, of connections and of client grants', () => {
    const ledger = [entry('con_1', ['A']), grant('cgr_1', ['A'])];
    const shown = (event: 'requested' | 'sessions_ended' | 'drifted', end_machine_access: boolean) => {
      const one = request('A', { status: 'completed' }, { end_machine_access });
      const of = end_machine_access ? ledger : ledger.slice(0, 1);
      return toOutgoingEvent(with_(one, { ledger: of }), outbox(event, 'A')).detail;
    };
    for (const event of ['requested', 'sessions_ended', 'drifted'] as const) {
      expect(shown(event, true)).toMatchObject({ connections: [], client_grants: [] });
      expect(shown(event, false)).toMatchObject({ connections: [] });
      expect(shown(event, false)).not.toHaveProperty('client_grants');
    }
  });
});
