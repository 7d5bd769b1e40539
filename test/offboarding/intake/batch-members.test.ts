import { describe, expect, test } from 'vitest';
import { membersOf } from '../../../lib/offboarding/intake/batch-members.ts';
import { parameters } from '../items.ts';

const about = (of = {}, urgent?: boolean) => ({ parameters: parameters(of), caller: 'c', urgent });

describe('the members of a batch', () => {
  test('when organizations are named, each is a member with an id that the batch determines', () => {
    const { members, rejected } = membersOf('X', ['org_a', 'org_b'], about());
    expect(rejected).toEqual([]);
    expect(members.map(({ organization_id }) => organization_id)).toEqual(['org_a', 'org_b']);
    const ids = members.map(({ request }) => request.offboarding_id);
    expect(new Set(ids).size).toBe(2);
    expect(membersOf('X', ['org_b', 'org_a'], about()).members.map(({ request }) => request.offboarding_id)).toEqual(
      ids.reverse(),
    );
    expect(membersOf('Y', ['org_a'], about()).members[0]?.request.offboarding_id).not.toBe(ids[1]);
    expect(members[0]?.request).toEqual({ offboarding_id: ids[1], parameters: parameters(), caller: 'c' });
  });
  test('when something is no organization, or named before, it is rejected with its code, and stops no other', () => {
    const { members, rejected } = membersOf('X', ['globex', 'org_a', 'org_a', 'globex', 'org_'], about());
    expect(members.map(({ organization_id }) => organization_id)).toEqual(['org_a']);
    expect(rejected).toEqual([
      { organization_id: 'globex', code: 'invalid_organization_id' },
      { organization_id: 'org_a', code: 'duplicate' },
      { organization_id: 'globex', code: 'invalid_organization_id' },
      { organization_id: 'org_', code: 'invalid_organization_id' },
    ]);
  });
  test('when it is urgent it goes before others; a dry run goes behind all', () => {
    expect(membersOf('X', ['org_a'], about()).priority).toBe('batch');
    expect(membersOf('X', ['org_a'], about({}, true))).toMatchObject({
      priority: 'single',
      members: [{ request: { urgent: true } }],
    });
    expect(membersOf('X', ['org_a'], about({ dry_run: true }, true)).priority).toBe('watch');
    expect(Object.keys(membersOf('X', ['org_a'], about({}, false)).members[0]?.request ?? {})).not.toContain('urgent');
  });
});
