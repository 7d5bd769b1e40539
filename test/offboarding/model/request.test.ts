import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { describeIssues } from '../../../lib/json.ts';
import {
  BatchBody,
  BatchId,
  CancellationQuery,
  CancellationRequest,
  EventParameters,
  IdempotencyKey,
  OffboardingBody,
} from '../../../lib/offboarding/model/request.ts';
import { ORG } from '../items.ts';

const UUID = '3f0e7c1a-9d51-4b9e-8a31-0b6d4f7a2c55';
const PARAMETERS = { action: 'disable', reason: 'contract ended' };
const DEFAULTS = { dry_run: false, on_reenable: 'report', end_sessions: false, end_machine_access: false };
const EVENT = { organization_id: ORG, requested_by: 'billing', ...PARAMETERS };
const BATCH = { organization_ids: [ORG], ...PARAMETERS };
/** A request in each of the ways in which one comes. */
const WAYS: [way: string, schema: v.GenericSchema, value: object][] = [
  ['over HTTP', OffboardingBody, PARAMETERS],
  ['of a batch', BatchBody, BATCH],
  ['by event', EventParameters, EVENT],
];

/** What the caller is told that is wrong; undefined where nothing is. */
function wrongOf(schema: v.GenericSchema, value: unknown): string | undefined {
  const parsed = v.safeParse(schema, value);
  return parsed.success ? undefined : describeIssues(parsed.issues, 'body');
}
const connections = (count: number) => Array.from({ length: count }, (_, index) => `con_${index}`);

describe.each(WAYS)('a request %s', (_way, schema, value) => {
  const wrong = (changes: object) => wrongOf(schema, { ...value, ...changes });

  test('when it says only what it must, everything else has its default', () => {
    expect(v.parse(schema, value)).toMatchObject({ ...value, ...DEFAULTS });
  });
  test('when it says everything, all of it counts', () => {
    const all = {
      ...{ action: 'disable_then_remove', grace_period: 'P30D', connection_ids: ['con_1', 'con_2'] },
      ...{ dry_run: true, on_reenable: 'disable_again', end_sessions: true, requested_by: 'crm' },
    };
    expect(v.parse(schema, { ...value, ...all })).toMatchObject(all);
    expect(v.parse(schema, { ...value, end_machine_access: true })).toMatchObject({ end_machine_access: true });
  });
  test('when its action is none of the three, the caller is told which there are', () => {
    for (const action of ['disable', 'remove', 'disable_then_remove']) expect(wrong({ action })).toBeUndefined();
    expect(wrong({ action: 'delete' })).toBe('action: must be disable, remove or disable_then_remove');
    expect(wrong({ action: undefined })).toBe('action: is missing');
  });
  test('when it says what becomes of a connection that is enabled again, it is to be reported or disabled', () => {
    for (const on_reenable of ['report', 'disable_again']) expect(wrong({ on_reenable })).toBeUndefined();
    expect(wrong({ on_reenable: 'ignore' })).toBe('on_reenable: must be report or disable_again');
  });
  test.each(['dry_run', 'end_sessions', 'end_machine_access'])('when %s is no boolean, it is not taken', (name) => {
    for (const is of [true, false]) expect(wrong({ [name]: is })).toBeUndefined();
    for (const is of ['true', 1, null]) expect(wrong({ [name]: is })).toBe(`${name}: must be true or false`);
  });
  test('when its grace period is a duration from a minute to a year, it is taken; any other is not', () => {
    const grace = (grace_period: unknown) => wrong({ action: 'disable_then_remove', grace_period });
    for (const taken of ['PT1M', 'PT60S', 'P30D', 'P1Y', 'P366D']) expect(grace(taken), taken).toBeUndefined();
    for (const refused of ['PT59S', 'P366DT1S', 'P2Y', 'P0D', 'soon', ''])
      expect(grace(refused), refused).toBe('grace_period: must be an ISO 8601 duration from one minute to one year');
    expect(grace(30)).toBeDefined();
  });
  test('when its action removes nothing later, it has no grace period', () => {
    for (const action of ['disable', 'remove'])
      expect(wrong({ action, grace_period: 'P30D' })).toBe('body: grace_period belongs to disable_then_remove alone');
    expect(wrong({ action: 'disable_then_remove' })).toBeUndefined();
  });
  test('when it names connections, these are one to fifty ids; an empty list is never taken for all', () => {
    const named = (connection_ids: unknown) => wrong({ connection_ids });
    for (const count of [1, 50]) expect(named(connections(count))).toBeUndefined();
    expect(named([])).toBe('connection_ids: must name a connection, or be left out for all of them');
    expect(named(connections(51))).toBe('connection_ids: must name 50 connections at most');
    for (const none of ['con_1', { 0: 'con_1' }, null])
      expect(named(none)).toBe('connection_ids: must be a list of connection ids');
    expect(named(['con_1', 'con_2/../x'])).toBe('connection_ids.1: must be con_ and letters and digits');
  });
  test('when a list is far too long, its items are not looked at', () => {
    expect(wrong({ connection_ids: Array.from({ length: 100_000 }, () => 7) })).toBe(
      'connection_ids: must name 50 connections at most',
    );
  });
  test('when it names connections, it ends no machine access, which is the whole organization’s', () => {
    const machines = { connection_ids: ['con_1'], end_machine_access: true };
    expect(wrong(machines)).toBe(
      'body: end_machine_access belongs to a request for all connections of an organization',
    );
    expect(wrong({ ...machines, end_machine_access: false })).toBeUndefined();
    expect(wrong({ end_machine_access: true })).toBeUndefined();
  });
  test.each([
    ['reason', 1000],
    ['requested_by', 200],
  ])('when %s is longer than %i characters, blank or no text, it is not taken; blanks around it go', (name, most) => {
    const tooLong = `${name}: must be at most ${most} characters long`;
    for (const character of ['x', '😀']) {
      expect(wrong({ [name]: character.repeat(most) })).toBeUndefined();
      expect(wrong({ [name]: character.repeat(most + 1) })).toBe(tooLong);
    }
    expect(wrong({ [name]: 'x'.repeat(100_000) })).toBe(tooLong);
    for (const blank of ['', ' \t\n']) expect(wrong({ [name]: blank })).toBe(`${name}: must not be empty or blank`);
    expect(wrong({ [name]: 7 })).toBe(`${name}: must be text`);
    expect(v.parse(schema, { ...value, [name]: ' said \n' })).toMatchObject({ [name]: 'said' });
  });
});

describe('the body of a request over HTTP', () => {
  test('when it names its organization, it names it as Auth0 does', () => {
    expect(wrongOf(OffboardingBody, { ...PARAMETERS, organization_id: ORG })).toBeUndefined();
    expect(wrongOf(OffboardingBody, { ...PARAMETERS, organization_id: 'globex' })).toBe(
      'organization_id: must be org_ and letters and digits',
    );
  });
  test('when it has a member that nobody knows, it is refused: it may be a mistyped one', () => {
    expect(wrongOf(OffboardingBody, { ...PARAMETERS, dryrun: true })).toBe('dryrun: is not taken here');
    expect(wrongOf(OffboardingBody, { ...PARAMETERS, urgent: true })).toBe('urgent: is not taken here');
    expect(wrongOf(BatchBody, { ...BATCH, organization_id: ORG })).toBe('organization_id: is not taken here');
  });
});

describe('the body of a batch', () => {
  const wrong = (organization_ids: unknown) => wrongOf(BatchBody, { ...BATCH, organization_ids });
  test('when it names one to a thousand organizations, it is taken', () => {
    for (const count of [1, 1000]) expect(wrong(Array(count).fill(ORG))).toBeUndefined();
    expect(wrong([])).toBe('organization_ids: must name an organization');
    expect(wrong(Array(1001).fill(ORG))).toBe('organization_ids: must name 1,000 organizations at most');
    expect(wrong(ORG)).toBe('organization_ids: must be a list of organization ids');
  });
  test('when one of its ids is none, that one is rejected later, and stops no other', () => {
    expect(wrong(['globex', '', 'x'.repeat(100), '😀'.repeat(100)])).toBeUndefined();
    expect(wrong(['x'.repeat(101)])).toBe('organization_ids.0: is too long for an id');
    expect(wrong([7])).toBe('organization_ids.0: must be text');
  });
  test('when it is urgent, it says so by a boolean', () => {
    expect(v.parse(BatchBody, { ...BATCH, urgent: true })).toMatchObject({ urgent: true });
    expect(wrongOf(BatchBody, { ...BATCH, urgent: 'yes' })).toBe('urgent: must be true or false');
    expect(v.parse(BatchBody, BATCH)).not.toHaveProperty('urgent');
  });
});

describe('a request by event', () => {
  test('when its publisher has an id of its own for it, that is kept; one that fits no header is not', () => {
    const correlation = (correlation_id: unknown) => v.parse(EventParameters, { ...EVENT, correlation_id });
    expect(correlation('crm-7').correlation_id).toBe('crm-7');
    for (const none of ['a b', '', 7, null]) expect(correlation(none).correlation_id).toBeUndefined();
  });
  test('when it names an offboarding, that is an id of this service, or is not read', () => {
    expect(v.parse(EventParameters, { ...EVENT, offboarding_id: UUID }).offboarding_id).toBe(UUID);
    expect(v.parse(EventParameters, { ...EVENT, offboarding_id: 'x' }).offboarding_id).toBeUndefined();
  });
  test('when it has members that nobody knows, they are let through unread', () => {
    expect(v.parse(EventParameters, { ...EVENT, more: 1 })).not.toHaveProperty('more');
  });
  test.each(['organization_id', 'requested_by', 'reason', 'action'])('when it has no %s, it is refused', (name) => {
    expect(wrongOf(EventParameters, { ...EVENT, [name]: undefined })).toBe(`${name}: is missing`);
  });
  test('when it has an idempotency key, that is 1 to 128 visible ASCII characters', () => {
    for (const key of ['x', 'order-7!~', 'x'.repeat(128)]) {
      expect(wrongOf(IdempotencyKey, key)).toBeUndefined();
      expect(v.parse(EventParameters, { ...EVENT, idempotency_key: key }).idempotency_key).toBe(key);
    }
    for (const key of ['', 'a b', 'é', 'x\n', ' x', 'x'.repeat(129)]) {
      expect(wrongOf(IdempotencyKey, key), key).toBe('body: must be 1 to 128 visible ASCII characters');
      expect(wrongOf(EventParameters, { ...EVENT, idempotency_key: key }), key).toBeDefined();
    }
  });
});

describe('a cancellation', () => {
  const CANCELLATION = { organization_id: ORG, requested_by: 'support', reason: 'stays' };
  test('when it comes as an event, it says whose, by whom and why', () => {
    expect(v.parse(CancellationRequest, { ...CANCELLATION, correlation_id: 'c', more: 1 })).toEqual({
      ...CANCELLATION,
      correlation_id: 'c',
    });
    expect(v.parse(CancellationRequest, { ...CANCELLATION, correlation_id: 'a b' }).correlation_id).toBeUndefined();
    for (const name of Object.keys(CANCELLATION))
      expect(wrongOf(CancellationRequest, { ...CANCELLATION, [name]: undefined })).toBe(`${name}: is missing`);
  });
  test('when it comes over HTTP, it may say by whom and why, within the same limits', () => {
    const Query = v.object(CancellationQuery);
    expect(v.parse(Query, {})).toEqual({});
    expect(v.parse(Query, { reason: ' stays ', requested_by: 'support' })).toEqual({
      reason: 'stays',
      requested_by: 'support',
    });
    for (const schema of [Query, CancellationRequest]) {
      const wrong = (changes: object) => wrongOf(schema, { ...CANCELLATION, ...changes });
      expect(wrong({ reason: 'x'.repeat(1000), requested_by: 'x'.repeat(200) })).toBeUndefined();
      expect(wrong({ reason: 'x'.repeat(1001) })).toBe('reason: must be at most 1000 characters long');
      expect(wrong({ requested_by: 'x'.repeat(201) })).toBe('requested_by: must be at most 200 characters long');
    }
  });
  test('when it is of a batch, the batch has the id that the service gave it', () => {
    expect(wrongOf(BatchId, UUID)).toBeUndefined();
    expect(wrongOf(BatchId, 'batch-7')).toBe('body: must be the batch_id that POST /offboardings answered');
  });
});
