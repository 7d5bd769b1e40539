// A notification of Auth0's is a reason to look, and never the truth.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type LocalEnvironment, QUEUE, startEnvironment } from '../../infra/local/environment.ts';
import { createLog } from '../../lib/log.ts';

let local: LocalEnvironment;
let notifications: typeof import('../../lib/offboarding/notification.ts');
let organizations: typeof import('../../lib/offboarding/organization.ts');
beforeAll(async () => {
  local = await startEnvironment({ connected: false });
  Object.assign(process.env, local.environment);
  notifications = await import('../../lib/offboarding/notification.ts');
  organizations = await import('../../lib/offboarding/organization.ts');
});
afterAll(() => local.close());

const ORG = 'org_bCE84ZIRjtX58FeO';
const time = '2026-11-25T09:00:00.000Z';
const cloudEvent = (more: object = {}, object: object = {}) => ({
  ...{ type: 'organization.connection.updated', time, data: { object: { organization: { id: ORG }, ...object } } },
  ...more,
});
const log = (request: object, more: object = {}) => ({
  ...{
    type: 'sapi',
    date: time,
    details: { request: { method: 'patch', path: `/api/v2/organizations/${ORG}/connections/con_A`, ...request } },
  },
  ...more,
});
const found = (value: unknown) => notifications.notificationIn(value);
const ofInterest = { organization_id: ORG, time, isOfInterest: true };
const known = { ...ofInterest, isOfInterest: false };

describe('a notification', () => {
  test('is found wherever it lies, also as text, but not endlessly deep', () => {
    expect(found(cloudEvent())).toEqual(ofInterest);
    expect(found({ a: [null, { b: JSON.stringify(cloudEvent()) }] })).toEqual(ofInterest);
    const nested = (depth: number): unknown => (depth === 0 ? cloudEvent() : { in: nested(depth - 1) });
    expect(found(nested(5))).toEqual(ofInterest);
    expect(found(nested(6))).toBeUndefined();
    for (const none of [undefined, null, 7, 'x', {}, [], { ...cloudEvent(), type: 'user.created' }])
      expect(found(none)).toBeUndefined();
  });
  test('of a connection that is added or changed is of interest, of one that is disabled or of a test not', () => {
    expect(found(cloudEvent({ type: 'organization.connection.added' }))).toEqual(ofInterest);
    expect(found(cloudEvent({}, { is_enabled: true }))).toEqual(ofInterest);
    expect(found(cloudEvent({}, { is_enabled: 'new' }))).toEqual(ofInterest);
    expect(found(cloudEvent({}, { is_enabled: false }))).toEqual(known);
    expect(found(cloudEvent({ a0purpose: 'test' }))).toEqual(known);
    expect(found(cloudEvent({ time: undefined }))).toEqual({ ...ofInterest, time: undefined });
    expect(found(cloudEvent({ data: { object: { organization: { id: 'x' } } } }))).toBeUndefined();
  });
  test('may be a log of a call that enables or adds', () => {
    for (const method of ['PATCH', 'post', 'put']) expect(found(log({ method }))).toEqual(ofInterest);
    for (const method of ['delete', 'get']) expect(found(log({ method }))).toEqual(known);
    expect(found(log({ body: { is_enabled: true } }))).toEqual(ofInterest);
    expect(found(log({ body: { is_enabled: false } }))).toEqual(known);
    for (const path of ['connections', 'enabled_connections', 'connections/x'])
      expect(found(log({ path: `/api/v2/organizations/${ORG}/${path}` }))).toEqual(ofInterest);
    for (const path of ['members', 'connectionsx'])
      expect(found(log({ path: `/api/v2/organizations/${ORG}/${path}` }))).toBeUndefined();
    expect(found(log({ path: `/x/api/v2/organizations/${ORG}/connections` }))).toBeUndefined();
    expect(found(log({}, { type: 'fapi' }))).toBeUndefined();
  });
});

describe('it leads to a look', () => {
  const after = async (more: object, watched: object = { look_at: '2026-12-01T00:00:00.000Z' }) => {
    const organization_id = `org_${randomUUID().slice(0, 8)}`;
    await organizations.write({ organization_id, open: ['a'] }, watched);
    const lines: object[] = [];
    vi.spyOn(process.stdout, 'write').mockImplementation((line) => lines.push(JSON.parse(String(line))) > 0);
    await notifications.requestCheck({ ...ofInterest, organization_id, ...more }, createLog({}));
    vi.restoreAllMocks();
    expect(lines).toMatchObject([{ code: 'notification_received', organization_id }]);
    const sent = local.aws
      .messages(QUEUE)
      .filter(({ body, group }) => body.includes(organization_id) && group === 'watch');
    const { check_asked_at } = await organizations.getOrganization(organization_id);
    const { check_requested } = lines[0] as { check_requested: boolean };
    return [check_requested, check_asked_at !== undefined, sent.length];
  };
  test('where somebody is watched, and the notification is news', async () => {
    const [looks, none] = [
      [true, true, 1],
      [false, false, 0],
    ];
    const watched = (looked_at: string) => ({ look_at: '2026-12-01T00:00:00.000Z', looked_at });
    expect(await after({})).toEqual(looks);
    expect(await after({}, watched('2026-11-25T08:59:59.999Z'))).toEqual(looks);
    expect(await after({ time: undefined }, watched('2026-11-25T09:00:00.000Z'))).toEqual(looks);
    expect(await after({}, watched('2026-11-25T09:00:00.000Z')), 'somebody has looked since').toEqual(none);
    expect(await after({ isOfInterest: false })).toEqual(none);
    expect(await after({}, {})).toEqual(none);
  });
  test('once for two in a row, and what is no notification to none', async () => {
    const asked = { look_at: '2026-11-01T00:00:00.000Z', check_asked_at: Date.now() };
    expect(await after({}, asked)).toEqual([true, true, 0]);
    const sent = () => local.aws.messages(QUEUE).length;
    const before = sent();
    vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    await notifications.requestCheck(undefined, createLog({}));
    vi.restoreAllMocks();
    expect(sent()).toBe(before);
  });
});
