// The offboarding queue.
import type { SQSRecord } from 'aws-lambda';
import { describe, expect, test } from 'vitest';
import { DEAD_LETTERS } from '../../infra/local/environment.ts';
import { DUE, hiddenFor, local, notice, queue, receiveCountOf, received, waiting } from './with-queue.ts';

describe('notices', () => {
  test('are sent each in its group, more than one call takes, and none equals another', async () => {
    const due = Array.from({ length: 23 }, (_, i) => ({
      organization_id: `org_${i}`,
      priority: (['single', 'batch', 'watch'] as const)[i % 3] ?? 'single',
    }));
    await queue.sendDue(due);
    await queue.sendDue(due.slice(0, 1));
    const all = waiting().map(({ group, detail, ...rest }) => ({ priority: group, ...detail, ...rest }));
    expect(all.length).toBe(24);
    for (const one of due) expect(all).toContainEqual({ ...one, 'detail-type': DUE });
  });
  test('of which the queue takes a part only are told as not sent', async () => {
    local.aws.addFaults({ operation: 'SendMessageBatch', entries: [1] });
    const due = [1, 2, 3].map((i) => ({ organization_id: `org_${i}`, priority: 'single' as const }));
    await expect(queue.sendDue(due)).rejects.toThrow(/rejected messages: \w/);
  });
});

describe('a message', () => {
  test('is of the group that it says, else of the first, and was received once at least', () => {
    const of = (attributes: object | undefined) => [
      queue.priorityOf({ attributes } as SQSRecord),
      receiveCountOf({ attributes } as SQSRecord),
    ];
    for (const MessageGroupId of ['single', 'batch', 'watch'])
      expect(of({ MessageGroupId, ApproximateReceiveCount: '3' })).toEqual([MessageGroupId, 3]);
    expect(of({ MessageGroupId: 'x' })).toEqual(['single', 1]);
    expect(of({})).toEqual(['single', 1]);
    expect(of(undefined)).toEqual(['single', 1]);
  });
  test('is hidden for whole seconds, and never for longer than SQS takes', async () => {
    const hide = async (ms: number) => {
      const message = await received('{}');
      await queue.changeVisibility(message, ms);
      return hiddenFor(message.messageId);
    };
    expect(await hide(4200)).toBe(5);
    expect(await hide(1e12)).toBe(12 * 3600 - 60);
    await hide(-1);
  });
  test('goes to the end of its group as it is, however often', async () => {
    const message = await received(notice('org_1'), 'batch');
    for (let i = 0; i < 2; i++) await queue.requeue(message);
    expect(
      waiting().filter(({ group, detail }) => group === 'batch' && detail.organization_id === 'org_1').length,
    ).toBe(3);
  });
  test('that is given up is left with its reason', async () => {
    await queue.sendToDeadLetterQueue('{"x":1}', 'batch', 'r'.repeat(600));
    const [left] = local.aws.messages(DEAD_LETTERS);
    expect(left).toMatchObject({
      body: '{"x":1}',
      group: 'batch',
      attributes: { reason: { DataType: 'String', StringValue: 'r'.repeat(500) } },
    });
    for (const Attributes of [undefined, { RedrivePolicy: '{}' }]) {
      local.aws.addFaults({ operation: 'GetQueueAttributes', answer: { Attributes } });
      await expect(queue.sendToDeadLetterQueue('x', 'batch', 'r')).rejects.toThrow('no dead-letter queue');
    }
  });
});
