// The table: writes upon an expected version, against a table of its own; of two who decide at once one wins.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LocalEnvironment, startEnvironment } from '../../infra/local/environment.ts';
import type { Cancellation, Offboarding } from '../../lib/offboarding/offboarding.ts';

const RACES = Number(process.env.RACES ?? (process.env.DEEP ? 10_000 : 300));
let local: LocalEnvironment;
let records: typeof import('../../lib/offboarding/record.ts');
let organizations: typeof import('../../lib/offboarding/organization.ts');
beforeAll(async () => {
  local = await startEnvironment({ connected: false });
  Object.assign(process.env, local.environment);
  records = await import('../../lib/offboarding/record.ts');
  organizations = await import('../../lib/offboarding/organization.ts');
});
afterAll(() => local.close());

const requested = async (organization_id = `org_${randomUUID()}`): Promise<Offboarding> => {
  const about = { organization_id, offboarding_id: randomUUID(), caller: 'test' };
  const order = { action: 'disable_then_remove', requested_by: 'x', reason: 'y', dry_run: false } as const;
  const { record } = await records.createRecord({ ...about, ...order, on_reenable: 'report', end_sessions: false });
  return record;
};
const cancellation = (ids: string[]): Cancellation => {
  return { at: new Date().toISOString(), caller: 'test', ids, pending: ids };
};

test('a write upon a version that is not the newest is rejected, and says what won', async () => {
  const record = await requested();
  const won = await records.put({ ...record, attempts: 1 });
  const lost = records.put({ ...record, attempts: 2 });
  await expect(lost).rejects.toBeInstanceOf(records.RecordChanged);
  await expect(lost).rejects.toMatchObject({ current: { version: won.version, attempts: 1 } });
});

test('a write whose answer was lost is no rejected one, of a record and of an organization', async () => {
  const record = await requested();
  local.aws.addFaults({ operation: 'PutItem', resetAfter: true });
  expect(await records.put({ ...record, attempts: 1 })).toMatchObject({ attempts: 1 });
  local.aws.addFaults({ operation: 'PutItem', resetAfter: true });
  await organizations.admit(record);
  expect((await organizations.getOrganization(record.organization_id)).open).toEqual([record.offboarding_id]);
});

test('settings that DynamoDB does not take are kept as they are', async () => {
  const before = { is_enabled: true, deep: { empty: '', large: 2 ** 60, list: [null, 1.5] } };
  const names = { connection_id: 'con_1', name: null, strategy: null, before, outcome: null, error: null };
  const connections = [{ ...names, attempted: false, disabled_by_offboarding: false }];
  const { organization_id, offboarding_id } = await records.put({ ...(await requested()), connections });
  expect((await records.getRecord(organization_id, offboarding_id))?.connections).toEqual(connections);
});

test(`a cancelling and a removal that falls due in the same instant, ${RACES} times: exactly one of the two happens`, async () => {
  const won = { removing: 0, cancelled: 0 };
  for (let race = 0; race < RACES; race++) {
    const { organization_id, offboarding_id } = await requested();
    const { organization } = await organizations.take(organization_id, 'worker', Date.now() + 60_000);
    const removing = { offboarding_id, since: new Date().toISOString() };
    const both = [
      () => organizations.write(organization, { removing }),
      () => organizations.cancelAll(organization, cancellation([offboarding_id])),
    ];
    if (race % 2) both.reverse();
    const results = await Promise.all(both.map((one) => one()));
    expect(results.filter((written) => written !== undefined).length).toBe(1);
    const found = await organizations.getOrganization(organization_id);
    expect(Boolean(found.removing)).not.toBe(Boolean(found.cancelled));
    won[found.removing ? 'removing' : 'cancelled'] += 1;
  }
  expect(won.removing + won.cancelled).toBe(RACES);
}, 1_200_000);

test('of many who want an organization at once one gets it, and the next when it is given back or has run out', async () => {
  const { organization_id } = await requested();
  const takers = Array.from({ length: 10 }, (_, i) =>
    organizations.take(organization_id, `worker ${i}`, Date.now() + 60_000),
  );
  const got = (await Promise.allSettled(takers)).filter(({ status }) => status === 'fulfilled');
  expect(got.length).toBe(1);
  const { value: lease } = got[0] as PromiseFulfilledResult<Awaited<(typeof takers)[number]>>;
  expect(lease.wasAbandoned).toBe(false);
  expect(await organizations.giveBack(lease.organization, { open: [] }, undefined)).toBe(true);
  const next = await organizations.take(organization_id, 'next', Date.now() - 1);
  expect(next.wasAbandoned).toBe(false);
  // It has run out, and nobody gave it back.
  expect((await organizations.take(organization_id, 'after', Date.now() + 60_000)).wasAbandoned).toBe(true);
  expect(await organizations.giveBack(next.organization, { open: [] }, undefined)).toBe(false);
});

test('many requests admitted at once: none is lost', async () => {
  const organization_id = `org_${randomUUID()}`;
  const all = await Promise.all(Array.from({ length: 20 }, () => requested(organization_id)));
  await Promise.all(all.map((record) => organizations.admit(record)));
  const { open } = await organizations.getOrganization(organization_id);
  expect([...open].sort()).toEqual(all.map(({ offboarding_id }) => offboarding_id).sort());
});
