import { describe, expect, test, vi } from 'vitest';
import { ItemRejected } from '../../../lib/aws/table.ts';
import { createLog } from '../../../lib/log.ts';
import { type Core, type Effect, perform, performAll } from '../../../lib/offboarding/model/effects.ts';
import { run, toEffectError } from '../../../lib/offboarding/store/shell.ts';
import { Problem } from '../../../lib/problem.ts';

describe('an error as the core reads it', () => {
  test('when it is a problem, it has its code, whether it may pass, and whether it may have been done', () => {
    const upstream = { status: 429, error_code: 'too_many', message: 'slow' };
    expect(toEffectError(new Problem('rate_limited', 'wait', { retryAfter: 7, upstream }))).toEqual({
      ...{ code: 'rate_limited', message: 'wait', is_transient: true, may_be_done: false, retry_after: 7, upstream },
    });
    expect(toEffectError(new Problem('auth0_timeout', 'x', { mayBeDone: true }))).toMatchObject({
      is_transient: true,
      may_be_done: true,
    });
    expect(toEffectError(new Problem('rejected_by_auth0', 'x'))).toMatchObject({
      is_transient: false,
      may_be_done: false,
    });
    expect(toEffectError(new Problem('record_unavailable', 'x'))).toMatchObject({ may_be_done: false });
  });
  test('when it is anything else, it may pass, may have been done, and shows nothing of itself', () => {
    const error = toEffectError(new Error('secret'));
    expect(error).toMatchObject({ code: 'internal_error', is_transient: true, may_be_done: true });
    expect(error.message).not.toContain('secret');
    expect(toEffectError('text')).toMatchObject({ code: 'internal_error' });
  });
  test('when the table will never take an item, it will not pass, and nothing is written', () => {
    expect(toEffectError(new ItemRejected('too large'))).toEqual({
      code: 'internal_error',
      message: 'too large',
      is_transient: false,
      may_be_done: false,
    });
  });
  test('when a lease is over, the call was not sent, unless an earlier attempt was', () => {
    expect(toEffectError(new Problem('lease_ended', 'over'))).toMatchObject({
      code: 'lease_ended',
      is_transient: true,
      may_be_done: false,
    });
    expect(toEffectError(new Problem('lease_ended', 'over', { mayBeDone: true }))).toMatchObject({
      code: 'lease_ended',
      may_be_done: true,
    });
  });
});

describe('a computation', () => {
  const log = createLog({});
  const read = (organization_id: string) => ({ do: 'readOrganization' as const, organization_id });

  test('when it asks for effects, each is performed, and it is given what became of it, and when', async () => {
    function* core(): Core<unknown> {
      const before = Date.now();
      const first = yield* perform<'readOrganization'>(read('org_1'));
      const second = yield* perform<'readBatch'>({ do: 'readBatch', batch_id: 'X' });
      return [first.value, second.error?.code, first.at >= before];
    }
    const performers = [
      { readOrganization: async ({ organization_id }: { organization_id: string }) => organization_id as never },
      { readBatch: async () => Promise.reject(new Problem('record_unavailable', 'x')) },
    ];
    const write = vi.spyOn(process.stdout, 'write').mockImplementation(() => true);
    try {
      expect(await run(core(), performers, log)).toEqual(['org_1', 'record_unavailable', true]);
      expect(String(write.mock.calls[0]?.[0])).toContain('"effect":"readBatch"');
      expect(write.mock.calls.length).toBe(1);
    } finally {
      write.mockRestore();
    }
  });
  test('when it asks for several at a time, they overlap, and their results keep their order', async () => {
    let atOnce = 0;
    let most = 0;
    const readOrganization = async ({ organization_id }: { organization_id: string }) => {
      most = Math.max(most, ++atOnce);
      await new Promise((resolve) => setTimeout(resolve, organization_id === 'org_0' ? 30 : 1));
      atOnce -= 1;
      return organization_id as never;
    };
    function* core(): Core<unknown> {
      const results = yield* performAll<'readOrganization'>(
        Array.from({ length: 200 }, (_, index) => read(`org_${index}`)),
      );
      return results.map(({ value }) => value);
    }
    expect(await run(core(), [{ readOrganization }], log)).toEqual(
      Array.from({ length: 200 }, (_, index) => `org_${index}`),
    );
    expect(most).toBeGreaterThan(10);
    // As many as a client of an AWS service has sockets: what queues for one counts as connecting.
    expect(most).toBeLessThanOrEqual(50);
  });
  test('when it asks for nothing at a time, nothing is performed', async () => {
    function* core(): Core<unknown> {
      return yield* performAll([]);
    }
    expect(await run(core(), [], log)).toEqual([]);
  });
  test('when a function may not perform an effect, that is an error of its own', async () => {
    const write = vi.spyOn(process.stdout, 'write').mockImplementation(() => true);
    function* core(): Core<unknown> {
      const result = yield { do: 'readBatch', batch_id: 'X' } as Effect;
      return result.error;
    }
    expect(await run(core(), [], log)).toMatchObject({ code: 'internal_error', is_transient: true });
    expect(String(write.mock.calls[0]?.[0])).toContain('This function does not perform readBatch');
    write.mockRestore();
  });
  test('when it pauses, it goes on after that', async () => {
    function* core(): Core<unknown> {
      const before = Date.now();
      const { at } = yield* perform<'pause'>({ do: 'pause', ms: 20 });
      return at - before >= 19;
    }
    expect(await run(core(), [], log)).toBe(true);
  });
});
