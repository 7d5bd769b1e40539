import { describe, expect, test } from 'vitest';
import type { Organization } from '../../../lib/offboarding/model/organization.ts';
import { acceptRequest, type NewRequest, nextRequestedAt } from '../../../lib/offboarding/rules/acceptance.ts';
import {
  boundedGrant,
  boundedRemaining,
  boundedSettings,
  MOST_BYTES,
  MOST_OPEN,
  MOST_SETTINGS_BYTES,
  MOST_WAITING_BYTES,
  sizeOf,
} from '../../../lib/offboarding/rules/bounds.ts';
import { acceptCancellation } from '../../../lib/offboarding/rules/cancellation.ts';
import {
  ago,
  byEvent,
  DAY,
  entry,
  events,
  found,
  grant,
  HOUR,
  MINUTE,
  NOW,
  organization,
  parameters,
  request,
  SECOND,
  STAGE,
} from '../items.ts';

const given = (id: string, changes: Partial<NewRequest> = {}): NewRequest => ({
  offboarding_id: id,
  parameters: parameters(),
  caller: 'arn:caller',
  ...changes,
});
const EVENT = { id: 'event-A', source: 'billing', time: '2026-11-24T08:00:00Z' };
const event = (id: string, changes: Partial<NewRequest> = {}) =>
  given(id, { request: EVENT, requested_at: ago(HOUR), ...changes });

function accepted(item: Organization, one: NewRequest) {
  const result = acceptRequest(item, one, NOW, STAGE);
  if (result.is !== 'accepted') throw new Error(`${result.is}: ${JSON.stringify(result)}`);
  return result;
}
const refusalOf = (item: Organization, one: NewRequest) => {
  const result = acceptRequest(item, one, NOW, STAGE);
  return result.is === 'refused' ? result.failure.code : result.is;
};
const cancellation = (at: string, found: string[] = []) => ({ at, caller: 'c', found, reenabled: found });

describe('the order of requests', () => {
  test('when the clock is ahead of all that was accepted, a request has its time', () => {
    expect(nextRequestedAt(organization(), NOW)).toBe(ago(0));
    expect(nextRequestedAt(organization({ last_requested_at: ago(1) }), NOW)).toBe(ago(0));
  });
  test('when the clock is behind, or as far, a request is one millisecond later than all that was accepted', () => {
    expect(nextRequestedAt(organization({ last_requested_at: ago(0) }), NOW)).toBe(ago(-1));
    expect(nextRequestedAt(organization({ last_requested_at: ago(-5 * SECOND) }), NOW)).toBe(ago(-5 * SECOND - 1));
  });
});

describe('a request over HTTP', () => {
  test('when it is accepted, it is the last that the organization knows, and is told to the archive', () => {
    const { item, request: one } = accepted(organization({ last_requested_at: ago(-1) }), given('A'));
    expect(one).toEqual({
      offboarding_id: 'A',
      requested_at: ago(-2),
      accepted_at: ago(0),
      parameters: parameters(),
      request: { id: 'A', source: 'org-connections', time: ago(-2) },
      caller: 'arn:caller',
      status: 'requested',
      updated_at: ago(0),
      attempts: 0,
      outcomes: {},
      is_unrecorded: true,
    });
    expect(item.last_requested_at).toBe(ago(-2));
    expect(item.requests).toEqual([one]);
    expect(events(item)).toEqual(['requested A']);
  });
  test('when it is urgent, of a batch, or has a key, that is on record', () => {
    const batch = { id: 'B', attempt: 1, is_accepted: false };
    const { request: one } = accepted(organization(), given('A', { batch, urgent: true, fingerprint: 'f' }));
    expect(one).toMatchObject({ batch, urgent: true, fingerprint: 'f' });
    expect(Object.keys(accepted(organization(), given('A')).request)).not.toContain('urgent');
  });
  test('when a cancellation is on record, the request counts, and a repeated cancellation is about it', () => {
    const before = organization({ cancellation: cancellation(ago(-DAY), ['Z']), last_requested_at: ago(-DAY) });
    const { item, request: one } = accepted(before, given('A'));
    expect(one.status).toBe('requested');
    expect(one.requested_at > ago(-DAY)).toBe(true);
    expect(item.cancellation).toEqual({ ...before.cancellation, found: [], reenabled: [] });
  });
  test('when it is a dry run, the last cancellation is still answered as it was', () => {
    const before = organization({ cancellation: cancellation(ago(HOUR), ['Z']) });
    const { item } = accepted(before, given('A', { parameters: parameters({ dry_run: true }) }));
    expect(item.cancellation).toEqual(before.cancellation);
  });
});

describe('a request by event', () => {
  test('when it is accepted, it keeps its own time and is not told to the archive again', () => {
    const { item, request: one } = accepted(organization({ last_requested_at: ago(MINUTE) }), event('A'));
    expect(one).toMatchObject({ requested_at: ago(HOUR), accepted_at: ago(0), request: EVENT, status: 'requested' });
    expect(item.last_requested_at).toBe(ago(MINUTE));
    expect(events(item)).toEqual([]);
  });
  test('when it is older than the service tries for, it is refused', () => {
    expect(refusalOf(organization(), event('A', { requested_at: ago(7 * DAY + 1) }))).toBe('request_too_old');
    expect(refusalOf(organization(), event('A', { requested_at: ago(7 * DAY) }))).toBe('accepted');
    expect(acceptRequest(organization(), event('A', { requested_at: ago(8 * DAY) }), NOW, STAGE)).toMatchObject({
      failure: { message: 'The request is older than the service tries for' },
    });
  });
  test('when a cancellation with a later time is on record, it is accepted as cancelled', () => {
    const at = cancellation(ago(HOUR - 1));
    const { item, request: one } = accepted(organization({ cancellation: { ...at, reason: 'stays' } }), event('A'));
    expect(one.status).toBe('cancelled');
    expect(found(item, 'A')).toMatchObject({
      status: 'cancelled',
      cancelled: { at: ago(HOUR - 1), caller: 'c', requested_by: null, reason: 'stays' },
      ended_at: ago(0),
      updated_at: ago(0),
      is_unrecorded: true,
    });
    expect(events(item)).toEqual(['cancelled A']);
  });
  test('when the cancellation has the same time or an earlier one, it counts', () => {
    for (const ms of [HOUR, HOUR + 1]) {
      const { request: one } = accepted(organization({ cancellation: cancellation(ago(ms)) }), event('A'));
      expect(one.status).toBe('requested');
    }
  });
  test('when it is a dry run, no cancellation covers it', () => {
    const item = organization({ cancellation: cancellation(ago(0)) });
    expect(accepted(item, event('A', { parameters: parameters({ dry_run: true }) })).request.status).toBe('requested');
  });
  test('when it is covered by a cancellation, it is cancelled however much the organization has open', () => {
    const requests = Array.from({ length: MOST_OPEN }, (_, index) => request(`r${index}`));
    const item = organization({ requests, cancellation: cancellation(ago(0)) });
    expect(accepted(item, event('A')).request.status).toBe('cancelled');
  });
  test('when many of these wait for their events to be published, the next one is refused for now', () => {
    let item = organization({ cancellation: { ...cancellation(ago(0)), reason: 'x'.repeat(1000) } });
    const take = (id: string) => acceptRequest(item, event(id), NOW, STAGE);
    for (let count = 0; ; count++) {
      const result = take(`r${count}`);
      if (result.is !== 'accepted') {
        expect(result).toMatchObject({ failure: { code: 'conflict' }, isForNow: true });
        break;
      }
      item = result.item;
    }
    expect(sizeOf(item)).toBeGreaterThan(MOST_BYTES);
    expect(Buffer.byteLength(JSON.stringify(item))).toBeLessThanOrEqual(MOST_BYTES + MOST_WAITING_BYTES);
    const { cancellation: _, ...open } = item;
    expect(acceptRequest(open, event('A'), NOW, STAGE)).not.toHaveProperty('isForNow');
  });
});

describe('the bounds of an organization', () => {
  const open = (count: number, make = request) => Array.from({ length: count }, (_, index) => make(`r${index}`));

  test('when 20 requests are open, another one is refused with conflict, of HTTP and by event', () => {
    expect(MOST_OPEN).toBe(20);
    expect(refusalOf(organization({ requests: open(19) }), given('A'))).toBe('accepted');
    expect(refusalOf(organization({ requests: open(20) }), given('A'))).toBe('conflict');
    expect(refusalOf(organization({ requests: open(20, byEvent) }), event('A'))).toBe('conflict');
    const result = acceptRequest(organization({ requests: open(20) }), given('A'), NOW, STAGE);
    expect(result).toMatchObject({
      failure: { message: 'The organization has 20 open offboardings; cancel them first' },
    });
  });
  test('when requests wait for their batch, they are open; when they are failed or only watched, they are not', () => {
    const withStatus = (changes: object) => (id: string) => request(id, changes);
    expect(refusalOf(organization({ requests: open(20, withStatus({ status: 'failed' })) }), given('A'))).toBe(
      'accepted',
    );
    const batch = { id: 'B', attempt: 1, is_accepted: false };
    expect(refusalOf(organization({ requests: open(20, withStatus({ batch })) }), given('A'))).toBe('conflict');
    const watched = withStatus({ status: 'completed', watch: 'on' });
    expect(refusalOf(organization({ requests: open(20, watched) }), given('A'))).toBe('accepted');
  });
  test('when the item has the bytes that it may have, another request is refused; the size is estimated from above', () => {
    expect(MOST_BYTES).toBe(90_000);
    const size = (bytes: number) => {
      // Its event comes on top: what is told is soon gone.
      const base = { ...accepted(organization({ name: '' }), given('A')).item, outbox: [] };
      return organization({ name: 'x'.repeat(bytes - sizeOf(base)) });
    };
    expect(refusalOf(size(MOST_BYTES), given('A'))).toBe('accepted');
    expect(refusalOf(size(MOST_BYTES + 1), given('A'))).toBe('conflict');
    for (const text of ['aé€😀', '"\\\n', '\u007f\u0080']) {
      const item = organization({ name: text });
      expect(sizeOf(item)).toBeGreaterThanOrEqual(Buffer.byteLength(JSON.stringify(item)));
    }
    expect(sizeOf(organization({ name: 'é' })) - sizeOf(organization({ name: '' }))).toBe(4);
    expect(sizeOf(organization({ name: '\u007f' })) - sizeOf(organization({ name: '' }))).toBe(1);
  });

  /** An IAM user's ARN with the longest path and name. */
  const LONGEST_CALLER = `arn:aws-us-gov:iam::000000000000:user${'/p'.repeat(256)}/${'n'.repeat(64)}`;
  /** What a request may say at the longest, in characters that take four bytes each. */
  const longest = parameters({
    reason: '😀'.repeat(1000),
    requested_by: '😀'.repeat(200),
    connection_ids: Array.from({ length: 50 }, (_, index) => `con_${String(index).padStart(46, '0')}`),
    correlation_id: 'x'.repeat(128),
    grace_period: 'P30D',
  });
  /** An organization that takes no more: as many requests as it has room for, each with the longest values. */
  function full(): Organization {
    let item = organization();
    for (let i = 0; ; i++) {
      const one = given(`00000000-0000-4000-8000-${String(i).padStart(12, '0')}`, {
        parameters: longest,
        caller: LONGEST_CALLER,
      });
      const result = acceptRequest(item, one, NOW, STAGE);
      if (result.is !== 'accepted') return item;
      item = result.item;
    }
  }
  test('when requests with the longest values fill an organization, its cancellation with the longest words is accepted', () => {
    const item = full();
    expect(item.requests.length).toBeGreaterThan(5);
    const act = { at: ago(-DAY), caller: LONGEST_CALLER, requested_by: '😀'.repeat(200), reason: '😀'.repeat(1000) };
    const result = acceptCancellation(item, { ...act, isEvent: false }, NOW);
    if (result.is === 'removing') throw new Error('nothing is being removed');
    expect(result.is).toBe('found');
    expect(new Set(result.item.requests.map(({ status }) => status))).toEqual(new Set(['cancelled']));
    expect(Buffer.byteLength(JSON.stringify(result.item))).toBeLessThan(200_000);
  });
  test('when all of them are scheduled with ten connections of large settings, the item stays below 200 KB', () => {
    const requests = full().requests.map((one) => ({ ...one, status: 'scheduled' as const }));
    const before = boundedSettings({ note: '😀'.repeat(MOST_SETTINGS_BYTES / 4 - 10) });
    const claims = requests.map(({ offboarding_id }) => offboarding_id);
    const ledger = Array.from({ length: 10 }, (_, index) => entry(`con_${index}`, claims, { before }));
    const act = { at: ago(-DAY), caller: LONGEST_CALLER, requested_by: '😀'.repeat(200), reason: '😀'.repeat(1000) };
    const result = acceptCancellation(organization({ requests, ledger }), { ...act, isEvent: false }, NOW);
    if (result.is === 'removing') throw new Error('nothing is being removed');
    expect(Buffer.byteLength(JSON.stringify(result.item))).toBeLessThan(200_000);
  });
});

describe('client grants that are kept', () => {
  const remains = (index: number, scopes: number) => ({
    ...{ id: `cgr_${String(index).padStart(16, '0')}`, kind: 'client_grant' as const },
    ...{ client_id: `c${String(index).padStart(31, '0')}`, audience: 'https://api.example.com/' },
    scope: Array.from({ length: scopes }, (_, scope) => `read:something-${scope}`),
  });
  const all = (count: number, scopes: number) => Array.from({ length: count }, (_, index) => remains(index, scopes));

  test('when 100 grants have many scopes, each is kept, without these, and that is said', () => {
    const kept = boundedRemaining(all(100, 40));
    expect(kept).toHaveLength(100);
    expect(kept?.[99]).toEqual({ ...remains(99, 0), is_shortened: true });
    expect(boundedRemaining(all(10, 4))).toEqual(all(10, 4));
    expect(boundedRemaining(null)).toBeNull();
  });
  test('when 100 large grants are ended, the organization takes a removal afterwards', () => {
    let item = organization({ requests: [request('A', {}, { end_machine_access: true })] });
    for (const { id, client_id, audience, scope } of all(100, 150)) {
      const before = boundedGrant(item, { client_id, audience, scope });
      item = { ...item, ledger: [...item.ledger, grant(id, ['A'], { before })] };
    }
    expect(item.ledger[0]?.before?.scope).toHaveLength(150);
    expect(item.ledger[99]?.before).toEqual({ ...all(100, 0)[99], id: undefined, kind: undefined, is_shortened: true });
    const remaining_access = boundedRemaining(all(100, 150));
    expect(refusalOf({ ...item, remaining_access }, given('B'))).toBe('accepted');
  });
});

describe('settings that are kept', () => {
  test('when they are as large as Auth0 documents, they are kept as they are', () => {
    const settings = { a: 'x'.repeat(MOST_SETTINGS_BYTES - 8), b: 1 };
    expect(boundedSettings({ a: settings.a.slice(0, -6), b: 1 })).toEqual({ a: settings.a.slice(0, -6), b: 1 });
    const exact = { a: 'x'.repeat(MOST_SETTINGS_BYTES - '{"a":""}'.length) };
    expect(boundedSettings(exact)).toBe(exact);
  });
  test('when they are larger, large members are left out, and that is said', () => {
    const many = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`m${index}`, index]));
    const kept = boundedSettings({
      large: 'x'.repeat(MOST_SETTINGS_BYTES),
      edge: 'x'.repeat(198),
      over: 'x'.repeat(199),
      ...many,
      none: undefined,
    });
    expect(Object.keys(kept)).toEqual(['edge', ...Object.keys(many).slice(0, 14), 'is_shortened']);
    expect(kept.is_shortened).toBe(true);
  });
});
