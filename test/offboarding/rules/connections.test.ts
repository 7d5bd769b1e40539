import { describe, expect, test } from 'vitest';
import type { LedgerEntry, OpenRequest, Organization } from '../../../lib/offboarding/model/organization.ts';
import {
  beginRequest,
  currentOf,
  customerMayEnable,
  goalOf,
  isUncertain,
  LIST_IS_OLD_MS,
  type Listing,
  nextConnectionStep,
  openEntry,
  settingsOf,
  UNKNOWN_CONNECTION,
  unfinishedOf,
} from '../../../lib/offboarding/rules/connections.ts';
import { asDryRun } from '../../../lib/offboarding/rules/dry-run.ts';
import { entry, found, grant, listedGrant, listing, NOW, off, organization, request } from '../items.ts';

const stepOf = (item: Organization, one: OpenRequest, of: LedgerEntry, list: Listing) => {
  const real = nextConnectionStep(item, one, of, list);
  const step = one.parameters.dry_run ? asDryRun(real, item, of, list) : real;
  if (step.is === 'wait') return 'wait';
  if (step.is === 'call') return `call ${step.goal}${step.level ? ` ${step.level}` : ''}`;
  const { outcome, error } = step.outcome;
  return `${outcome}${error ? ` ${error.code}` : ''}${step.is_given_back ? ', given back' : ''}`;
};
const fresh = (changes: Partial<LedgerEntry> = {}) => entry('con_1', ['A'], { disabled_by_us: false, ...changes });
const uncertain = { intent: { goal: 'disabled' as const, offboarding_id: 'A', is_uncertain: true as const } };
const NONE = listing([]);
const ON = listing(['con_1']);
const OFF = listing([off('con_1')]);

describe('a list that shows a connection as it was before our last change', () => {
  const just = (goal: 'disabled' | 'removed' | 'enabled', disabled_by_us = false) =>
    fresh({ changed: { goal, at: NOW - 1000 }, disabled_by_us });
  const disable = (of: LedgerEntry, list: Listing, dry_run = false) =>
    stepOf(organization({ ledger: [of] }), request('A', { status: 'working' }, { dry_run }), of, list);
  test('when the last disabling was final, a newer list tells whether somebody enabled it again', () => {
    expect(disable(just('disabled'), ON)).toBe('wait');
    expect(disable(just('disabled'), OFF)).toBe('unchanged');
    expect(disable(just('disabled'), ON, true)).toBe('unchanged');
  });
  test('when the list was made before our change, that is as we left it', () => {
    const older = listing(['con_1'], { at: NOW - 2000 });
    expect(disable(just('disabled'), older)).toBe('unchanged');
    expect(disable(just('removed'), older)).toBe('unchanged, given back');
  });
  test('when it is disabled by us, or was removed, it is disabled all the same: that changes nothing if the list is old', () => {
    expect(disable(just('disabled', true), ON)).toBe('call disabled');
    expect(disable(just('removed'), ON)).toBe('call disabled');
    expect(
      disable(just('disabled', true), listing([{ connection_id: 'con_1', organization_access_level: 'full' }])),
    ).toBe('call disabled readonly');
  });
  test('when it was removed, it is removed again', () => {
    const remove = (list: Listing) => {
      const of = just('removed');
      const one = request('A', { status: 'working' }, { action: 'remove' });
      return stepOf(organization({ ledger: [of] }), one, of, list);
    };
    expect(remove(ON)).toBe('call removed');
    expect(remove(NONE)).toBe('unchanged, given back');
    expect(remove(listing(['con_1'], { at: NOW - 2000 }))).toBe('unchanged, given back');
  });
});

describe('the goal of a request', () => {
  test('when it is cancelled, that is enabled; when it removes, removed; else disabled', () => {
    expect(goalOf(request('A', { status: 'cancelling' }, { action: 'remove' }))).toBe('enabled');
    expect(goalOf(request('A', { status: 'removing' }))).toBe('removed');
    expect(goalOf(request('A', { status: 'working' }, { action: 'remove' }))).toBe('removed');
    expect(goalOf(request('A', { status: 'working' }))).toBe('disabled');
    expect(goalOf(request('A', { status: 'working' }, { action: 'disable' }))).toBe('disabled');
  });
});

describe('a connection as it is now', () => {
  const about = { kind: 'connection' as const, id: 'con_1' };
  test('when Auth0 lists it, it is as listed; a connection that does not say is enabled', () => {
    const listed = { connection_id: 'con_1', organization_access_level: 'limited' };
    expect(currentOf(about, listing([listed]))).toEqual({ is_enabled: true, level: 'limited', listed });
    expect(currentOf(about, OFF)?.is_enabled).toBe(false);
    expect(currentOf(about, listing(['con_2']))).toBeUndefined();
  });
  test('when we changed it a moment before the list was made, it is as we left it', () => {
    const changed = (goal: 'disabled' | 'removed' | 'enabled', at = NOW) => ({ ...about, changed: { goal, at } });
    expect(currentOf(changed('disabled'), ON)?.is_enabled).toBe(false);
    expect(currentOf(changed('enabled'), OFF)?.is_enabled).toBe(true);
    expect(currentOf(changed('removed'), ON)).toBeUndefined();
    expect(currentOf(changed('disabled'), NONE)).toBeUndefined();
    expect(currentOf(changed('disabled', NOW - LIST_IS_OLD_MS), ON)?.is_enabled).toBe(false);
    expect(currentOf(changed('disabled', NOW - LIST_IS_OLD_MS - 1), ON)?.is_enabled).toBe(true);
  });
  test('when it is a client grant, it is there or not; one that we disabled is gone', () => {
    const one = { kind: 'client_grant' as const, id: 'cgr_1' };
    const list = listing([], { grants: [listedGrant('cgr_1')] });
    expect(currentOf(one, list)).toEqual({ is_enabled: true, level: undefined, listed: listedGrant('cgr_1') });
    expect(currentOf({ ...one, id: 'cgr_2' }, list)).toBeUndefined();
    expect(currentOf(one, listing(['cgr_1'], { grants: null }))).toBeUndefined();
    expect(currentOf({ ...one, changed: { goal: 'disabled', at: NOW } }, list)).toBeUndefined();
    expect(currentOf({ ...one, changed: { goal: 'enabled', at: NOW } }, list)?.is_enabled).toBe(true);
  });
  test('when its settings are kept, its names are not among them', () => {
    const listed = { connection_id: 'con_1', connection: { name: 'n' }, is_enabled: true, show_as_button: false };
    expect(settingsOf(listed)).toEqual({ is_enabled: true, show_as_button: false });
  });
});

describe('the ledger entry that a request begins with', () => {
  test('when nothing is known, it has the names and settings that Auth0 lists', () => {
    const listed = { connection_id: 'con_1', is_enabled: true, connection: { name: 'acme', strategy: 'saml' } };
    expect(openEntry(organization(), 'connection', 'con_1', listing([listed]))).toEqual({
      ...{ kind: 'connection', id: 'con_1', claims: [], disabled_by_us: false },
      ...{ name: 'acme', strategy: 'saml', before: { is_enabled: true } },
    });
    expect(openEntry(organization(), 'connection', 'con_1', ON)).toMatchObject({ name: null, strategy: null });
    expect(openEntry(organization(), 'connection', 'con_1', NONE)).toMatchObject({
      name: null,
      strategy: null,
      before: null,
    });
    const list = listing([], { grants: [listedGrant('cgr_1')] });
    expect(openEntry(organization(), 'client_grant', 'cgr_1', list)).toEqual({
      ...{ kind: 'client_grant', id: 'cgr_1', claims: [], disabled_by_us: false },
      ...{ name: null, strategy: null, before: { client_id: 'client of cgr_1', audience: 'api', scope: ['read'] } },
    });
  });
  test('when a pending offboarding disabled it, or may have, the settings from before that stay', () => {
    const known = { before: { is_enabled: true, was: 'before' }, name: 'known' };
    for (const changes of [{ disabled_by_us: true }, { disabled_by_us: false, ...uncertain }]) {
      const item = organization({ ledger: [entry('con_1', ['A'], { ...known, ...changes })] });
      expect(openEntry(item, 'connection', 'con_1', OFF)).toEqual(item.ledger[0]);
    }
  });
  test('when nobody disabled it, the settings are those of now, and a name that is not listed stays', () => {
    const item = organization({ ledger: [fresh({ before: { was: 'before' }, name: 'known', strategy: 'saml' })] });
    expect(openEntry(item, 'connection', 'con_1', OFF)).toEqual({ ...item.ledger[0], before: { is_enabled: false } });
    const ours = organization({ ledger: [fresh({ disabled_by_us: true, before: null })] });
    expect(openEntry(ours, 'connection', 'con_1', OFF).before).toEqual({ is_enabled: false });
  });
});

describe('the beginning of a request', () => {
  const begun = (item: Organization, one: OpenRequest, list: Listing) => {
    const next = beginRequest({ ...item, requests: [one] }, one, list);
    return {
      ledger: next.ledger.map(({ id, claims }) => `${id}: ${claims}`),
      outcomes: found(next, one.offboarding_id).outcomes,
      next,
    };
  };
  test('when it names no connections, it claims all that Auth0 lists, and grants where it ends machine access', () => {
    const list = listing(['con_1', off('con_2')], { grants: [listedGrant('cgr_1')] });
    expect(begun(organization(), request('A'), list).ledger).toEqual(['con_1: A', 'con_2: A']);
    const machines = begun(organization(), request('A', {}, { end_machine_access: true }), list);
    expect(machines.ledger).toEqual(['con_1: A', 'con_2: A', 'cgr_1: A']);
    expect(machines.outcomes).toEqual({});
    const unlisted = begun(organization(), request('A', {}, { end_machine_access: true }), ON);
    expect([unlisted.ledger, unlisted.outcomes]).toEqual([['con_1: A'], {}]);
  });
  test('when it names connections, it claims each once; one that nobody knows fails', () => {
    const one = request('A', {}, { connection_ids: ['con_1', 'con_9', 'con_1'] });
    const { ledger, outcomes } = begun(organization(), one, listing(['con_1', 'con_2']));
    expect(ledger).toEqual(['con_1: A']);
    expect(outcomes).toEqual({ con_9: { outcome: 'failed', error: UNKNOWN_CONNECTION } });
    expect(UNKNOWN_CONNECTION).toEqual({
      ...{ code: 'unknown_connection', message: 'The organization has no connection with this id' },
    });
  });
  test('when a named connection is gone, but an offboarding ended it once, or has it on the ledger, it is claimed', () => {
    const one = request('A', {}, { connection_ids: ['con_1', 'con_2'] });
    const item = organization({ known: ['con_1'], ledger: [entry('con_2', ['B'])] });
    const { ledger, outcomes } = begun(item, one, NONE);
    expect(ledger).toEqual(['con_2: B,A', 'con_1: A']);
    expect(outcomes).toEqual({});
  });
  test('when it begins again, it claims no connection twice, and forgets its outcomes', () => {
    const one = request('A', { outcomes: { con_1: { outcome: 'disabled' } } });
    const { ledger, outcomes } = begun(organization({ ledger: [entry('con_1', ['A', 'B'])] }), one, ON);
    expect(ledger).toEqual(['con_1: B,A']);
    expect(outcomes).toEqual({});
  });
  test('when it is a dry run, what is known of a connection stays as it is', () => {
    const item = organization({ ledger: [fresh({ before: { was: 'before' } })] });
    const dry = begun(item, request('D', {}, { dry_run: true }), OFF);
    expect(dry.next.ledger[0]).toMatchObject({ before: { was: 'before' }, claims: ['A', 'D'] });
    expect(begun(item, request('D'), OFF).next.ledger[0]).toMatchObject({ before: { is_enabled: false } });
    expect(begun(organization(), request('D', {}, { dry_run: true }), OFF).next.ledger[0]?.before).toEqual({
      is_enabled: false,
    });
  });
});

test('when some of its connections have an outcome, the others are unfinished, connections before client grants', () => {
  const ledger = [
    grant('cgr_1', ['A']),
    entry('con_1', ['A']),
    entry('con_2', ['B']),
    entry('con_3', ['A']),
    entry('con_4', ['A']),
  ];
  const one = request('A', { outcomes: { con_1: { outcome: 'disabled' } } });
  expect(unfinishedOf(organization({ ledger }), one).map(({ id }) => id)).toEqual(['con_3', 'con_4', 'cgr_1']);
  const done = request('A', { outcomes: { 'grant cgr_1': { outcome: 'disabled' } } });
  expect(unfinishedOf(organization({ ledger }), done).map(({ id }) => id)).toEqual(['con_1', 'con_3', 'con_4']);
});

test('when a level lets the customer enable a connection, it is limited or full', () => {
  expect(['limited', 'full', 'readonly', 'none', undefined].map(customerMayEnable)).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
  expect(isUncertain(fresh())).toBe(false);
  expect(isUncertain(fresh({ intent: { goal: 'disabled', offboarding_id: 'A' } }))).toBe(false);
  expect(isUncertain(fresh(uncertain))).toBe(true);
});

describe('the next step of a connection that is to be disabled', () => {
  const working = request('A', { status: 'working' });
  const step = (of: LedgerEntry, list: Listing, one = working) =>
    stepOf(organization({ requests: [one] }), one, of, list);
  test('when it is enabled, the call disables it, and takes a level that would let the customer enable it', () => {
    expect(step(fresh(), ON)).toBe('call disabled');
    const at = (organization_access_level: string) =>
      listing([{ connection_id: 'con_1', is_enabled: true, organization_access_level }]);
    expect(step(fresh(), at('full'))).toBe('call disabled readonly');
    expect(step(fresh(), at('none'))).toBe('call disabled');
  });
  test('when it is off, it is unchanged, or disabled by an attempt that nobody knew the end of', () => {
    expect(step(fresh(), OFF)).toBe('unchanged');
    expect(step(fresh(uncertain), OFF)).toBe('disabled');
  });
  test('when it is gone, it is unchanged, and there is nothing to give back', () => {
    expect(step(fresh(), NONE)).toBe('unchanged, given back');
  });
  test('when it is a dry run, it would be disabled', () => {
    const dry = request('A', { status: 'working' }, { dry_run: true });
    expect(step(fresh(), ON, dry)).toBe('disabled');
    expect(step(fresh(), OFF, dry)).toBe('unchanged');
  });
});

describe('the next step of a connection that is to be removed', () => {
  const removing = request('A', { status: 'removing' });
  const atOnce = request('A', { status: 'working' }, { action: 'remove' });
  const step = (of: LedgerEntry, list: Listing, one = removing) =>
    stepOf(organization({ requests: [one] }), one, of, list);
  test('when it is still disabled, it is removed; when somebody enabled it, it is left alone', () => {
    expect(step(fresh(), OFF)).toBe('call removed');
    expect(step(fresh(), ON)).toBe('unchanged enabled_meanwhile, given back');
    expect(step(fresh(), ON, atOnce)).toBe('call removed');
  });
  test('when it is new since the offboarding, a removal leaves it alone', () => {
    expect(step(fresh({ added: true }), OFF)).toBe('unchanged');
    expect(step(fresh({ added: true }), ON)).toBe('unchanged');
    expect(step(fresh({ added: true }), OFF, atOnce)).toBe('call removed');
  });
  test('when it is gone, it is unchanged, or removed by an attempt that nobody knew the end of', () => {
    expect(step(fresh(), NONE)).toBe('unchanged, given back');
    expect(step(fresh(uncertain), NONE)).toBe('removed, given back');
  });
  test('when it is a dry run, it would be removed', () => {
    expect(step(fresh(), ON, request('A', { status: 'working' }, { action: 'remove', dry_run: true }))).toBe('removed');
  });
});

describe('the next step of a client grant', () => {
  const one = grant('cgr_1', ['A'], { disabled_by_us: false });
  const there = listing([], { grants: [listedGrant('cgr_1')] });
  const step = (of: LedgerEntry, list: Listing, status: OpenRequest['status'] = 'working', dry_run = false) => {
    const of_ = request('A', { status }, { dry_run });
    return stepOf(organization({ requests: [of_] }), of_, of, list);
  };
  test('when it is there, it is removed at once, also of a removal later; at the removal it is left alone', () => {
    expect(step(one, there)).toBe('call disabled');
    expect(step(one, there, 'removing')).toBe('unchanged enabled_meanwhile, given back');
    expect(step(one, there, 'working', true)).toBe('disabled');
  });
  test('when it is gone, it is so by us, or by an attempt that nobody knew the end of, or it is unchanged', () => {
    const gone = listing([], { grants: [] });
    expect(step(one, gone)).toBe('unchanged');
    expect(step({ ...one, disabled_by_us: true }, gone)).toBe('disabled');
    expect(step({ ...one, ...uncertain }, gone)).toBe('disabled');
  });
  test('when no grants could be listed, the call tells; at the removal it stays as it is', () => {
    for (const list of [NONE, listing([], { grants: null })]) {
      expect(step(one, list)).toBe('call disabled');
      expect(step(one, list, 'removing')).toBe('unchanged');
      expect(step({ ...one, disabled_by_us: true }, list, 'removing')).toBe('disabled');
    }
  });
});

describe('the next step of a connection that is to be given back', () => {
  const cancelling = request('A', { status: 'cancelling' });
  const step = (of: LedgerEntry, list: Listing, others: OpenRequest[] = []) =>
    stepOf(organization({ requests: [cancelling, ...others], ledger: [of] }), cancelling, of, list);
  test('when we disabled it, it is enabled, whatever the list says', () => {
    for (const list of [ON, OFF, NONE]) expect(step(entry('con_1', ['A']), list)).toBe('call enabled');
  });
  test('when we did not disable it, it stays as it is', () => {
    expect(step(fresh(), OFF)).toBe('unchanged');
  });
  test('when another offboarding wants it disabled, it stays disabled', () => {
    const claimed = entry('con_1', ['A', 'B']);
    const b = (changes: Partial<OpenRequest>, of = {}) => step(claimed, OFF, [request('B', changes, of)]);
    expect(b({ status: 'scheduled' })).toBe('unchanged');
    expect(b({ status: 'completed', watch: 'on' })).toBe('unchanged');
    expect(b({ status: 'completed', watch: 'ended' })).toBe('call enabled');
    for (const status of ['cancelling', 'cancelled', 'superseded'] as const) expect(b({ status })).toBe('call enabled');
    expect(b({ status: 'working' }, { dry_run: true })).toBe('call enabled');
    expect(b({ status: 'failed', outcomes: { con_1: { outcome: 'failed' } } })).toBe('call enabled');
    expect(step(entry('con_1', ['A']), OFF, [request('B', { status: 'scheduled' })])).toBe('call enabled');
  });
  test('when we lowered its level, the level goes back, unless somebody has set another one since', () => {
    const lowered = entry('con_1', ['A'], { lowered_level: 'full' });
    const at = (organization_access_level: string) =>
      listing([{ connection_id: 'con_1', is_enabled: false, organization_access_level }]);
    expect(step(lowered, at('readonly'))).toBe('call enabled full');
    expect(step(lowered, at('full'))).toBe('call enabled full');
    expect(step(lowered, at('none'))).toBe('call enabled');
    expect(step(lowered, NONE)).toBe('call enabled full');
    expect(step(lowered, listing(['con_2']))).toBe('call enabled full');
  });
});
