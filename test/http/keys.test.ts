// What an Idempotency-Key stands for.
import { expect, test } from 'vitest';
import { fingerprintOf } from '../../lib/digest.ts';
import type { HttpRequest } from '../../lib/http/http-api.ts';
import { idOf } from '../../lib/http/idempotency.ts';

const id = (more: object = {}) =>
  idOf({ idempotencyKey: 'k', role: 'billing', route: 'POST /a', ...more } as HttpRequest);

test('the same key is the same request for the same role and route alone', () => {
  expect(id()).toBe(id());
  for (const other of [
    { idempotencyKey: 'l' },
    { role: 'crm' },
    { route: 'POST /b' },
    { role: 'billingPOST /a', route: '' },
  ])
    expect(id(other), JSON.stringify(other)).not.toBe(id());
  expect(id({ idempotencyKey: undefined })).not.toBe(id({ idempotencyKey: undefined }));
});

test('another body is told by it: another organization of a batch, another action', () => {
  const body = { organization_ids: ['org_1', 'org_2'], action: 'disable' };
  expect(fingerprintOf({ ...body })).toBe(fingerprintOf(body));
  for (const other of [{ organization_ids: ['org_1'] }, { organization_ids: ['org_2', 'org_1'] }, { action: 'remove' }])
    expect(fingerprintOf({ ...body, ...other })).not.toBe(fingerprintOf(body));
});
