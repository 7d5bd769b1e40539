import { describe, expect, test } from 'vitest';
import type { Cancelled } from '../../../lib/offboarding/intake/cancel.ts';
import { emptyOrganization } from '../../../lib/offboarding/model/organization.ts';
import type { OffboardingRecord } from '../../../lib/offboarding/model/record.ts';
import { recordOf } from '../../../lib/offboarding/rules/projection.ts';
import { acceptanceOf } from '../../../lib/offboarding/views/acceptance.ts';
import { cancellationView, unavailable } from '../../../lib/offboarding/views/cancellation.ts';
import { ago, ORG, request } from '../items.ts';

const ERROR = { code: 'unavailable', message: 'x', is_transient: true, may_be_done: false };
const record = (id: string, changes: Partial<OffboardingRecord> = {}): OffboardingRecord => ({
  ...recordOf(emptyOrganization(ORG), request(id, { status: 'cancelled' })),
  ...changes,
});
const connection = (
  id: string,
  outcome: 'enabled' | 'disabled' | 'removed' | 'unchanged' | 'failed' | null,
  changes = {},
) => ({
  ...{
    connection_id: id,
    name: `name of ${id}`,
    strategy: 'okta',
    before: {},
    outcome,
    error: null,
    disabled_by_offboarding: false,
  },
  ...changes,
});
function found(
  records: OffboardingRecord[],
  reenabled: string[],
  changes: Partial<Extract<Cancelled, { is: 'found' }>> = {},
): Cancelled {
  const cancellation = {
    at: ago(0),
    caller: 'c',
    found: records.map(({ offboarding_id }) => offboarding_id),
    reenabled,
  };
  return { is: 'found', cancellation, records, isOver: true, isReplayed: false, ...changes };
}
const problemOf = (work: () => unknown) => {
  try {
    work();
  } catch (error) {
    const { code, status, message, retryAfter, members } = error as {
      code: string;
      status: number;
      message: string;
      retryAfter?: number;
      members?: object;
    };
    return { code, status, message, retryAfter, members };
  }
  throw new Error('nothing was thrown');
};

describe('the answer to a cancellation', () => {
  test('when no record can be read after it is accepted, it names the offboarding that it is about all the same', () => {
    const unread = (reenabled: string[]) => {
      const { cancellation } = found([record('a'), record('b')], reenabled) as Extract<Cancelled, { is: 'found' }>;
      return cancellationView(ORG, found([], [], { cancellation, isOver: false }));
    };
    expect(unread(['a'])).toMatchObject({ offboarding_id: 'a', status: 'cancelling', connections: [] });
    expect(unread([])).toMatchObject({ offboarding_id: 'b', status: 'cancelling', connections: [] });
  });

  test('when all is given back, it is cancelled, with what became of each connection', () => {
    const one = record('A', {
      removal_due_at: 'due',
      connections: [connection('con_1', 'enabled', { disabled_by_offboarding: true }), connection('con_2', null)],
    });
    expect(cancellationView(ORG, found([one], ['A']))).toEqual({
      ...{
        organization_id: ORG,
        offboarding_id: 'A',
        status: 'cancelled',
        detail: 'Nothing is pending any more.',
        watch: null,
      },
      ...{ cancelled_removal_due_at: 'due', replayed: false },
      connections: [
        {
          connection_id: 'con_1',
          name: 'name of con_1',
          strategy: 'okta',
          outcome: 'enabled',
          before: {},
          error: null,
        },
        {
          connection_id: 'con_2',
          name: 'name of con_2',
          strategy: 'okta',
          outcome: 'unchanged',
          before: {},
          error: null,
        },
      ],
    });
  });
  test('when it goes on by itself, it is cancelling, and says so', () => {
    const view = cancellationView(ORG, found([record('A')], ['A'], { isOver: false, isReplayed: true }));
    expect(view).toMatchObject({
      status: 'cancelling',
      replayed: true,
      detail: 'Nothing is removed any more; the service enables what it disabled.',
    });
  });
  test('when only watches ended, what was completed stays as it is, each connection named once', () => {
    const connections = [
      connection('con_1', 'disabled'),
      connection('con_2', 'removed'),
      connection('con_3', 'unchanged', { name: null }),
      connection('con_4', 'failed'),
      connection('con_5', null),
    ];
    const view = cancellationView(
      ORG,
      found([record('A', { status: 'completed', connections }), record('B', { status: 'completed', connections })], []),
    );
    expect(view).toMatchObject({
      offboarding_id: 'B',
      status: 'completed',
      watch: 'ended',
      cancelled_removal_due_at: null,
      connections: [],
    });
    expect(view.detail).toBe(
      'Nothing is pending any more. The watch of what was completed has ended; this stays as it is: name of con_1, name of con_2, con_3.',
    );
  });
  test('when something is given back and something stays, the answer is about both', () => {
    const stays = record('A', { status: 'completed', connections: [connection('con_1', 'disabled')] });
    const back = record('B', {
      removal_due_at: 'b',
      client_grants: [
        { grant_id: 'cgr_1', client_id: 'c', audience: 'a', scope: [], outcome: 'restored', error: null },
      ],
    });
    const view = cancellationView(ORG, found([stays, back, record('C')], ['B', 'C']));
    expect(view).toMatchObject({
      offboarding_id: 'C',
      watch: 'ended',
      cancelled_removal_due_at: 'b',
      client_grants: back.client_grants,
    });
    expect(Object.keys(cancellationView(ORG, found([record('C')], ['C'])))).not.toContain('client_grants');
  });
  test('when there was nothing, or connections are being removed, it is a problem that says so', () => {
    expect(problemOf(() => cancellationView(ORG, { is: 'nothing' }))).toMatchObject({ code: 'not_found', status: 404 });
    expect(problemOf(() => cancellationView(ORG, { is: 'removing', since: ago(0), offboarding_id: 'A' }))).toEqual({
      ...{ code: 'conflict', status: 409, retryAfter: 10, members: undefined },
      message: `Connections are being removed since ${ago(0)} by the offboarding A; that cannot be cancelled`,
    });
  });
  test('when Auth0 refused to enable a connection, the answer is its refusal', () => {
    const error = { code: 'rejected_by_auth0', message: 'No' };
    const failed = record('A', {
      status: 'failed',
      cancelled: { at: ago(0), caller: 'c' },
      connections: [connection('con_1', 'enabled'), connection('con_2', 'failed', { error })],
    });
    expect(problemOf(() => cancellationView(ORG, found([failed], ['A'])))).toMatchObject({
      code: 'rejected_by_auth0',
      message: 'A connection could not be enabled: No',
    });
    // What failed without a cancellation is not the cancellation's.
    expect(cancellationView(ORG, found([{ ...failed, cancelled: undefined }], ['A'])).status).toBe('failed');
    expect(cancellationView(ORG, found([{ ...failed, status: 'cancelled' }], ['A'])).status).toBe('cancelled');
  });
  test('when the table did not answer, it is unavailable or unknown', () => {
    expect(problemOf(() => cancellationView(ORG, { is: 'unavailable', error: ERROR }))).toMatchObject({
      code: 'record_unavailable',
      status: 503,
      retryAfter: 5,
    });
    expect(problemOf(() => cancellationView(ORG, { is: 'unknown', error: ERROR }))).toMatchObject({
      code: 'acceptance_unknown',
      status: 503,
      retryAfter: 5,
    });
    expect(unavailable('unknown').message).toBe('The record of offboardings did not answer; ask again');
  });
});

describe('the answer to a request', () => {
  const of = (result: Parameters<typeof acceptanceOf>[0]) => () => acceptanceOf(result, { offboarding_id: 'A' });
  const ofBatch = (result: Parameters<typeof acceptanceOf>[0]) => () => acceptanceOf(result, { batch_id: 'X' });
  test('when it is accepted, or was before, the answer has its status', () => {
    expect(of({ is: 'accepted', status: 'requested' })()).toEqual({
      status: 'requested',
      replayed: false,
    });
    expect(of({ is: 'replayed', status: 'completed' })()).toEqual({ status: 'completed', replayed: true });
    expect(ofBatch({ is: 'accepted', status: 'accepted', accepted: 3 })()).toEqual({
      accepted: 3,
      status: 'accepted',
      replayed: false,
    });
    expect(ofBatch({ is: 'replayed', status: 'cancelled', accepted: 3 })()).toEqual({
      accepted: 3,
      status: 'cancelled',
      replayed: true,
    });
  });
  test('when it is refused, or its key was used with another body, that is the problem', () => {
    expect(problemOf(of({ is: 'refused', failure: { code: 'conflict', message: 'full' } }))).toMatchObject({
      code: 'conflict',
      message: 'full',
    });
    expect(problemOf(of({ is: 'reused' }))).toMatchObject({
      code: 'idempotency_key_reused',
      status: 422,
      message: 'The Idempotency-Key was used with another body',
    });
    expect(problemOf(ofBatch({ is: 'reused' }))).toMatchObject({ code: 'idempotency_key_reused' });
  });
  test('when nothing of it is stored, the problem says so; when nobody knows, it has the id to look up', () => {
    const unavailableOne = {
      code: 'record_unavailable',
      status: 503,
      retryAfter: 5,
      members: undefined,
      message: 'The request could not be stored; nothing of it is carried out',
    };
    expect(problemOf(of({ is: 'unavailable', error: ERROR }))).toEqual(unavailableOne);
    expect(problemOf(ofBatch({ is: 'unavailable', error: ERROR }))).toEqual(unavailableOne);
    const unknown = {
      code: 'acceptance_unknown',
      status: 503,
      retryAfter: 5,
      message: 'The table answered neither the write nor a read after it: look up whether the request was accepted',
    };
    expect(problemOf(of({ is: 'unknown', error: ERROR }))).toEqual({ ...unknown, members: { offboarding_id: 'A' } });
    expect(problemOf(ofBatch({ is: 'unknown', error: ERROR }))).toEqual({ ...unknown, members: { batch_id: 'X' } });
  });
});
