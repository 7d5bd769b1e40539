import { describe, expect, test } from 'vitest';
import type { Organization } from '../../../lib/offboarding/model/organization.ts';
import {
  boundedGrant,
  boundedRemaining,
  boundedSettings,
  hasRoom,
  hasRoomForCancelled,
  MOST_BYTES,
  MOST_OPEN,
  MOST_SETTINGS_BYTES,
  MOST_WAITING_BYTES,
  openIn,
  sizeOf,
  whyFull,
} from '../../../lib/offboarding/rules/bounds.ts';
import { entry, grant, organization, request } from '../items.ts';

const named = (organization_id: string) => organization({ organization_id });
/** An organization's item that takes just so many bytes. */
const ofSize = (bytes: number) => named('x'.repeat(bytes - sizeOf(named(''))));
const open = (count: number) => organization({ requests: Array.from({ length: count }, (_, i) => request(`A${i}`)) });

describe('the room of an organization', () => {
  test('when a text has characters beyond ASCII, each counts as four bytes', () => {
    const sizes = ['', 'é', '\u{1F600}', 'x'].map((text) => sizeOf(named(text)));
    expect(sizes.map((size) => size - (sizes[0] ?? 0))).toEqual([0, 4, 4, 1]);
    expect(sizeOf(ofSize(5000))).toBe(5000);
  });

  test('when requests are pending or of a batch that is not accepted, they are open; those that have ended are not', () => {
    const batch = { id: 'X', attempt: 1, is_accepted: false };
    const requests = [
      request('A', { status: 'scheduled' }),
      request('B', { status: 'completed', watch: 'on' }),
      request('C', { status: 'failed', batch }),
    ];
    expect(openIn(organization({ requests }))).toBe(2);
  });

  test('when twenty are open, there is no room for another one, and one less leaves room', () => {
    expect([hasRoom(open(MOST_OPEN - 1), open(MOST_OPEN)), hasRoom(open(MOST_OPEN), open(MOST_OPEN))]).toEqual([
      true,
      false,
    ]);
    expect(whyFull(open(MOST_OPEN))).toBe('The organization has 20 open offboardings; cancel them first');
  });

  test('when the next item takes more than its bytes, there is no room, and for what is cancelled as it arrives there is more', () => {
    const fits = (bytes: number) => [hasRoom(open(1), ofSize(bytes)), hasRoomForCancelled(ofSize(bytes))];
    expect(fits(MOST_BYTES)).toEqual([true, true]);
    expect(fits(MOST_BYTES + 1)).toEqual([false, true]);
    expect(fits(MOST_BYTES + MOST_WAITING_BYTES)).toEqual([false, true]);
    expect(fits(MOST_BYTES + MOST_WAITING_BYTES + 1)).toEqual([false, false]);
    expect(whyFull(ofSize(MOST_BYTES))).toBe(
      'What is kept of the organization has no room for another offboarding; cancel those that are open first',
    );
  });
});

describe('the client grants that remain', () => {
  const remaining = (count: number, scope: string[]) =>
    Array.from({ length: count }, (_, i) => ({
      id: `cgr_${i}`,
      kind: 'client_grant' as const,
      client_id: 'c',
      audience: 'a',
      scope,
    }));
  const bytes = (all: unknown) => JSON.stringify(all).length;
  /** One grant more than enough, with scopes that make all take just so many bytes. */
  function taking(most: number) {
    const [one = { scope: [] as string[] }] = remaining(1, ['']);
    return [{ ...one, scope: ['x'.repeat(most - bytes([one]))] }] as NonNullable<Organization['remaining_access']>;
  }

  test('when they take 20,000 bytes, they are kept as they are, and of one more without their scopes', () => {
    expect(boundedRemaining(taking(20_000))).toEqual(taking(20_000));
    expect(boundedRemaining(taking(20_001))).toEqual([{ ...taking(1000)[0], scope: [], is_shortened: true }]);
    expect([boundedRemaining(undefined), boundedRemaining(null)]).toEqual([undefined, null]);
  });

  test('when they take more without scopes as well, as many of the first are kept as fit', () => {
    const kept = boundedRemaining(remaining(400, ['read'])) ?? [];
    expect(bytes(kept)).toBeLessThanOrEqual(20_000);
    expect(bytes(kept)).toBeGreaterThan(19_800);
    expect(kept.map(({ id }) => id)).toEqual(kept.map((_, i) => `cgr_${i}`));
    expect(kept[0]).toMatchObject({ scope: [], is_shortened: true });
  });
});

describe('the client grants that were removed', () => {
  const kept = (before: Record<string, unknown>) => organization({ ledger: [{ ...grant('cgr_1', []), before }] });
  const given = (length: number) => ({ client_id: 'c', audience: 'a', scope: ['x'.repeat(length)] });
  /** The length of the scope of the second grant with which both take 12,000 bytes. */
  const fits = 12_000 - JSON.stringify([given(100), given(0)]).length;

  test('when all take no more than 12,000 bytes, the next one is kept whole, else without its scopes', () => {
    expect(boundedGrant(kept(given(100)), given(fits))).toEqual(given(fits));
    expect(boundedGrant(kept(given(100)), given(fits + 1))).toEqual({ ...given(0), scope: [], is_shortened: true });
  });

  test('when connections are in the ledger, their settings do not count', () => {
    const ledger = [entry('con_1', [], { before: { name: 'x'.repeat(12_000) } })];
    expect(boundedGrant(organization({ ledger }), given(10))).toEqual(given(10));
  });
});

describe('the settings of a connection', () => {
  const settings = (length: number) => ({ is_enabled: true, text: 'x'.repeat(length) });
  const fits = MOST_SETTINGS_BYTES - JSON.stringify(settings(0)).length;

  test('when they take 4,000 bytes, they are kept whole, else without members of more than 200 bytes', () => {
    expect(boundedSettings(settings(fits))).toEqual(settings(fits));
    expect(boundedSettings(settings(fits + 1))).toEqual({ is_enabled: true, is_shortened: true });
  });

  test('when they have many members, fifteen are kept, those of 200 bytes among them', () => {
    const long = { text: 'x'.repeat(198), longer: 'x'.repeat(199), gone: undefined };
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`member_${i}`, 'some text']));
    const short = boundedSettings({ ...long, ...many });
    expect(Object.keys(short)).toHaveLength(16);
    expect(short).toMatchObject({ text: 'x'.repeat(198), is_shortened: true });
    expect(short).not.toHaveProperty('longer');
  });
});
