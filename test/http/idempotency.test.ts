import { afterAll, beforeAll, expect, test } from 'vitest';
import { ORG, type Service, startService } from '../service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService({ connected: false });
});
afterAll(() => service.close());

test('a key is of the role, whatever its session: a new session goes on where the last was cut off, and no other role meets it', async () => {
  const body = { organization_id: ORG, action: 'disable', reason: 'contract ended', requested_by: 'billing' };
  const ask = async (callerArn: string) => {
    const headers = { 'idempotency-key': 'contract-1' };
    const answer = await service.request('request-offboarding', { body, headers, callerArn });
    expect(answer.status).toBe(202);
    return (answer.body as { offboarding_id: string }).offboarding_id;
  };
  const first = await ask('arn:aws:sts::123456789012:assumed-role/billing/monday');
  expect(await ask('arn:aws:sts::123456789012:assumed-role/billing/tuesday')).toBe(first);
  expect(await ask('arn:aws:sts::123456789012:assumed-role/billing-2/monday')).not.toBe(first);
  expect(await ask('arn:aws:sts::210987654321:assumed-role/billing/monday')).not.toBe(first);
  expect(await ask('arn:aws:iam::123456789012:user/billing')).not.toBe(first);
});
