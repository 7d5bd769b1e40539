import { describe, expect, test } from 'vitest';
import type { LedgerEntry, Organization } from '../../../lib/offboarding/model/organization.ts';
import { type Listing, nextConnectionStep } from '../../../lib/offboarding/rules/connections.ts';
import { asDryRun } from '../../../lib/offboarding/rules/dry-run.ts';
import { entry, listing, off, organization, request } from '../items.ts';

const fresh = (changes: Partial<LedgerEntry> = {}) => entry('con_1', ['A'], { disabled_by_us: false, ...changes });
const holding = (changes: Partial<LedgerEntry> = {}) => organization({ ledger: [fresh(changes)] });
const [ON, OFF, NONE] = [listing(['con_1']), listing([off('con_1')]), listing([])];

function shown(item: Organization, list: Listing, action: 'disable' | 'remove' = 'disable') {
  const of = item.ledger[0] as LedgerEntry;
  const one = request('D', { status: 'working' }, { action, dry_run: true });
  const step = asDryRun(nextConnectionStep(item, one, of, list), item, of, list);
  return step.is === 'known' ? step.outcome : step;
}

describe('a dry run', () => {
  test('when its request would call Auth0, it says what that would bring', () => {
    expect(shown(holding(), ON)).toMatchObject({ outcome: 'disabled' });
    expect(shown(holding(), OFF)).toMatchObject({ outcome: 'unchanged' });
    expect(shown(holding(), OFF, 'remove')).toMatchObject({ outcome: 'removed' });
    expect(shown(holding(), NONE, 'remove')).toMatchObject({ outcome: 'unchanged' });
  });
  test('when the ledger has settings from before an earlier offboarding, it shows those that its request would find', () => {
    const item = holding({ before: { was: 'before' } });
    expect(shown(item, OFF)).toEqual({ outcome: 'unchanged', before: { is_enabled: false } });
    expect(shown(item, NONE)).toEqual({ outcome: 'unchanged', before: null });
  });
  test('when these are the same, or a pending offboarding has made them, it shows those of the ledger', () => {
    expect(shown(holding({ before: { is_enabled: false } }), OFF)).toEqual({ outcome: 'unchanged' });
    expect(shown(holding({ before: { was: 'before' }, disabled_by_us: true }), OFF)).toEqual({ outcome: 'unchanged' });
  });
});
