import '../own-modules.ts';
import { afterEach, describe, expect, test, vi } from 'vitest';

const load = async (environment: Record<string, string>) => {
  vi.resetModules();
  vi.unstubAllEnvs();
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  return import('../../lib/stage-parameters.ts');
};
afterEach(() => vi.unstubAllEnvs());

describe('the stage', () => {
  test('when nothing is set, its durations are those of the contract, and it ends neither sessions nor machine access', async () => {
    const { STAGE, REFUSED } = await load({});
    expect(STAGE).toEqual({
      ...{ defaultGracePeriod: 'P30D', minimumGracePeriod: 'P1D', removalNotice: 'P3D', giveUpAfter: 'P7D' },
      ...{ watchInterval: 'P1D', watchFor: 'P400D', canEndSessions: false, canEndMachineAccess: false },
    });
    expect(REFUSED).toEqual({ endSessions: false, endMachineAccess: false });
  });
  test('when its parameters are set, they count; an empty one is none', async () => {
    const { STAGE } = await load({
      ...{ DEFAULT_GRACE_PERIOD: 'P1D', MINIMUM_GRACE_PERIOD: 'PT2H', REMOVAL_NOTICE: 'PT3H', GIVE_UP_AFTER: 'PT4H' },
      ...{ WATCH_INTERVAL: 'PT5H', WATCH_FOR: '', SESSION_QUEUE_URL: 'http://queue', MACHINE_ACCESS: 'true' },
    });
    expect(STAGE).toEqual({
      ...{ defaultGracePeriod: 'P1D', minimumGracePeriod: 'PT2H', removalNotice: 'PT3H', giveUpAfter: 'PT4H' },
      ...{ watchInterval: 'PT5H', watchFor: 'P400D', canEndSessions: true, canEndMachineAccess: true },
    });
  });
  test('when it says that it does not do something, requests for that are refused at once', async () => {
    expect((await load({ END_SESSIONS: 'false', MACHINE_ACCESS: 'false' })).REFUSED).toEqual({
      endSessions: true,
      endMachineAccess: true,
    });
    const { STAGE, REFUSED } = await load({ END_SESSIONS: 'true', MACHINE_ACCESS: 'yes' });
    expect([REFUSED, STAGE.canEndMachineAccess]).toEqual([{ endSessions: false, endMachineAccess: false }, false]);
  });
  test.each([
    'DEFAULT_GRACE_PERIOD',
    'MINIMUM_GRACE_PERIOD',
    'REMOVAL_NOTICE',
    'GIVE_UP_AFTER',
    'WATCH_INTERVAL',
    'WATCH_FOR',
  ])('when %s is no duration, the function does not start, and says which it is', async (name) => {
    await expect(load({ [name]: '30 days' })).rejects.toThrow(
      `Environment variable ${name} is not an ISO 8601 duration`,
    );
  });
});

describe('what an address takes', () => {
  const assert = async (request: object, apiStage = '$default', environment: Record<string, string> = {}) => {
    await load(environment);
    const { assertPermitted } = await import('../../lib/offboarding/intake/permitted.ts');
    const asked = { action: 'disable', dry_run: false, end_sessions: false, end_machine_access: false, ...request };
    try {
      assertPermitted(asked as Parameters<typeof assertPermitted>[0], apiStage);
      return 'taken';
    } catch (error) {
      const { code, status, message } = error as { code: string; status: number; message: string };
      return `${status} ${code}: ${message}`;
    }
  };
  test('when the stage does not do it, a request is refused with 422, dry run or not', async () => {
    const sessions = { end_sessions: true, dry_run: true };
    expect(await assert(sessions, '$default', { END_SESSIONS: 'false' })).toBe(
      '422 end_sessions_not_enabled: This stage does not end sessions',
    );
    expect(await assert(sessions)).toBe('taken');
    const machines = { end_machine_access: true };
    expect(await assert(machines, '$default', { MACHINE_ACCESS: 'false' })).toBe(
      '422 machine_access_not_enabled: This stage does not end machine access',
    );
    expect(await assert(machines, '$default', { MACHINE_ACCESS: 'true' })).toBe('taken');
  });
  test('when it is the address for what can be undone, it takes just that', async () => {
    const reversible = (request: object) => assert(request, 'reversible', { DEFAULT_GRACE_PERIOD: 'PT1H' });
    const refused =
      /^403 irreversible_not_permitted: This address takes only what can be undone: disable, or disable_then_remove with a grace period of at least P1D \(a dry run is always taken\)\. Who may do more asks at the address without \/reversible\.$/;
    expect(await reversible({ action: 'disable' })).toBe('taken');
    expect(await reversible({ action: 'remove' })).toMatch(refused);
    expect(await reversible({ action: 'remove', dry_run: true })).toBe('taken');
    expect(await reversible({ action: 'disable_then_remove', grace_period: 'P1D' })).toBe('taken');
    expect(await reversible({ action: 'disable_then_remove', grace_period: 'PT23H' })).toMatch(refused);
    expect(await reversible({ action: 'disable_then_remove' })).toMatch(refused);
    expect(await reversible({ action: 'remove', grace_period: 'P30D' })).toMatch(refused);
    expect(await assert({ action: 'remove', end_sessions: true, urgent: true })).toBe('taken');
  });
  test('when it is that address, sessions and urgent batches are refused, each in its own words', async () => {
    const reversible = (request: object) => assert(request, 'reversible');
    expect(await reversible({ end_sessions: true })).toContain(
      'no end_sessions: sessions that are ended do not come back (a dry run is always taken)',
    );
    expect(await reversible({ end_sessions: true, dry_run: true })).toBe('taken');
    expect(await reversible({ urgent: true, dry_run: true })).toContain('no urgent batches: they go before all others');
  });
});
