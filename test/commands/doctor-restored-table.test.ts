// A table that was made by a restore: what the doctor says of it, and of its records beside the archive and Auth0.
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { compareWithArchive } from '../../infra/commands/doctor/archive.ts';
import { lookAtTable } from '../../infra/commands/doctor/resources.ts';
import { accountOfEachTest, type Json, stackOf } from './account.ts';

const account = accountOfEachTest();
const stack = () => stackOf({});

describe('a table', () => {
  const restoredAt = Date.parse('2026-11-25T09:00:00.000Z');
  const table = (RestoreSummary?: object, Tags: object[] = []) => ({
    DescribeTable: () => ({ Table: { TableArn: 'arn:aws:dynamodb:us-east-1:111122223333:table/t', RestoreSummary } }),
    ListTagsOfResource: () => ({ Tags }),
  });
  const summary = { RestoreDateTime: restoredAt / 1000, RestoreInProgress: false };
  test('when it was restored, it is a finding until an operator says that it was compared', async () => {
    account.answers = table(summary);
    await lookAtTable(account.place, stack());
    expect(account.lines[0]).toMatch(
      /^MISSING table: it was made by a restore \(of 2026-11-25T09:00:00\.000Z\): .*--archive QUEUE/,
    );
    expect(account.lines[0]).toContain('--tags Key=restore-checked,Value=2026-11-25T09:00:00.000Z');
    account.answers = table(summary, [{ Key: 'restore-checked', Value: '2026-11-25T09:00:00.000Z' }]);
    await lookAtTable(account.place, stack());
    expect(account.lines[1]).toMatch(/^ok +table: made by a restore/);
  });
  test('when an operator compared another restore, it is a finding again', async () => {
    account.answers = table(summary, [{ Key: 'restore-checked', Value: '2026-01-01T00:00:00.000Z' }]);
    await lookAtTable(account.place, stack());
    expect(account.lines[0]).toMatch(/^MISSING table/);
  });
  test('when it was never restored, it is in order', async () => {
    account.answers = table();
    await lookAtTable(account.place, stack());
    expect(account.lines).toEqual(['ok      table']);
  });
});

describe('the records of a restored table', () => {
  const said = (type: string, offboarding_id: string, organization_id: string, time: string) => {
    const Body = JSON.stringify({
      'detail-type': `organization.offboarding.${type}`,
      source: 'org-connections',
      time,
      detail: { organization_id, offboarding_id, dry_run: false },
    });
    const MD5OfBody = createHash('md5').update(Body).digest('hex');
    return { MessageId: `${offboarding_id}-${type}`, ReceiptHandle: 'x', Body, MD5OfBody };
  };
  let released: unknown[];
  const queue = (messages: object[], inFlight = 0) => {
    const left = [...messages];
    released = [];
    return {
      GetQueueUrl: () => ({ QueueUrl: 'http://127.0.0.1/111122223333/audit' }),
      GetQueueAttributes: () => ({ Attributes: { ApproximateNumberOfMessagesNotVisible: String(inFlight) } }),
      ReceiveMessage: () => ({ Messages: left.splice(0, 10) }),
      ChangeMessageVisibilityBatch: ({ Entries }: Json) => {
        released.push(...(Entries as Json[]).map(({ VisibilityTimeout }) => VisibilityTimeout));
        return { Successful: [], Failed: [] };
      },
    };
  };
  const service =
    (records: Record<string, string>, enabled: string[] = []) =>
    async (path: string) => {
      const [, organization = ''] = /^\/organizations\/(\w+)/.exec(path) ?? [];
      if (organization)
        return {
          connections: [
            { connection_id: 'con_a', is_enabled: enabled.includes(organization), disabled_by_offboarding: true },
          ],
        };
      const query = new URL(path, 'http://x').searchParams;
      const [id, status] = [query.get('offboarding_id') ?? '', query.get('status')];
      const all = Object.entries(records).map(([offboarding_id, one]) => ({
        offboarding_id,
        status: one,
        organization_id: 'org_b',
      }));
      const offboardings = status
        ? all.filter((one) => one.status === status)
        : all.filter((one) => one.offboarding_id === id);
      return { offboardings, cursor: null };
    };

  test('when the archive says more than a record, each such offboarding is named with what to do', async () => {
    account.answers = queue([
      said('cancelled', 'o-1', 'org_a', '2026-11-25T10:00:00Z'),
      said('scheduled', 'o-1', 'org_a', '2026-11-25T09:00:00Z'),
      said('completed', 'o-2', 'org_b', '2026-11-25T10:00:00Z'),
      said('scheduled', 'o-3', 'org_c', '2026-11-25T10:00:00Z'),
    ]);
    await compareWithArchive(account.place, service({ 'o-1': 'scheduled', 'o-2': 'completed' }, ['org_b']), 'audit');
    const text = account.lines.join('\n');
    expect(text).toMatch(
      /MISSING records and the archive: org_a: .*said cancelled of o-1 .*says scheduled.* cancel org_a/,
    );
    expect(text).toMatch(/MISSING records and the archive: org_c: .*does not know it/);
    expect(text).not.toContain('o-2');
    expect(text).toMatch(/MISSING records and Auth0: org_b: Auth0 shows con_a enabled/);
  });

  test('when both agree, that is said; when the queue is not there, too', async () => {
    account.answers = queue([said('completed', 'o-2', 'org_b', '2026-11-25T10:00:00Z')]);
    await compareWithArchive(account.place, service({ 'o-2': 'completed' }), 'audit');
    expect(account.lines.filter((line) => line.startsWith('ok'))).toHaveLength(2);
    account.answers = {};
    await compareWithArchive(account.place, service({}), 'audit');
    expect(account.lines.at(-1)).toMatch(/^MISSING queue audit: it is not there/);
  });

  test('when the queue gave no events, or none of an offboarding, that is a finding and no all-clear', async () => {
    account.answers = queue([]);
    await compareWithArchive(account.place, service({}), 'audit');
    account.answers = queue([said('requested-elsewhere', 'o-9', 'org_a', '2026-11-25T10:00:00Z')]);
    await compareWithArchive(account.place, service({}), 'audit');
    const text = account.lines.join('\n');
    expect(text).toMatch(/MISSING queue audit: it gave no events, .*COMPLETED/);
    expect(text).toMatch(/MISSING queue audit: none of its 1 events says/);
    expect(text).not.toMatch(/^ok +records and the archive/m);
  });

  test('when messages are in flight, it says how long to wait, and gives no all-clear', async () => {
    account.answers = queue([said('completed', 'o-2', 'org_b', '2026-11-25T10:00:00Z')], 3);
    await compareWithArchive(account.place, service({ 'o-2': 'completed' }), 'audit');
    expect(account.lines[0]).toMatch(/^MISSING queue audit: 3 messages are in flight: .* Wait 10 minutes/);
    expect(account.lines.join('\n')).not.toMatch(/^ok +records and the archive/m);
  });

  test('when an event is malformed, it is named, the others are compared, and what was read is released', async () => {
    const oops = { ...said('completed', 'o-1', 'org_a', '2026-11-25T10:00:00Z'), MessageId: 'oops' };
    oops.Body = oops.Body.replace('"organization_id":"org_a"', '"organization":"oops"');
    oops.MD5OfBody = createHash('md5').update(oops.Body).digest('hex');
    account.answers = queue([oops, said('cancelled', 'o-2', 'org_b', '2026-11-25T10:00:00Z')]);
    await compareWithArchive(account.place, service({ 'o-2': 'scheduled' }), 'audit');
    const text = account.lines.join('\n');
    expect(text).toMatch(/^\? +queue audit: a malformed event was left out: .*"organization":"oops"/m);
    expect(text).toMatch(/^MISSING records and the archive: org_b: /m);
    expect(released).toEqual([0, 0]);
  });

  test('when the API answers an error, the offboardings that were not compared are counted', async () => {
    account.answers = queue([said('completed', 'o-2', 'org_b', '2026-11-25T10:00:00Z')]);
    const fails = async () => {
      throw new Error('GET /offboardings was answered 503');
    };
    await compareWithArchive(account.place, fails, 'audit');
    expect(account.lines[0]).toMatch(/^\? +records and the archive: 1 offboardings were not compared\. .*503/);
    expect(account.lines.join('\n')).not.toMatch(/^ok/m);
  });
});
