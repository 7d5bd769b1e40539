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
const ofInterest = { organization_id: ORG, time, isOfInterest: true };

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
