import { describe, expect, test } from 'vitest';
import { memberIdOf, membersOf } from '../../../lib/offboarding/intake/batch-members.ts';

describe('the members of a batch', () => {
  test('when organizations are named, each is a member with an id that the batch determines', () => {
    expect(membersOf(['org_a', 'org_b'])).toEqual({ organization_ids: ['org_a', 'org_b'], rejected: [] });
    expect(memberIdOf('X', 'org_a')).toBe(memberIdOf('X', 'org_a'));
    const ids = [memberIdOf('X', 'org_a'), memberIdOf('X', 'org_b'), memberIdOf('Y', 'org_a')];
    expect(new Set(ids).size).toBe(3);
  });
  test('when something is no organization, or named before, it is rejected with its code, and stops no other', () => {
    const { organization_ids, rejected } = membersOf(['globex', 'org_a', 'org_a', 'globex', 'org_']);
    expect(organization_ids).toEqual(['org_a']);
    expect(rejected).toEqual([
      { organization_id: 'globex', code: 'invalid_organization_id' },
      { organization_id: 'org_a', code: 'duplicate' },
      { organization_id: 'globex', code: 'invalid_organization_id' },
      { organization_id: 'org_', code: 'invalid_organization_id' },
    ]);
  });
});
