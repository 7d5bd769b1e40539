// What is told of an outcome: on the bus, in the log and as a metric.
import { beforeAll, describe, expect, test } from 'vitest';
import { createLog } from '../../lib/log.ts';
import { FIGHT } from '../../lib/offboarding/drift.ts';
import type { ConnectionRecord, Offboarding } from '../../lib/offboarding/offboarding.ts';
import { completed, connection, heldOne, record, scheduled } from './records.ts';
import { anOrg, lines, told } from './with-queue.ts';

let outcome: typeof import('../../lib/offboarding/outcome.ts');
beforeAll(async () => {
  outcome = await import('../../lib/offboarding/outcome.ts');
});
const log = createLog({});
const of = (made: Offboarding): Offboarding => ({ ...made, organization_id: anOrg() });
const typesOf = ({ organization_id }: Offboarding) =>
  told(organization_id).map((event) => event['detail-type'].replace('organization.offboarding.', ''));
async function published(made: Offboarding) {
  const one = of(made);
  await outcome.publishRecord(one, log);
  return typesOf(one);
}

describe('the outcome of a record', () => {
  test('has what consumers go by, and nothing that is the service’s own', () => {
    const cancelled = { at: '2026-11-25T09:00:00.000Z', caller: 'x', requested_by: null, reason: null };
    const error = { code: 'rejected_by_auth0', message: 'no' };
    const one = record('1', {
      ...{ batch_id: 'b', correlation_id: 'c', removal_due_at: 'soon', superseded_by: '2', cancelled, error },
      ...{ watch_ended: cancelled, fingerprint: 'secret', expires_at: 5, accept_by: 'x', sessions: undefined },
      connections: [heldOne('con_A', { outcome: null }), connection('con_B', { outcome: 'failed', error })],
    });
    expect(outcome.outcomeDetail(one)).toEqual({
      ...{ version: 1, offboarding_id: '1', batch_id: 'b', organization_id: 'org_1', action: 'disable' },
      ...{ requested_by: 'billing', reason: 'ended', caller: 'test', request: one.request, dry_run: false },
      ...{ removal_due_at: 'soon', superseded_by: '2', correlation_id: 'c', cancelled, watch_ended: cancelled, error },
      connections: [
        {
          ...{ connection_id: 'con_A', name: 'con_A', strategy: 'samlp', outcome: 'unchanged' },
          ...{ before: { is_enabled: true }, error: null },
        },
        {
          ...{ connection_id: 'con_B', name: 'con_B', strategy: 'samlp', outcome: 'failed' },
          ...{ before: { is_enabled: true }, error },
        },
      ],
    });
  });
  test.each<[string, Offboarding, string]>([
    ['its status', completed('1'), 'completed'],
    ['that it is scheduled', scheduled('1'), 'scheduled'],
    ['that its watch has ended', completed('1', { unpublished: 'watch_ended' }), 'watch_ended'],
    ['of one that a later one took over, that it is scheduled', scheduled('1', { status: 'superseded' }), 'scheduled'],
    ['of a dry run what would be', completed('1', { dry_run: true, removal_due_at: 'soon' }), 'scheduled'],
    ['of a dry run without a date', completed('1', { dry_run: true }), 'completed'],
    ['of a dry run that failed', completed('1', { dry_run: true, removal_due_at: 'x', status: 'failed' }), 'failed'],
    ['of one that was removed when it was due', completed('1', { removal_due_at: 'then' }), 'completed'],
  ])('is %s', async (_what, made, type) => {
    expect(await published(made)).toEqual([type]);
  });
  test.each<[string, Parameters<typeof published>[0], object]>([
    ['is counted', completed('1'), { level: 'INFO', Offboardings: 1, outcome: 'completed' }],
    ['that is a failure is an error', completed('1', { status: 'failed' }), { level: 'ERROR', Offboardings: 1 }],
    ['of a dry run is nobody’s alarm', completed('1', { status: 'failed', dry_run: true }), { level: 'INFO' }],
  ])('%s', async (_what, made, line) => {
    await published(made);
    expect(lines).toMatchObject([{ code: `offboarding_${made.status}`, detail: { offboarding_id: '1' }, ...line }]);
    if (made.dry_run) expect(lines[0]).not.toHaveProperty('Offboardings');
  });
});

describe('a connection that is enabled again', () => {
  const publish = async (one: ConnectionRecord) => {
    const made = of(completed('1', { connections: [one, heldOne('con_Other')] }));
    await outcome.publishDrift(made, one, log);
    expect(typesOf(made)).toEqual(['drifted']);
    return told(made.organization_id)[0]?.detail.connections;
  };
  const own = { connection_id: 'con_A', name: 'con_A', strategy: 'samlp', before: { is_enabled: true } };
  test('is told alone, with what it was and is', async () => {
    const now = { is_enabled: true };
    const untold = { drift: 'added', outcome: 'disabled', error: null, now } as const;
    expect(await publish(heldOne('con_A', { untold }))).toEqual([{ ...own, ...untold }]);
    expect(lines).toMatchObject([{ code: 'offboarding_drifted', level: 'WARN', Offboardings: 1, outcome: 'drifted' }]);
  });
  test('is told without what it is where that is not known', async () => {
    const untold = { drift: 'reenabled', outcome: 'disabled', error: null, now: null } as const;
    expect(await publish(heldOne('con_A', { untold }))).toEqual([
      { ...own, drift: 'reenabled', outcome: 'disabled', error: null },
    ]);
    const reenabled = { drift: 'reenabled', outcome: 'unchanged', error: null };
    expect(await publish(heldOne('con_A'))).toEqual([{ ...own, ...reenabled }]);
  });
  test('three times within a day is an alarm', async () => {
    const untold = { drift: 'reenabled', outcome: 'unchanged', error: FIGHT, now: null } as const;
    expect(await publish(heldOne('con_A', { untold }))).toMatchObject([{ error: FIGHT }]);
    const alarm = { code: 'reenabled_repeatedly', level: 'ERROR', ReenabledRepeatedly: 1, connection_id: 'con_A' };
    expect(lines).toMatchObject([{ code: 'offboarding_drifted' }, alarm]);
  });
});
