// The events of single connections: from the request's log line over the subscription to the bus.
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { LocalEnvironment } from '../../infra/local/environment.ts';
import { startEnvironmentInProcess } from '../in-process.ts';
import { CON, gatewayEvent, ORG } from '../service.ts';

let local: LocalEnvironment;
const logs: string[] = [];
beforeAll(async () => {
  local = await startEnvironmentInProcess({ onLog: (line) => logs.push(line), environment: { LOG_LEVEL: 'ERROR' } });
});
afterAll(() => local.close());
beforeEach(() => {
  local.tenant.setOrganizations({
    [ORG]: [{ connection_id: CON, connection: { name: 'acme-okta', strategy: 'okta' } }],
  });
  local.aws.clearFaults();
  local.aws.events.splice(0);
});

const published = (type: string) => local.aws.events.filter((event) => event['detail-type'] === type);
async function request(name: 'disable-connection' | 'remove-connection') {
  const container = local.functionNamed(name);
  const event = gatewayEvent(name);
  const { statusCode } = (await container.invoke(event)) as { statusCode: number };
  container.kill();
  return { statusCode, caller: event.requestContext.authorizer?.iam?.userArn, id: event.requestContext.requestId };
}

test('when a caller disables a connection, the bus gets connection.disabled with its settings, at any log level', async () => {
  const { statusCode, caller, id } = await request('disable-connection');
  expect(statusCode).toBe(200);
  await expect.poll(() => published('connection.disabled').length).toBe(1);
  const [event] = published('connection.disabled');
  expect(event?.source).toBe('org-connections');
  expect(event?.detail).toMatchObject({ version: 1, organization_id: ORG, connection_id: CON, caller, request_id: id });
  expect(event?.detail.settings).toMatchObject({ is_enabled: false, connection: { name: 'acme-okta' } });
});

test('when a caller removes a connection, the bus gets connection.removed, which does not know the settings', async () => {
  const { statusCode, caller, id } = await request('remove-connection');
  expect(statusCode).toBe(204);
  await expect.poll(() => published('connection.removed').length).toBe(1);
  const detail = { version: 1, organization_id: ORG, connection_id: CON, caller, request_id: id, settings: null };
  expect(published('connection.removed')[0]?.detail).toEqual(detail);
});

test('when Auth0 refuses the removal, no event says that it was done', async () => {
  local.tenant.addFaults({ status: 403, body: { statusCode: 403, error: 'Forbidden', message: 'no' }, times: 1 });
  expect((await request('remove-connection')).statusCode).toBe(502);
  expect(logs.at(-1)).toContain('request_answered');
  expect(published('connection.removed')).toEqual([]);
});

/** A delivery of CloudWatch Logs. */
const delivery = (messages: object[], messageType = 'DATA_MESSAGE') => {
  const logEvents = messages.map((message, id) => ({ id: String(id), timestamp: 0, message: JSON.stringify(message) }));
  return { awslogs: { data: gzipSync(JSON.stringify({ messageType, logEvents })).toString('base64') } };
};
const line = { code: 'connection_removed', organization_id: ORG, connection_id: CON, caller: 'arn:aws:iam::1:role/a' };
const publish = async (event: object) => {
  const container = local.functionNamed('publish-connection-changes');
  await container.invoke(event).finally(() => container.kill());
};

test('when the bus does not take the events, the invocation fails, so that Lambda tries it again', async () => {
  local.aws.addFaults({ operation: 'PutEvents', error: 'InternalFailure', status: 500, times: 20 });
  await expect(publish(delivery([{ ...line, request_id: '1' }]))).rejects.toThrow();
});

test("when a line of a change can't be read, the others are published, and the invocation fails, so that somebody looks", async () => {
  const hidden = { ...line, organization_id: '[hidden]', request_id: '4' };
  await expect(publish(delivery([hidden, { ...line, request_id: '5' }]))).rejects.toThrow("can't be read");
  expect(published('connection.removed').map(({ detail }) => detail.request_id)).toEqual(['5']);
  expect(logs.filter((one) => one.includes('log_lines_unreadable')).at(-1)).toContain('"lines":1');
});

test.each(['disable-connection', 'remove-connection'] as const)(
  'when an id looks like a part of a token, the event of %s has it',
  async (name) => {
    const [organization, connection] = ['org_Q7eyJhbGciOiJI9z', 'con_eyJPmFe8KxCsPJvZ'];
    local.tenant.setOrganizations({ [organization]: [{ connection_id: connection }] });
    const container = local.functionNamed(name);
    await container.invoke(gatewayEvent(name, { organization, connection })).finally(() => container.kill());
    const type = name === 'disable-connection' ? 'connection.disabled' : 'connection.removed';
    await expect.poll(() => published(type).length).toBe(1);
    expect(published(type)[0]?.detail).toMatchObject({ organization_id: organization, connection_id: connection });
  },
);

test('when a delivery holds lines that are no change, they are counted and the others are published', async () => {
  const others = [{ ...line, code: 'connection_enabled', request_id: '2' }, { code: 'request_answered' }];
  await publish(delivery([...others, ...Array.from({ length: 12 }, (_, i) => ({ ...line, request_id: `r${i}` }))]));
  const ids = published('connection.removed').map(({ detail }) => String(detail.request_id));
  expect(ids.sort()).toEqual(Array.from({ length: 12 }, (_, i) => `r${i}`).sort());
  expect(logs.filter((one) => one.includes('log_lines_unreadable')).at(-1)).toContain('"lines":2');
});

test('when CloudWatch Logs sends its control message, nothing is published', async () => {
  await publish(delivery([{ ...line, request_id: '3' }], 'CONTROL_MESSAGE'));
  expect(local.aws.events).toEqual([]);
});
