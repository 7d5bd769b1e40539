// Requests, cancellings, due removals, looks and kills of one organization, all at once and in any order, on the packaged
// bundles: messages lost, calls that Auth0 carries out late. A run is given by its seed; DEEP=1 makes thousands.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { QUEUE } from '../../infra/local/environment.ts';
import type { OffboardingRecord } from '../../lib/offboarding/model/record.ts';
import { hasEnded } from '../../lib/offboarding/model/status.ts';
import { randomOf } from '../random.ts';
import { answerOf, gatewayEvent, type Service, startService } from '../service.ts';

const RUNS = process.env.DEEP ? 2000 : 12;
const FIRST = Number(process.env.SEED ?? 1);
const AT_ONCE = 8;
const OURS = ['con_enabled1', 'con_enabled2'];
const NOT_OURS = 'con_disabledbyothers';

let service: Service;
beforeAll(async () => {
  service = await startService({ processes: ['offboard-organization', 'cancel-offboarding'], visibilityTimeout: 1000 });
});
afterAll(() => service.close());

test(`when ${RUNS} histories of one organization each interleave, every rule holds at their end`, async () => {
  const seeds = Array.from({ length: RUNS }, (_, i) => FIRST + i);
  const next = async (): Promise<void> => {
    for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
      await new Run(seed).run();
      if (process.env.DEEP && seed % 100 === 0) console.log(`seed ${seed}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, next));
}, 3_600_000);

/** What somebody asked for, and when they knew that it was accepted (Unix time in milliseconds). */
interface Request {
  action: string;
  at: number;
  acceptedAt: number;
  id: string | undefined;
}
interface Cancelled {
  from: number;
  status: number | undefined;
  effectsThen: number;
  /** The one batch that it is about. */
  of?: string | undefined;
}

/** Events that are no step of an offboarding. */
const ASIDE = ['requested', 'drifted', 'watch_ended', 'removal_upcoming'];

class Run {
  readonly #organization: string;
  readonly #random: ReturnType<typeof randomOf>;
  readonly #name: string;
  readonly #steps: string[] = [];
  readonly #requests: Request[] = [];
  readonly #batches: string[] = [];
  readonly #cancelled: Cancelled[] = [];
  readonly #busy = new Set<Promise<unknown>>();
  readonly #considered = new Set<string>();
  readonly #firstCall = service.tenant.calls().length;
  readonly #firstEffect = service.tenant.effects().length;

  constructor(seed: number) {
    this.#organization = `org_seed${String(seed).padStart(12, '0')}`;
    this.#random = randomOf(seed);
    this.#name = `seed ${seed}`;
  }

  async run(): Promise<void> {
    const { below, chance } = this.#random;
    const connections = OURS.map((connection_id) => ({ connection_id }));
    const others = { connection_id: NOT_OURS, is_enabled: false };
    service.tenant.setOrganizations({ [this.#organization]: [...connections, others] });
    await this.#request();
    for (let step = 4 + below(8); step > 0; step--) {
      await this.#step(below(16));
      if (chance(0.7)) await sleep(below(40));
      this.#lose();
    }
    await Promise.all(this.#busy);
    try {
      await service.rest(this.#organization, this.#firstCall);
      this.#check(await service.records(this.#organization));
      await this.#end();
    } catch (error) {
      const records = await service.records(this.#organization);
      const states = records.map(({ offboarding_id, status, action }) => `${offboarding_id} ${action} ${status}`);
      const effects = this.#effects().map(({ connectionId, to }) => `${connectionId} ${to}`);
      throw new Error([this.#name, ...this.#steps, ...states, ...effects].join('\n  '), { cause: error });
    }
  }

  async #step(kind: number): Promise<void> {
    const { chance, below } = this.#random;
    if (kind < 3 && this.#requests.length < 3) return this.#request();
    if (kind < 6) return this.#start('DELETE', this.#cancel());
    if (kind === 6) return this.#cancelByEvent();
    if (kind === 7 && this.#batches[0]) return this.#start('DELETE batch', this.#cancelBatch(this.#batches[0]));
    if (kind < 10) return this.#start('due', service.makeDue(this.#organization));
    if (kind === 10) return this.#start('look', this.#look());
    if (kind === 11) return this.#fault({ delay: 100 + below(400) });
    if (kind === 12) return this.#fault({ status: 503, body: '' });
    if (kind === 13) return this.#fault({ status: 400, body: { statusCode: 400, message: 'no' } });
    if (!chance(0.4)) return;
    const name = kind === 14 ? 'worker' : 'cancel-offboarding';
    this.#steps.push(`kill ${name}`);
    if (kind === 14) service.worker.kill();
    else service.functionNamed(name).kill();
  }

  #start(name: string, promise: Promise<unknown>): void {
    this.#steps.push(name);
    const done: Promise<unknown> = promise.finally(() => this.#busy.delete(done));
    this.#busy.add(done);
  }

  #fault(fault: object): void {
    const method = this.#random.chance(0.7) ? 'PATCH' : 'DELETE';
    this.#steps.push(`${method} ${JSON.stringify(fault)}`);
    service.tenant.addFaults({ path: this.#organization, method, ...fault });
  }

  /** A request by event (which may come late), or over HTTP, singly or as a batch, with and without a key. */
  async #request(): Promise<void> {
    const { below, chance } = this.#random;
    const action = ['disable_then_remove', 'disable_then_remove', 'disable', 'remove'][below(4)] as string;
    const grace = action === 'disable_then_remove' && { grace_period: chance(0.5) ? 'P30D' : 'P60D' };
    const body = { action, ...grace, reason: 'x', ...(chance(0.3) && { connection_ids: [OURS[0]] }) };
    const kind = below(4);
    const at = kind === 1 ? Date.now() - below(5000) : Date.now();
    this.#steps.push(`${['event', 'late event', 'POST', 'POST batch'][kind]} ${JSON.stringify(body)}`);
    if (kind < 2) {
      const time = new Date(at).toISOString();
      const { id } = service.publish({ organization_id: this.#organization, ...body }, { time });
      this.#requests.push({ action, at, acceptedAt: Date.now(), id });
      return;
    }
    const headers = chance(0.5)
      ? { 'idempotency-key': `${this.#name} ${this.#steps.length}`.replaceAll(' ', '-') }
      : {};
    const name = kind === 2 ? 'request-offboarding' : 'request-offboardings';
    const batch = kind === 3 && { organization_ids: [this.#organization] };
    const answer = await this.#invoke(name, { body: { ...body, ...batch }, headers });
    const { offboarding_id, batch_id } = (answer?.body ?? {}) as Record<string, string | undefined>;
    if (answer?.status !== 202) return;
    if (batch_id) this.#batches.push(batch_id);
    this.#requests.push({ action, at, acceptedAt: Date.now(), id: offboarding_id });
  }

  async #invoke(name: string, options: object) {
    const { remaining = 29_000, ...rest } = options as { remaining?: number };
    const event = gatewayEvent(name, { organization: this.#organization, ...rest });
    const result = await service
      .functionNamed(name)
      .invoke(event, remaining)
      .catch(() => undefined);
    return result === undefined ? undefined : answerOf(result);
  }

  async #cancel(): Promise<void> {
    const from = Date.now();
    const remaining = this.#random.chance(0.5) ? 1800 : 5000;
    const status = (await this.#invoke('cancel-offboarding', { remaining }))?.status;
    this.#cancelled.push({ from, status, effectsThen: this.#effects().length });
    // Nothing is wrong inside; that two cores were too slow for the short time is no fault.
    const ofThis = service.logs.filter((line) => line.includes(this.#organization) && line.includes('"ERROR"'));
    const internal = ofThis.filter((line) => line.includes('internal_error') && !line.includes('in time'));
    expect(internal, this.#name).toEqual([]);
    if (status !== undefined) expect([200, 202, 400, 404, 409, 500, 503, 504], this.#name).toContain(status);
  }

  #cancelByEvent(): void {
    this.#steps.push('cancellation by event');
    const type = { 'detail-type': 'organization.offboarding.cancellation_requested' };
    service.publish({ organization_id: this.#organization, reason: 'back' }, type);
  }

  async #cancelBatch(batch_id: string): Promise<void> {
    const from = Date.now();
    const answer = await this.#invoke('cancel-offboardings', { query: { batch_id } });
    const isAccepted = (answer?.body as { cancelling?: number } | undefined)?.cancelling === 1;
    const status = isAccepted ? answer?.status : undefined;
    this.#cancelled.push({ from, status, effectsThen: this.#effects().length, of: batch_id });
  }

  async #look(): Promise<void> {
    const object = { organization: { id: this.#organization }, is_enabled: true };
    const time = new Date(Date.now() + 1000).toISOString();
    const detail = { type: 'organization.connection.updated', time, data: { object } };
    await service.watch.invoke({ detail }).catch(() => undefined);
  }

  /** One message in twenty of the service's own, and one schedule in twenty, never arrives. */
  #lose(): void {
    const messages = service.aws.messages(QUEUE);
    for (const message of this.#messages()) {
      const isOwn = /"source":"org-connections"|offboarding\.due/.test(message.body);
      if (!isOwn || message.inFlight || this.#considered.has(message.id)) continue;
      this.#considered.add(message.id);
      if (!this.#random.chance(0.05)) continue;
      this.#steps.push('a message is lost');
      messages.splice(messages.indexOf(message), 1);
    }
    for (const key of service.aws.schedules.keys()) {
      if (!key.includes(this.#organization) || this.#considered.has(key)) continue;
      this.#considered.add(key);
      if (this.#random.chance(0.05)) service.aws.schedules.delete(key);
    }
  }

  #messages = () => service.aws.messages(QUEUE).filter(({ body }) => body.includes(this.#organization));
  #effects = () =>
    service.tenant
      .effects()
      .slice(this.#firstEffect)
      .filter(({ organizationId }) => organizationId === this.#organization);
  /** What must hold when nothing is left to be done. */
  #check(records: OffboardingRecord[]): void {
    const mine = new Set<string>();
    for (const { connectionId, to } of this.#effects()) {
      if (to === 'enabled') expect(mine, `enabled ${connectionId}, which others had disabled`).toContain(connectionId);
      if (to === 'disabled') mine.add(connectionId);
      else mine.delete(connectionId);
    }
    expect(service.enabled(this.#organization)[NOT_OURS], 'enabled what others had disabled').not.toBe(true);
    const scheduled = records.filter(({ status }) => status === 'scheduled');
    expect(scheduled.length, 'two removals are pending').toBeLessThanOrEqual(1);
    for (const id of mine) {
      const holds = ({ status, action, connections }: OffboardingRecord) =>
        connections.some(
          (one) =>
            one.connection_id === id &&
            (((status === 'scheduled' || status === 'failed') && one.disabled_by_offboarding) ||
              (status === 'completed' &&
                action === 'disable' &&
                ['disabled', 'unchanged'].includes(String(one.outcome)))),
        );
      expect(records.some(holds), `${id} is disabled, and nobody holds it`).toBe(true);
    }
    for (const asked of this.#requests)
      if (asked.id)
        expect(
          records.some(({ offboarding_id }) => offboarding_id === asked.id),
          'a request is gone',
        ).toBe(true);
    for (const cancelled of this.#cancelled) this.#checkCancelled(cancelled, records);
    for (const record of records) this.#checkTold(record);
  }

  /** From the answer on nothing is removed, or after a 200 disabled, but for what was asked for afterwards. */
  #checkCancelled({ from, status, effectsThen, of }: Cancelled, records: OffboardingRecord[]): void {
    if (status !== 200 && status !== 202) return;
    const covered = (record: OffboardingRecord) => {
      if (of) return record.batch_id === of;
      const asked = this.#requests.find(({ id }) => id === record.offboarding_id);
      return asked !== undefined && asked.acceptedAt < from && asked.at < Math.floor(from / 1000) * 1000;
    };
    const pending = records.filter((record) => covered(record) && record.status === 'scheduled');
    expect(pending, 'pending although it was cancelled').toEqual([]);
    if (of || this.#requests.some(({ at, acceptedAt }) => Math.max(at, acceptedAt) > Math.floor(from / 1000) * 1000))
      return;
    const kinds = status === 200 ? ['removed', 'disabled'] : ['removed'];
    const after = this.#effects().slice(effectsThen);
    expect(
      after.filter(({ to }) => kinds.includes(to)),
      `done after it was cancelled (${status})`,
    ).toEqual([]);
  }

  /** Only what a consumer knows is told, in order, each at least once, and none that contradicts the record. */
  #checkTold({ offboarding_id, status, action, dry_run, cancelled }: OffboardingRecord): void {
    const published = service.aws.events
      .filter(({ source, detail }) => source === 'org-connections' && detail.offboarding_id === offboarding_id)
      .map((event) => event['detail-type'].split('.').at(-1))
      .filter((type) => !ASIDE.includes(String(type)))
      .filter((type, index, all) => type !== all[index - 1]);
    expect(published.at(-1), `${offboarding_id} is ${status}, published: ${published}`).toBe(status);
    const isLater = action === 'disable_then_remove' && !dry_run;
    for (const type of published.slice(0, -1))
      expect(
        isLater || cancelled ? ['scheduled', 'superseded', 'completed', 'failed'] : ['failed'],
        `told: ${published}`,
      ).toContain(type);
  }

  /** Cancelled at last, what was only disabled, and is not completed, is as it was. */
  async #end(): Promise<void> {
    service.tenant.clearFaults();
    let status: number | undefined;
    // Another run may have killed it.
    while (status === undefined) status = (await this.#invoke('cancel-offboarding', {}))?.status;
    expect([200, 202, 404]).toContain(status);
    await service.rest(this.#organization, this.#firstCall);
    const records = await service.records(this.#organization);
    this.#check(records);
    expect(records.filter((one) => !hasEnded(one))).toEqual([]);
    const isDisabled = ({ status, action }: OffboardingRecord) => status === 'completed' && action === 'disable';
    if (records.some(isDisabled)) return;
    const left = Object.entries(service.enabled(this.#organization)).filter(([id]) => id !== NOT_OURS);
    expect(
      left.filter(([, enabled]) => !enabled),
      'left disabled',
    ).toEqual([]);
  }
}
