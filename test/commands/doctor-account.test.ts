// What the doctor finds in an account, over the wire: the path of notifications, the worker, a restored table, and its records.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { compareWithArchive } from '../../infra/commands/doctor/archive.ts';
import { createFindings } from '../../infra/commands/doctor/findings.ts';
import { lookAtNotifications } from '../../infra/commands/doctor/notifications.ts';
import type { Place } from '../../infra/commands/doctor/place.ts';
import { lookAtTable, lookAtWorker } from '../../infra/commands/doctor/resources.ts';
import { lookAtRemainingAccess } from '../../infra/commands/doctor/service.ts';
import type { Stack } from '../../infra/commands/doctor/stacks.ts';
import { matches } from '../../infra/local/aws/pattern.ts';
import { localTemplate } from '../../infra/local/aws/template.ts';

type Json = Record<string, unknown>;
/** Answers by operation, each from its input; an operation that is not here is refused as an unknown one. */
let answers: Record<string, (input: Json) => Json>;
class Refused extends Error {}
const server = createServer(async (request, response) => {
  const input = JSON.parse(Buffer.concat(await request.toArray()).toString() || '{}');
  const path = String(request.url).split('?')[0];
  const name =
    String(request.headers['x-amz-target'] ?? `${request.method} ${path}`)
      .split('.')
      .at(-1) ?? '';
  const answer = (status: number, body: Json, type = '') =>
    response
      .writeHead(status, { 'content-type': 'application/x-amz-json-1.1', ...(type && { 'x-amzn-errortype': type }) })
      .end(JSON.stringify(body));
  try {
    const run = answers[name];
    if (!run) throw new Refused('ResourceNotFoundException');
    answer(200, run(input));
  } catch (error) {
    const type = (error as Error).message;
    answer(400, { __type: type, message: `${type} of ${name}` }, type);
  }
});

let place: Place;
let lines: string[];
beforeAll(async () => {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  process.env.AWS_ENDPOINT_URL = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  delete process.env.AWS_ENDPOINT_URL;
  server.close();
});
beforeEach(() => {
  answers = {};
  lines = [];
  vi.spyOn(console, 'log').mockImplementation((line) => void lines.push(String(line)));
  const credentials = async () => ({ accessKeyId: 'AKIDLOCAL', secretAccessKey: 'local' });
  place = {
    ...{
      stage: 'local',
      stack: 'org-connections-local',
      account: '111122223333',
      region: 'us-east-1',
      partition: 'aws',
    },
    ...{ accountStack: 'org-connections-account-local', publishersStack: 'org-connections-publishers-local' },
    client: { region: 'us-east-1', credentials } as never,
    findings: createFindings('org-connections-local-doctor-us-east-1'),
  };
  return () => vi.restoreAllMocks();
});

const template = localTemplate();
const stack = (resources = template.Resources) =>
  ({ template: { Resources: resources }, outputs: new Map() }) as never as Stack;

describe('the path of notifications', () => {
  const rules = Object.values(template.Resources).filter(({ Type }) => Type === 'AWS::Events::Rule');
  const events = (change: { state?: string; rule?: string; targets?: object[]; pattern?: object } = {}) => ({
    DescribeEventSource: ({ Name }: Json) => ({ Name, State: change.state ?? 'ACTIVE' }),
    DescribeRule: ({ Name }: Json) => ({
      State: change.rule ?? 'ENABLED',
      EventPattern: JSON.stringify(
        change.pattern ?? rules.find(({ Properties }) => Properties.Name === Name)?.Properties.EventPattern,
      ),
    }),
    ListTargetsByRule: () => ({ Targets: change.targets ?? [{ Id: 'a', Arn: 'arn:a' }] }),
    TestEventPattern: ({ EventPattern, Event }: Json) => ({
      Result: matches(JSON.parse(String(EventPattern)), JSON.parse(String(Event))),
    }),
  });

  test('when all is as it was deployed, both streams are in order, and it says how to see them at Auth0', async () => {
    answers = events();
    await lookAtNotifications(place, stack());
    expect(lines.filter((line) => line.startsWith('ok'))).toHaveLength(4);
    expect(lines.join('\n')).toMatch(/rule of the log stream: .* takes 3 kinds/);
    expect(lines.join('\n')).toMatch(/rule of the Event Stream: .* takes 3 kinds/);
    expect(lines.join('\n')).toMatch(/auth0 api get event-streams .*500 failures in a row/);
    expect(place.findings.end()).toBe(true);
  });

  test.each<[string, Parameters<typeof events>[0], RegExp]>([
    ['the source is pending', { state: 'PENDING' }, /^MISSING event source of the log stream: .* is PENDING/m],
    [
      'the rule is disabled',
      { rule: 'DISABLED' },
      /^MISSING rule of the Event Stream: .*it is DISABLED.* enable-rule/m,
    ],
    ['the rule has no target', { targets: [] }, /^MISSING rule of the log stream: .*it has no target/m],
    [
      'somebody narrowed the pattern',
      { pattern: { detail: { data: { type: ['sapi'] } } } },
      /^MISSING rule of the log stream: .*does not take my_organization_api_idp_succeeded, ss_sso_success/m,
    ],
  ])('when %s, it says what is lost', async (_what, change, line) => {
    answers = events(change);
    await lookAtNotifications(place, stack());
    expect(lines.join('\n')).toMatch(line);
  });

  test('when the stage has no stream, or its source is gone, that is said', async () => {
    await lookAtNotifications(place, stack({}));
    expect(lines).toEqual([expect.stringMatching(/^- .*within a day/)]);
    await lookAtNotifications(place, stack());
    expect(lines.join('\n')).toMatch(/^MISSING event source of the log stream: .* is not there in us-east-1/m);
  });
});

describe('the worker', () => {
  const mapping = (State: string) => ({
    'GET /2015-03-31/event-source-mappings': () => ({ EventSourceMappings: [{ UUID: 'uuid-1', State }] }),
    'GET /2024-08-31/functions/org-connections-local-offboard-organization/recursion-config': () => ({
      RecursiveLoop: 'Allow',
    }),
  });
  test('when its event source is disabled, nothing goes on, and the line that enables it is given', async () => {
    answers = mapping('Disabled');
    await lookAtWorker(place);
    expect(lines.join('\n')).toMatch(
      /^MISSING worker: .*Disabled.*update-event-source-mapping --uuid uuid-1 --enabled/m,
    );
    expect(lines[0]).toMatch(/^ok +recursion/);
  });
  test('when it is enabled, it is in order', async () => {
    answers = mapping('Enabled');
    await lookAtWorker(place);
    expect(place.findings.end()).toBe(true);
  });
});

describe('a table', () => {
  const restoredAt = Date.parse('2026-11-25T09:00:00.000Z');
  const table = (RestoreSummary?: object, Tags: object[] = []) => ({
    DescribeTable: () => ({ Table: { TableArn: 'arn:aws:dynamodb:us-east-1:111122223333:table/t', RestoreSummary } }),
    ListTagsOfResource: () => ({ Tags }),
  });
  const summary = { RestoreDateTime: restoredAt / 1000, RestoreInProgress: false };
  test('when it was restored, it is a finding until an operator says that it was compared', async () => {
    answers = table(summary);
    await lookAtTable(place, stack());
    expect(lines[0]).toMatch(
      /^MISSING table: it was made by a restore \(of 2026-11-25T09:00:00\.000Z\): .*--archive QUEUE/,
    );
    expect(lines[0]).toContain('--tags Key=restore-checked,Value=2026-11-25T09:00:00.000Z');
    answers = table(summary, [{ Key: 'restore-checked', Value: '2026-11-25T09:00:00.000Z' }]);
    await lookAtTable(place, stack());
    expect(lines[1]).toMatch(/^ok +table: made by a restore/);
  });
  test('when an operator compared another restore, it is a finding again', async () => {
    answers = table(summary, [{ Key: 'restore-checked', Value: '2026-01-01T00:00:00.000Z' }]);
    await lookAtTable(place, stack());
    expect(lines[0]).toMatch(/^MISSING table/);
  });
  test('when it was never restored, it is in order', async () => {
    answers = table();
    await lookAtTable(place, stack());
    expect(lines).toEqual(['ok      table']);
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
  const queue = (messages: object[]) => {
    const left = [...messages];
    return {
      GetQueueUrl: () => ({ QueueUrl: 'http://127.0.0.1/111122223333/audit' }),
      ReceiveMessage: () => ({ Messages: left.splice(0, 10) }),
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
    answers = queue([
      said('cancelled', 'o-1', 'org_a', '2026-11-25T10:00:00Z'),
      said('scheduled', 'o-1', 'org_a', '2026-11-25T09:00:00Z'),
      said('completed', 'o-2', 'org_b', '2026-11-25T10:00:00Z'),
      said('scheduled', 'o-3', 'org_c', '2026-11-25T10:00:00Z'),
    ]);
    await compareWithArchive(place, service({ 'o-1': 'scheduled', 'o-2': 'completed' }, ['org_b']), 'audit');
    const text = lines.join('\n');
    expect(text).toMatch(
      /MISSING records and the archive: org_a: .*said cancelled of o-1 .*says scheduled.* cancel org_a/,
    );
    expect(text).toMatch(/MISSING records and the archive: org_c: .*does not know it/);
    expect(text).not.toContain('o-2');
    expect(text).toMatch(/MISSING records and Auth0: org_b: Auth0 shows con_a enabled/);
  });

  test('when both agree, that is said; when the queue is not there, too', async () => {
    answers = queue([said('completed', 'o-2', 'org_b', '2026-11-25T10:00:00Z')]);
    await compareWithArchive(place, service({ 'o-2': 'completed' }), 'audit');
    expect(lines.filter((line) => line.startsWith('ok'))).toHaveLength(2);
    answers = {};
    await compareWithArchive(place, service({}), 'audit');
    expect(lines.at(-1)).toMatch(/^MISSING queue audit: it is not there/);
  });
});

test.each<[string, Json, RegExp]>([
  [
    'sees the grants',
    { remaining_access: [{ kind: 'client_grant' }], connections_source: 'auth0' },
    /^ok +remaining access: 1/,
  ],
  [
    'may not see them',
    { remaining_access: null, connections_source: 'auth0' },
    /^MISSING .*read:organization_client_grants.*rotate-secret/,
  ],
  ['is not answered by Auth0', { remaining_access: null, connections_source: 'record' }, /^\? +remaining access/],
])('when the service %s, the doctor says so', async (_what, answer, line) => {
  await lookAtRemainingAccess(place, async () => answer, 'org_a');
  expect(lines[0]).toMatch(line);
});
