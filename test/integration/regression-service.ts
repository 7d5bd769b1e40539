// The packaged service for the regression tests of several offboardings of one organization: every test has an organization of its
// own, so that all of them share one environment. Time passes by shifting the items of the table.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Call } from '../../infra/local/auth0-tenant.ts';
import { type LocalEnvironment, QUEUE } from '../../infra/local/environment.ts';
import type { LocalFunction } from '../../infra/local/lambda.ts';
import type { Item } from '../../lib/aws/table.ts';
import { BATCH } from '../../lib/offboarding/model/batch.ts';
import { ORGANIZATION, type Organization } from '../../lib/offboarding/model/organization.ts';
import type { OffboardingRecord } from '../../lib/offboarding/model/record.ts';
import { dueOf } from '../../lib/offboarding/rules/due-work.ts';
import { fromOrganizationItem, fromRecordItem, toOrganizationItem } from '../../lib/offboarding/store/items.ts';
import { assertDescribed, assertOutcome } from '../contract.ts';
import { type EnvironmentOptions, startEnvironmentInProcess } from '../in-process.ts';
import { answerOf, gatewayEvent, type RequestOptions } from '../service.ts';
import { changeItem, earlier, readItems } from '../stored-items.ts';

export const MINUTE_MS = 60_000;
export const DAY_MS = 86_400_000;
/** After this nothing that Auth0 may have carried out late is waited for, on clocks two minutes apart. */
export const LEASE_OVER_MS = 4 * MINUTE_MS;
export const LATER = { action: 'disable_then_remove', grace_period: 'P30D', reason: 'contract ended' };
export const NOW = { action: 'disable', reason: 'contract ended' };

export interface HttpAnswer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: each route's is another one, and all are checked against the description
  body: any;
}

export async function startRegressionService(options: EnvironmentOptions = {}) {
  const logs: string[] = [];
  const local: LocalEnvironment = await startEnvironmentInProcess({
    visibilityTimeout: 1500,
    ...options,
    onLog: (line) => logs.push(line),
  });
  const { tenant, aws } = local;
  const containers = new Map<string, LocalFunction>();
  const extra: LocalFunction[] = [];

  const itemsOf = (key: string) => readItems(local, key);
  const isRecord = ({ offboarding_id }: Item) => offboarding_id !== ORGANIZATION && offboarding_id !== BATCH;

  async function item(organization: string): Promise<Organization | undefined> {
    const found = (await itemsOf(organization)).find(({ offboarding_id }) => offboarding_id === ORGANIZATION);
    return found && fromOrganizationItem(found);
  }

  /** Changes the organization's item behind the service's back, with a version of its own as any writer has. */
  const change = (organization: string, how: (item: Organization) => Organization): Promise<void> =>
    changeItem(local, organization, (found) => {
      const before = found.find(({ offboarding_id }) => offboarding_id === ORGANIZATION);
      if (!before) throw new Error(`${organization} has no item`);
      const item = fromOrganizationItem(before);
      return { item: toOrganizationItem({ ...how(item), version: randomUUID() }, Date.now()), version: item.version };
    });

  const messages = (text: string) => aws.messages(QUEUE).filter(({ body }) => body.includes(text));

  return {
    ...local,
    logs,
    logged: (code: string) => logs.filter((line) => line.includes(`"code":"${code}"`)).map((line) => JSON.parse(line)),
    item,
    change,
    messages,

    /** A container of its own, which the end of the tests ends. */
    container(name: string): LocalFunction {
      const made = local.functionNamed(name);
      extra.push(made);
      return made;
    },

    /** Gives a function to the tests' end, whatever made it. */
    keep<T extends LocalFunction>(made: T): T {
      extra.push(made);
      return made;
    },

    /** A request of the HTTP API; its answer is checked against the OpenAPI description. */
    async http(name: string, { remaining = 29_000, container, ...options }: RequestOptions = {}): Promise<HttpAnswer> {
      const found = container ?? containers.get(name) ?? local.functionNamed(name);
      if (!container) containers.set(name, found);
      const answer = answerOf(await found.invoke(gatewayEvent(name, options), remaining));
      assertDescribed(name, answer);
      return answer;
    },

    /** Puts a request on the bus; resolves to its event. `ago` is how long before now its time is, milliseconds. */
    publish(organization_id: string, detail: object, { ago = 0, type = 'requested' } = {}) {
      const event = {
        version: '0',
        id: randomUUID(),
        'detail-type': `organization.offboarding.${type}`,
        source: 'billing',
        account: '000000000000',
        time: new Date(Date.now() - ago).toISOString().replace(/\.\d+Z/, 'Z'),
        region: 'us-east-1',
        resources: [],
        detail: { organization_id, requested_by: 'billing-service', reason: 'contract ended', ...detail },
      };
      aws.publish(event);
      return event;
    },

    /** The outcome events of an organization so far, without the prefix of their types. */
    events: (organization: string) =>
      aws.events
        .filter(({ source, detail }) => source === 'org-connections' && detail.organization_id === organization)
        .map(({ 'detail-type': type, detail }) => ({ is: type.split('.').at(-1) ?? '', detail })),

    records: async (organization: string): Promise<OffboardingRecord[]> =>
      (await itemsOf(organization)).filter(isRecord).map(fromRecordItem),
    /** An organization's items as the table has them. */
    itemsOf,

    /** Time passes for what is on record under this key, of an organization or a batch. */
    async pass(ms: number, key: string) {
      for (const { offboarding_id } of await itemsOf(key))
        await changeItem(local, key, (found) => {
          const stored = found.find((one) => one.offboarding_id === offboarding_id);
          if (!stored) return undefined;
          const { state, expires_at, ...rest } = stored;
          const shifted = {
            ...(earlier(rest, ms) as Item),
            state: JSON.stringify(earlier(JSON.parse(String(state)), ms)),
            expires_at,
          };
          return { item: shifted, version: stored.version as string | undefined };
        });
    },

    /** Has what waits in the queues for the organization be delivered now. */
    hurry(queue = QUEUE) {
      for (const message of aws.messages(queue)) if (!message.inFlight) message.visibleAt = 0;
      aws.wake(queue);
    },

    /** Resolves once `test` holds; what waits in the queue is not waited for meanwhile. */
    async until(what: string, test: () => boolean | Promise<boolean>, hurries = true) {
      const end = Date.now() + 40_000;
      for (let turn = 0; !(await test()); turn++) {
        if (Date.now() > end) throw new Error(`It did not come to this: ${what}`);
        // A message that comes back too early is put back: what takes long is hurried less often.
        if (hurries && (turn < 4 || turn % 4 === 0)) this.hurry();
        await sleep(75);
      }
    },

    /** Resolves once an outcome event of the organization has come. */
    async outcome(organization: string, is: string) {
      const found = () => this.events(organization).find((one) => one.is === is);
      await this.until(`${is} of ${organization}`, () => found() !== undefined);
      return found() as NonNullable<ReturnType<typeof found>>;
    },

    /** Resolves once nothing is due for the organization, nobody works on it, and no message of it is in the queue. */
    async rest(organization: string) {
      const isQuiet = async () => {
        if (messages(organization).length > 0 || local.worker.isBusy(organization)) return false;
        const found = await item(organization);
        const { due_at = '~' } = found ? dueOf(found) : {};
        if (due_at > new Date().toISOString()) return found?.lease === undefined || found.lease.owner === 'nobody';
        // A message was lost, or the organization waits for a lease: the dispatcher finds it.
        await local.checkByClock();
        return false;
      };
      await this.until(`${organization} is at rest`, isQuiet);
    },

    /** Whether each connection is enabled, as Auth0 has it; a removed one is not there. */
    enabled: (organization: string) =>
      Object.fromEntries(
        (tenant.state().organizations[organization] ?? []).map((one) => [one.connection_id, one.is_enabled]),
      ),

    /** The calls of the Management API about an organization, by method. */
    calls: (organization: string, method: string): Call[] =>
      tenant.calls().filter((one) => one.method === method && one.path.includes(organization)),

    /** Between two tests: no fault is left. */
    startOver() {
      tenant.clearFaults();
      aws.clearFaults();
    },

    /** Ends everything; throws where an event is not what its schema says. */
    async close() {
      for (const one of [...containers.values(), ...extra]) one.kill();
      await local.close();
      for (const event of aws.events) assertOutcome(event);
    },
  };
}

export type RegressionService = Awaited<ReturnType<typeof startRegressionService>>;
