// What is asked for over HTTP, on record and on the bus; a batch, and its cancelling. In this process, against the stand-ins.
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type LocalEnvironment, startEnvironment } from '../../infra/local/environment.ts';
import type { NewOffboarding } from '../../lib/offboarding/record.ts';
import { heldOne, record } from './records.ts';

let local: LocalEnvironment;
let submission: typeof import('../../lib/offboarding/submission.ts');
let batches: typeof import('../../lib/offboarding/batch.ts');
let records: typeof import('../../lib/offboarding/record.ts');
let organizations: typeof import('../../lib/offboarding/organization.ts');
beforeAll(async () => {
  local = await startEnvironment({ connected: false });
  Object.assign(process.env, local.environment);
  submission = await import('../../lib/offboarding/submission.ts');
  batches = await import('../../lib/offboarding/batch.ts');
  records = await import('../../lib/offboarding/record.ts');
  organizations = await import('../../lib/offboarding/organization.ts');
});
afterAll(() => local.close());
afterEach(() => {
  local.aws.clearFaults();
  delete process.env.MINIMUM_GRACE_PERIOD;
});

const anOrg = () => `org_${randomUUID().replaceAll('-', '').slice(0, 16)}`;
const asked = (more: Partial<NewOffboarding> = {}): NewOffboarding => ({
  ...{ organization_id: anOrg(), offboarding_id: randomUUID(), action: 'disable', reason: 'ended' },
  ...{ requested_by: 'billing', caller: 'arn', fingerprint: 'body', dry_run: false, on_reenable: 'report' },
  ...{ end_sessions: false, correlation_id: undefined, batch_id: undefined },
  ...more,
});
const soon = () => Date.now() + 20_000;
const submit = (requests: NewOffboarding[], hasKey = true, undo?: () => Promise<unknown>) =>
  submission.submit(requests, hasKey, soon(), undo);
const told = ({ offboarding_id }: Pick<NewOffboarding, 'offboarding_id'>) =>
  local.aws.events.filter(({ detail }) => detail.offboarding_id === offboarding_id).map(({ detail }) => detail);
const onRecord = ({ organization_id, offboarding_id }: NewOffboarding) =>
  records.getRecord(organization_id, offboarding_id);
const openOf = async ({ organization_id }: NewOffboarding) =>
  (await organizations.getOrganization(organization_id)).open;
const refusal = { operation: 'PutEvents', error: 'InternalFailure', status: 500, times: 99 };

describe('a request', () => {
  test.each([true, false])(
    'is on record, decides, and is on the bus as it was asked (with a key: %s)',
    async (hasKey) => {
      const request = asked({ connection_ids: ['con_A'], correlation_id: 'crm-7' });
      const { submitted, full } = await submit([request], hasKey);
      expect([submitted.map(({ isNew }) => isNew), full.size]).toEqual([[true], 0]);
      expect(await onRecord(request)).toMatchObject({ status: 'requested', reason: 'ended' });
      expect((await onRecord(request))?.accept_by).toBeUndefined();
      expect(await openOf(request)).toEqual([request.offboarding_id]);
      const { caller: _, fingerprint: __, batch_id: ___, ...detail } = request;
      expect(told(request)).toEqual([detail]);
    },
  );
  test('with a key that the bus does not take is one all the same, and goes on when it is sent again', async () => {
    const request = asked();
    local.aws.addFaults(refusal);
    await expect(submit([request])).rejects.toThrow();
    expect((await onRecord(request))?.accept_by).toBeUndefined();
    local.aws.clearFaults();
    expect((await submit([request])).submitted[0]?.isNew).toBe(false);
    expect(told(request).length).toBe(1);
  });
  test('without one that the bus does not take is none, until it is sent again in time', async () => {
    const request = asked();
    local.aws.addFaults(refusal);
    await expect(submit([request], false)).rejects.toThrow();
    const before = await onRecord(request);
    expect(before?.accept_by).toBeTruthy();
    await expect(submit([request], false)).rejects.toThrow();
    const again = await onRecord(request);
    expect(Date.parse(again?.accept_by ?? ''), 'it has as long again').toBeGreaterThan(
      Date.parse(before?.accept_by ?? ''),
    );
    local.aws.clearFaults();
    await submit([request], false);
    expect((await onRecord(request))?.accept_by).toBeUndefined();
  });
  test('that is sent twice at once is one, and neither caller is told that it failed', async () => {
    const request = asked();
    const both = await Promise.all([submit([request]), submit([request])]);
    expect(both.filter(({ submitted }) => submitted[0]?.isNew).length).toBe(1);
    expect(await openOf(request)).toEqual([request.offboarding_id]);
  });
  test('that is worked off already is not told again', async () => {
    const request = asked();
    await submit([request]);
    const known = await onRecord(request);
    if (known) await records.put({ ...known, status: 'working' });
    expect((await submit([request])).submitted[0]?.record.status).toBe('working');
    expect(told(request).length).toBe(1);
  });
  test.each([{ fingerprint: 'another' }, { batch_id: randomUUID() }])(
    'of another body is not taken for it: %o',
    async (other) => {
      const request = asked();
      await submit([request]);
      await expect(submit([{ ...request, ...other }])).rejects.toMatchObject({
        code: 'idempotency_key_reused',
        message: expect.stringContaining('another body'),
      });
    },
  );
  test('whose time is over begins nothing, and is not told', async () => {
    const request = asked();
    const late = { code: 'record_unavailable', message: expect.stringContaining('in time') };
    await expect(submission.submit([request], true, Date.now() - 1)).rejects.toMatchObject(late);
    expect([await onRecord(request), told(request)]).toEqual([undefined, []]);
    // Its organization takes longer than there is time.
    local.aws.addFaults({ operation: 'GetItem', delay: 1500 });
    await expect(submission.submit([request], false, Date.now() + 1000)).rejects.toMatchObject(late);
    expect([(await onRecord(request))?.accept_by, told(request)]).toEqual([expect.any(String), []]);
  });
  test('of an organization that takes no more is a conflict; of a batch it stops no other', async () => {
    const [one, other] = [asked(), asked()];
    const open = Array.from({ length: 100 }, (_, i) => `${i}`);
    await organizations.write({ organization_id: one.organization_id, open: [] }, { open });
    await expect(submit([one])).rejects.toMatchObject({ code: 'conflict' });
    const batch_id = randomUUID();
    const [ofBatch, beside] = [
      { ...asked(), organization_id: one.organization_id, batch_id },
      { ...other, batch_id },
    ];
    const { full, submitted } = await submit([ofBatch, beside]);
    expect([[...full], submitted.length]).toEqual([[one.organization_id], 2]);
    expect([told(ofBatch).length, told(beside).length]).toEqual([0, 1]);
    local.aws.addFaults({ operation: 'GetItem', error: 'AccessDeniedException', times: 9 });
    await expect(submit([asked({ batch_id })]), 'a table that is away is no full organization').rejects.toMatchObject({
      code: 'record_unavailable',
    });
  });
  test('of a batch goes behind single ones, an urgent one does not', async () => {
    const [slow, urgent] = [asked({ batch_id: randomUUID() }), asked({ batch_id: randomUUID(), urgent: true })];
    await submit([slow]);
    await submit([urgent]);
    expect([told(slow)[0]?.batch_id, told(urgent)[0]?.batch_id]).toEqual([slow.batch_id, undefined]);
  });
  test('without a key that fails when it is accepted is taken back', async () => {
    const request = asked({ batch_id: randomUUID() });
    let undone = 0;
    const undo = async () => (undone += 1);
    local.aws.addFaults(refusal);
    await expect(submit([request], false, undo)).rejects.toThrow();
    expect(undone, 'nothing of it was accepted').toBe(0);
    local.aws.clearFaults();
    local.aws.addFaults({ operation: 'PutEvents', delay: 300 });
    const told = () => local.aws.calls.filter((call) => call === 'PutEvents').length;
    const before = told();
    const failing = submit([request], false, undo);
    await expect.poll(told).toBe(before + 1);
    local.aws.addFaults({ operation: 'PutItem', error: 'AccessDeniedException', times: 9 });
    await expect(failing).rejects.toMatchObject({ code: 'record_unavailable' });
    expect(undone).toBe(1);
    local.aws.clearFaults();
    local.aws.addFaults({ operation: 'PutEvents', delay: 300 });
    const single = submit([asked()], false);
    await expect.poll(told).toBe(before + 2);
    local.aws.addFaults({ operation: 'PutItem', error: 'AccessDeniedException', times: 9 });
    await expect(single, 'a single one has nothing to take back').rejects.toMatchObject({ code: 'record_unavailable' });
  });
});

describe('at the address that takes only what can be undone', () => {
  const permitted = (more: object, apiStage = 'reversible') =>
    submission.assertPermitted({ action: 'remove', dry_run: false, ...more }, apiStage);
  test('nothing is removed at once or too soon, and no batch is urgent', () => {
    const refused = expect.objectContaining({ code: 'irreversible_not_permitted' });
    for (const asks of [
      {},
      { action: 'disable_then_remove', grace_period: 'PT23H' },
      { action: 'disable', urgent: true },
    ])
      expect(() => permitted(asks), JSON.stringify(asks)).toThrow(refused);
    expect(() => permitted({})).toThrow(/at least P1D \(a dry run is always taken\)\. .* without \/reversible/);
    process.env.MINIMUM_GRACE_PERIOD = 'P7D';
    expect(() => permitted({ action: 'disable_then_remove', grace_period: 'P2D' })).toThrow(/at least P7D/);
    expect(() => permitted({ dry_run: true, urgent: true })).toThrow(/no urgent batches/);
  });
  test('what disables, what waits for long enough, and a dry run are taken; elsewhere all is', () => {
    for (const asks of [
      { action: 'disable' },
      { dry_run: true },
      { action: 'disable_then_remove', grace_period: 'P1DT1M' },
      { action: 'disable_then_remove' },
    ])
      expect(() => permitted(asks), JSON.stringify(asks)).not.toThrow();
    for (const asks of [{}, { urgent: true }]) expect(() => permitted(asks, '$default')).not.toThrow();
  });
});

describe('the cancelling of a batch', () => {
  const act = { at: new Date().toISOString(), caller: 'arn' };
  const cancel = (batch_id: string) => batches.cancelBatch(batch_id, act, soon());
  const batchOf = async (...ids: string[]) => {
    const batch_id = randomUUID();
    await records.createBatch({ batch_id, fingerprint: 'body', organization_ids: ids });
    return batch_id;
  };
  const put = (batch_id: string, organization_id: string, more: object) => {
    const offboarding_id = batches.offboardingIdOf(batch_id, organization_id);
    return records.put({ ...record(offboarding_id), organization_id, batch_id, version: '', ...more });
  };

  test('covers what is pending or holds something, and what nobody has put on record yet; what is over is not pending', async () => {
    const [pending, failed, unseen, over, unaccepted] = Array.from({ length: 5 }, anOrg) as [string, ...string[]];
    const batch_id = await batchOf(pending, failed as string, unseen as string, over as string, unaccepted as string);
    await put(batch_id, pending, {});
    await put(batch_id, failed as string, { status: 'failed', connections: [heldOne('con_A')] });
    await put(batch_id, over as string, { status: 'completed', connections: [heldOne('con_A')] });
    await put(batch_id, unaccepted as string, { accept_by: new Date(Date.now() + 60_000).toISOString() });
    const { accepted, not_pending } = await cancel(batch_id);
    const covered = [pending, failed, unseen, unaccepted].map((organization_id) => ({
      organization_id,
      priority: 'batch',
    }));
    expect([accepted, not_pending]).toEqual([covered, 1]);
    const { cancelled_ones } = await organizations.getOrganization(unseen as string);
    const ids = [batches.offboardingIdOf(batch_id, unseen as string)];
    expect(cancelled_ones).toMatchObject([{ ids, pending: ids, only: true }]);
    expect(await records.getBatch(batch_id)).toMatchObject({ cancelled: true });
    expect((await cancel(batch_id)).accepted.length, 'again').toBe(4);
  });
  test('leaves alone what is being removed', async () => {
    const org = anOrg();
    const batch_id = await batchOf(org);
    const { offboarding_id } = await put(batch_id, org, { status: 'removing' });
    const removing = { offboarding_id, since: act.at };
    await organizations.write({ organization_id: org, open: [] }, { open: [offboarding_id], removing });
    expect(await cancel(batch_id)).toEqual({ accepted: [], not_pending: 1 });
  });
  test('of none is not found, and ends with its time', async () => {
    await expect(cancel(randomUUID())).rejects.toMatchObject({ code: 'not_found', message: 'There is no such batch' });
    const batch_id = await batchOf(anOrg());
    await expect(batches.cancelBatch(batch_id, act, Date.now() - 1)).rejects.toMatchObject({
      code: 'record_unavailable',
      message: expect.stringContaining('in time'),
    });
  });
});
