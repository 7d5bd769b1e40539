import * as v from 'valibot';
import { expect, test } from 'vitest';
import { deterministicUuid } from '../../lib/digest.ts';
import { ClientGrantId } from '../../lib/ids.ts';

test('when two lists of parts differ, their UUIDs differ, and each is a UUID of version 8', () => {
  const ids = Array.from({ length: 200 }, (_, index) => deterministicUuid('role', 'route', String(index)));
  for (const id of ids) {
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(v.is(v.pipe(v.string(), v.uuid()), id)).toBe(true);
  }
  expect(new Set(ids).size).toBe(200);
  expect(deterministicUuid('a', 'bc')).not.toBe(deterministicUuid('ab', 'c'));
});

test('when a client grant has an id that is no single path segment, it is refused', () => {
  for (const id of ['cgr_bCE84ZIRjtX58FeO', 'a', 'x'.repeat(100)]) expect(v.is(ClientGrantId, id), id).toBe(true);
  for (const id of ['', '.', '..', 'a/b', 'a?b', 'a%2fb', 'a b', 'x'.repeat(101)])
    expect(v.is(ClientGrantId, id), id).toBe(false);
});
