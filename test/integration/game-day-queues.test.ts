// A night on call: letters that stay, events that were not delivered, and a stop of all work, mended by docs/runbook.md's commands.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { DEAD_LETTERS, QUEUE } from '../../infra/local/environment.ts';
import { CON, ORG, type Service, startService } from '../service.ts';
import { startTerminal, type Terminal } from './runbook.ts';

const OTHER = 'org_Qk2vN8sT5rWx1YzA';

let service: Service;
let terminal: Terminal;
beforeAll(async () => {
  service = await startService();
  terminal = await startTerminal(service);
});
afterAll(async () => {
  await terminal.close();
  await service.close();
});
beforeEach(async () => {
  await service.startOver();
  for (const organization of [ORG, OTHER]) await service.forget(organization);
  service.tenant.setOrganizations({ [ORG]: [{ connection_id: CON }], [OTHER]: [{ connection_id: CON }] });
  service.aws.messages(DEAD_LETTERS).splice(0);
});

const statusOf = async (organization = ORG) => (await service.records(organization)).at(-1)?.status;

test('a letter that is malformed stays: its reason is shown, and one command deletes it', async () => {
  const detail = '{\\"organization\\": \\"oops\\"}';
  const entry = `"EventBusName": "org-connections-local", "Source": "billing", "Detail": "${detail}"`;
  await terminal.run(
    `aws events put-events --entries '[{${entry}, "DetailType": "organization.offboarding.requested"}]'`,
  );
  await expect.poll(() => service.aws.messages(DEAD_LETTERS).length, { timeout: 20_000 }).toBe(1);
  const left = await terminal.mend('Dead letters', /redrive --all/).catch((error) => error);
  expect(left).toMatchObject({ code: 1, stdout: expect.stringContaining('1 dead letter stayed') });
  for (const message of service.aws.messages(DEAD_LETTERS)) message.visibleAt = 0;
  expect(await terminal.mend('Dead letters', /receive-message.*timeout 0/)).toMatch(/"reason".*is missing/);
  const [letter] = JSON.parse(await terminal.mend('Dead letters', /receive-message.*timeout 60/)).Messages;
  await terminal.mend('Dead letters', /delete-message/, { RECEIPT_HANDLE: letter.ReceiptHandle });
  expect(service.aws.messages(DEAD_LETTERS)).toEqual([]);
});

test('an event that was not delivered: it says why, and is carried out when it is moved back', async () => {
  await terminal.play('an event that EventBridge may not deliver');
  expect(await terminal.mend('Requests undelivered', /receive-message/)).toContain('NO_PERMISSIONS');
  await terminal.mend('Requests undelivered', /redrive/);
  await expect.poll(() => statusOf(), { timeout: 20_000 }).toBe('completed');
  expect(service.enabled()).toEqual({ [CON]: false });
});

test('a removal that Scheduler may not send: it is undelivered, and one command finds it', async () => {
  await terminal.play('a removal that Scheduler may not send');
  await expect.poll(() => statusOf(), { timeout: 20_000 }).toBe('scheduled');
  await service.worker.idle();
  await service.makeDue();
  expect(await statusOf()).toBe('scheduled');
  expect(await terminal.mend('Removals undelivered')).toMatch(/Requeued: 1 organization.*offboarding\.due/s);
  await expect.poll(() => service.enabled(), { timeout: 20_000 }).toEqual({});
});

test('callers get 5xx, and Auth0 refuses to end sessions: the log says which code and why', async () => {
  await terminal.play('callers get 5xx');
  await expect.poll(() => service.logged('request_answered').map(({ status }) => status)).toContain(502);
  await terminal.run('curl -s $TENANT/_tenant/clearFaults');
  service.tenant.addMembers(ORG, ['auth0|maria']);
  await terminal.play('Auth0 refuses to end sessions');
  const [line] = await terminal.found('Sessions not ended');
  expect(line).toMatchObject({ error: { code: 'end_sessions_refused' } });
});

test("Lambda takes the worker for a loop: the runbook's command has it invoked again", async () => {
  await terminal.play('Lambda takes the worker for a loop');
  const FUNCTION = 'org-connections-local-offboard-organization';
  expect(service.aws.lambda.allowsLoops(FUNCTION)).toBe(false);
  await terminal.mend('Recursive invocations dropped');
  expect(service.aws.lambda.allowsLoops(FUNCTION)).toBe(true);
});

test('everything stops: a removal waits, can be cancelled meanwhile, and the next one is carried out afterwards', async () => {
  const [stop, goOn] = [/^worker|no-enabled/, /^worker|--enabled|requeue/];
  await terminal.mend('Everything must stop now', stop);
  service.publish({ action: 'remove', organization_id: OTHER });
  await terminal.run(
    `call POST "$API_URL/organizations/$ORG/offboarding" -d '{"action": "remove", "reason": "wrong"}'`,
  );
  await terminal.run('call DELETE "$API_URL/organizations/$ORG/offboarding?reason=wrong"');
  expect([service.enabled(ORG), service.enabled(OTHER)]).toEqual([{ [CON]: true }, { [CON]: true }]);
  expect(service.aws.messages(QUEUE).length).toBeGreaterThan(0);
  await terminal.mend('Everything must stop now', goOn);
  await expect.poll(() => service.enabled(OTHER), { timeout: 20_000 }).toEqual({});
  expect([service.enabled(ORG), await statusOf()]).toEqual([{ [CON]: true }, 'cancelled']);
});
