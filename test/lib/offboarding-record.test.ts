// The record's transitions against a table of its own: what may follow what, and who wins.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LocalEnvironment, startEnvironment } from '../../infra/local/environment.ts';
import type { Offboarding, Status } from '../../lib/offboarding-record.ts';
import * as records from '../../lib/offboarding-record.ts';

const RACES = process.env.DEEP ? 10_000 : 300;
let local: LocalEnvironment;
beforeAll(async () => {
  local = await startEnvironment({ connected: false });
  Object.assign(process.env, local.environment);
});
afterAll(() => local.close());

const removal_due_at = '2026-12-24T09:00:00Z';
async function requested(): Promise<Offboarding> {
  const id = randomUUID();
  const request = { id, source: 'test', time: 'now' };
  const order = { action: 'disable_then_remove' as const, requested_by: 'x', reason: 'y', dry_run: false };
  return records.createRecord({
    organization_id: 'org_1',
    offboarding_id: id,
    request,
    ...order,
    on_reenable: 'report',
  });
}
/** The named transition to each status. */
const TO: Record<Exclude<Status, 'requested'>, (record: Offboarding) => Promise<Offboarding>> = {
  working: (record) => records.begin(record, [], removal_due_at),
  scheduled: (record) => records.schedule(record),
  removing: (record) => records.startRemoving(record),
  cancelling: (record) => records.startCancelling(record),
  completed: (record) => records.finish(record),
  failed: (record) => records.finish(record, { code: 'x', message: 'y' }),
  cancelled: (record) => records.finishCancelling(record),
  superseded: (record) => records.supersede(record, record),
};
const WAYS: Record<Status, Status[]> = {
  requested: [],
  working: ['working'],
  scheduled: ['working', 'scheduled'],
  removing: ['working', 'scheduled', 'removing'],
  cancelling: ['cancelling'],
  completed: ['working', 'completed'],
  failed: ['working', 'failed'],
  cancelled: ['cancelling', 'cancelled'],
  superseded: ['working', 'scheduled', 'superseded'],
};
async function recordIn(status: Status): Promise<Offboarding> {
  let record = await requested();
  for (const next of WAYS[status]) record = await TO[next as keyof typeof TO](record);
  return record;
}

test.each(records.STATUSES)('what may follow %s, and nothing else', async (from) => {
  for (const [to, transition] of Object.entries(TO)) {
    const record = await recordIn(from);
    const moved = await transition(record).then(
      ({ status }) => status,
      (error: unknown) => error,
    );
    if ((records.TRANSITIONS[from] as readonly string[]).includes(to)) expect(moved, `${from} → ${to}`).toBe(to);
    else expect(moved, `${from} → ${to}`).toBeInstanceOf(records.RecordChanged);
    const stored = await records.getRecord(record.organization_id, record.offboarding_id);
    expect(stored?.status).toBe(typeof moved === 'string' ? moved : from);
  }
});

test(`a cancelling and a removal that falls due in the same instant, ${RACES} times: exactly one of the two happens`, async () => {
  const won = { removing: 0, cancelling: 0 };
  for (let race = 0; race < RACES; race++) {
    const record = await recordIn('scheduled');
    const both = [records.startRemoving(record), records.startCancelling(record)];
    if (race % 2) both.reverse();
    const results = await Promise.allSettled(both);
    expect(results.filter(({ status }) => status === 'fulfilled').length).toBe(1);
    const lost = results.find((result) => result.status === 'rejected') as PromiseRejectedResult;
    // Who lost is told what won.
    const { status } = (lost.reason as InstanceType<typeof records.RecordChanged>).current ?? { status: 'none' };
    won[status as keyof typeof won] += 1;
  }
  expect(won.removing + won.cancelling).toBe(RACES);
}, 1_200_000);

test('a write upon a revision that is not the newest is refused, also where the status is the same', async () => {
  const record = await recordIn('working');
  await records.progress(record, []);
  await expect(records.progress(record, [])).rejects.toBeInstanceOf(records.RecordChanged);
});
