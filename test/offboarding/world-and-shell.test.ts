// The world's worker is a model of lib/offboarding's shell (work.ts, organization.ts, submission.ts, acceptance.ts): on the same
// way both write, call and tell the same, in the same order. What the model has wrong, the search would look for in vain.
import { unmarshall } from '@aws-sdk/util-dynamodb';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CallContext } from '../../lib/auth0/call-context.ts';
import type { Item } from '../../lib/aws/table.ts';
import type { Offboarding, Organization } from '../../lib/offboarding/offboarding.ts';
import type { NewOffboarding } from '../../lib/offboarding/record.ts';
import { fromItem } from '../../lib/offboarding/record.ts';
import { nextCancellingStep } from '../../lib/offboarding/rules.ts';
import { type Service, startService } from '../service.ts';
import { type Act, type Ending, modelOf, ofOrganization, ofRecord } from './world/script.ts';
import type { Ask, Scenario } from './world/state.ts';

const idIn = (name: string) => `con_${name.repeat(16)}`;
const nameIn = (id: string) => id.slice(-1);
/** Up to its last digit. */
const UUID = '00000000-0000-4000-8000-00000000000';
const uuidOf = (k: number) => `${UUID}${k}`;
const asksIn = ({ asks }: Scenario, k: number) => asks[k] as Ask;

let service: Service;
let shell: Awaited<ReturnType<typeof loadShell>>;
/** Called before each call of the table, and where that may be made, after a write. */
let mayCall: (writes: string) => boolean = () => true;
let isWritten: (body: string) => void = () => {};

async function loadShell() {
  Object.assign(process.env, service.environment);
  const [work, acceptance, submission, organizations, calls, limit, log, problem] = await Promise.all([
    import('../../lib/offboarding/work.ts'),
    import('../../lib/offboarding/acceptance.ts'),
    import('../../lib/offboarding/submission.ts'),
    import('../../lib/offboarding/organization.ts'),
    import('../../lib/auth0/call-context.ts'),
    import('../../lib/auth0/rate-limit.ts'),
    import('../../lib/log.ts'),
    import('../../lib/problem.ts'),
  ]);
  const newCalls = (): CallContext =>
    calls.createCallContext({
      deadline: Date.now() + 30_000,
      log: log.createLog({}),
      pacer: limit.createPacer(),
      maxAttempts: 1,
    });
  return { ...work, ...acceptance, ...submission, ...organizations, ...problem, newCalls };
}

beforeAll(async () => {
  service = await startService({ connected: false });
  shell = await loadShell();
  const { dynamoDb } = service.aws;
  const run = dynamoDb.run;
  dynamoDb.run = async (operation, body, call) => {
    const isWrite = operation === 'PutItem';
    const [organization = ''] = /org_\w{16}/.exec(body) ?? [];
    if (!mayCall(isWrite ? organization : ''))
      return { status: 400, body: JSON.stringify({ __type: 'com.amazon.coral.validate#ValidationException' }) };
    const answer = await run(operation, body, call);
    if (isWrite && answer.status === 200) isWritten(body);
    return answer;
  };
});
afterAll(() => service.close());

const FAULTS: Record<Ending, object> = {
  'fails for now, nothing done': { status: 403, body: '<html>Forbidden</html>' },
  'refused for good': { status: 403, body: { statusCode: 403, error: 'Forbidden', message: 'Not this one' } },
  'the answer is lost, it is done': { reset: 'after' },
};

let organizations = 0;
/** What the shell calls, tells and writes on the way. */
async function shellOf(scenario: Scenario, acts: Act[]): Promise<string[]> {
  const organization_id = `org_world${String(++organizations).padStart(11, '0')}`;
  const { tenant, aws } = service;
  tenant.setOrganizations({ [organization_id]: ['A', 'B'].map((name) => ({ connection_id: idIn(name) })) });
  const log: string[] = [];
  const seen = { calls: tenant.calls().length, events: aws.events.length };
  const collect = () => {
    const calls = tenant.calls().slice(seen.calls);
    seen.calls += calls.length;
    log.push(...calls.filter(({ path }) => path.includes(organization_id)).map(callIn));
    const events = aws.events.slice(seen.events);
    seen.events += events.length;
    log.push(...events.flatMap(({ 'detail-type': type, detail }) => eventIn(type, detail, organization_id)));
  };
  for (const act of acts) {
    let left = act.do === 'work' ? (act.kill ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY;
    const isLogged = act.do !== 'pass' && act.do !== 'run out';
    isWritten = (body) => {
      if (isLogged && body.includes(organization_id)) log.push(writeIn(body));
    };
    mayCall = (organization) => {
      collect();
      if (organization === organization_id) left -= 1;
      return left > 0;
    };
    await perform(act, organization_id, scenario);
    collect();
  }
  mayCall = () => true;
  return log.map((line) => line.replaceAll(UUID, 'r'));
}

async function perform(act: Act, organization_id: string, scenario: Scenario) {
  const calls = shell.newCalls();
  const { RetryLater, asProblem } = shell;
  const waitAfter = (error: unknown) => ({
    ms: 0,
    ...(!(error instanceof RetryLater) && { problem: asProblem(error) }),
  });
  switch (act.do) {
    case 'ask':
      return ask(organization_id, act.ask, asksIn(scenario, act.ask), calls);
    case 'cancel': {
      const at = new Date().toISOString();
      const how = scenario.cancels?.[act.cancel];
      const ids = [uuidOf(Number(how))];
      if (typeof how === 'number')
        return shell.cancelOne(await shell.getOrganization(organization_id), {
          at,
          caller: '',
          ids,
          pending: ids,
          only: true,
        });
      return shell.acceptCancelling(organization_id, { at, caller: '' });
    }
    case 'carry out':
      return shell.workOn(organization_id, calls, { next: nextCancellingStep });
    case 'work': {
      service.tenant.clearFaults();
      const isAbout = { path: `${organization_id}/connections/con`, times: 1 };
      if (act.ending) service.tenant.addFaults({ ...isAbout, ...FAULTS[act.ending] });
      const isOver = act.kill !== undefined || act.ending !== undefined;
      await shell.workOn(organization_id, calls, { waitAfter, schedule: async () => {} }).catch((error) => {
        if (!isOver) throw error;
      });
      return;
    }
    case 'pass':
      return service.pass(act.ms, organization_id);
    case 'run out':
      return service.runOut(organization_id);
    case 'hand':
      if (!act.enables) throw new Error('Nobody disables here');
      return service.tenant.enableConnection(organization_id, idIn(act.connection));
  }
}

async function ask(organization_id: string, k: number, asked: Ask, calls: CallContext): Promise<void> {
  const { action, by, on, grace = 'P7D', again } = asked;
  const detail = {
    organization_id,
    action,
    connection_ids: on?.map(idIn),
    reason: 'contract ended',
    requested_by: 'billing',
    dry_run: false,
    end_sessions: false,
    on_reenable: again ? ('disable_again' as const) : ('report' as const),
    ...(action === 'disable_then_remove' && { grace_period: grace }),
  };
  // Of what is asked within one millisecond the id decides.
  const time = new Date().toISOString();
  if (by === 'event') {
    const type = 'organization.offboarding.requested' as const;
    await shell.acceptRequest(
      { id: uuidOf(k), source: 'billing', account: '1', time, 'detail-type': type, detail },
      calls,
    );
  } else {
    const request: NewOffboarding = { ...detail, offboarding_id: uuidOf(k), caller: '' };
    await shell.submit([request], by === 'key', calls.deadline);
  }
}

function callIn({ method, path, body }: { method: string; path: string; body: string }): string {
  if (method === 'GET') return 'list';
  const goal = method === 'DELETE' ? 'removed' : JSON.parse(body).is_enabled ? 'enabled' : 'disabled';
  return `${nameIn(path)} ${goal}`;
}

function eventIn(type: string, detail: Record<string, unknown>, organization_id: string): string[] {
  const outcome = type.split('.').at(-1);
  if (detail.organization_id !== organization_id || outcome === 'requested') return [];
  return [`tells ${outcome === 'drifted' ? 'drift' : outcome} of ${detail.offboarding_id}`];
}

function writeIn(body: string): string {
  const { Item: written } = JSON.parse(body);
  const item = unmarshall(written) as Item;
  if (item.offboarding_id === 'organization') return ofOrganization(item as object as Organization);
  const record: Offboarding = fromItem(item);
  const named = record.connections.map((one) => ({ ...one, connection_id: nameIn(one.connection_id) }));
  return ofRecord({ ...record, connections: named });
}

const disable: Ask = { action: 'disable', by: 'event' };
const later: Ask = { action: 'disable_then_remove', by: 'event' };
const work: Act = { do: 'work' };
const asks = (...all: number[]): Act[] => all.map((one) => ({ do: 'ask', ask: one }));
const cancel: Act[] = [{ do: 'cancel', cancel: 0 }];
const carriedOut: Act[] = [...cancel, { do: 'carry out', cancel: 0 }];
const goesOn: Act[] = [{ do: 'run out' }, work];
const pass = (days: number): Act => ({ do: 'pass', ms: days * 86_400_000 });

const WAYS: Record<string, [Scenario, Act[]]> = {
  'a disabling': [{ asks: [disable] }, [...asks(0), work]],
  'a POST without a key': [{ asks: [{ ...disable, by: 'http' }] }, [...asks(0), work]],
  'a POST with a key': [{ asks: [{ ...disable, by: 'key', on: ['B'] }] }, [...asks(0), work]],
  'a removal': [{ asks: [{ action: 'remove', by: 'event' }] }, [...asks(0), work]],
  'a removal later': [{ asks: [later] }, [...asks(0), work, pass(7), work]],
  'the later one decides': [{ asks: [{ ...later, on: ['A'] }, later] }, [...asks(0, 1), work]],
  'the earlier one comes last': [{ asks: [later, { ...later, on: ['A'] }] }, [...asks(0), work, ...asks(1), work]],
  'cancelled before it begins': [{ asks: [later], cancels: ['http'] }, [...asks(0), ...carriedOut]],
  'cancelled before its removal': [{ asks: [later], cancels: ['http'] }, [...asks(0), work, ...carriedOut]],
  'cancelled by event': [{ asks: [later, disable], cancels: ['event'] }, [...asks(0, 1), work, ...cancel, work]],
  'one is cancelled': [
    { asks: [later, { ...disable, on: ['A'] }], cancels: [0] },
    [...asks(0, 1), work, ...cancel, work],
  ],
  'cancelled while it is looked at': [{ asks: [disable], cancels: ['http'] }, [...asks(0), work, ...carriedOut]],
  'enabled again': [
    { asks: [{ ...disable, again: true }] },
    [...asks(0), work, { do: 'hand', connection: 'A', enables: true }, pass(1), work],
  ],
  'refused for good': [{ asks: [later] }, [...asks(0), { ...work, ending: 'refused for good' }]],
  'an outage': [{ asks: [disable] }, [...asks(0), { ...work, ending: 'fails for now, nothing done' }, ...goesOn]],
  'an answer is lost': [
    { asks: [disable] },
    [...asks(0), { ...work, ending: 'the answer is lost, it is done' }, ...goesOn],
  ],
};

test.each(Object.entries(WAYS))('The shell does what the model does: %s', async (_, [scenario, acts]) => {
  expect(await shellOf(scenario, acts)).toEqual(modelOf(scenario, acts));
});

const KILLED: Record<string, [Scenario, Act[]]> = {
  'a disabling': [{ asks: [{ ...disable, on: ['A'] }] }, asks(0)],
  'two removals later': [
    {
      asks: [
        { ...later, on: ['A'] },
        { ...later, on: ['B'] },
      ],
    },
    asks(0, 1),
  ],
  'a cancelling': [{ asks: [later], cancels: ['event'] }, [...asks(0), work, ...cancel]],
  'a due removal': [{ asks: [{ ...later, on: ['A'] }] }, [...asks(0), work, pass(7)]],
};

test.each(Object.entries(KILLED))(
  'The shell does what the model does, killed before each write: %s',
  async (_, [scenario, before]) => {
    const all = modelOf(scenario, [...before, work]).length - modelOf(scenario, before).length;
    const isWrite = (line: string) => /^(r\d|organization)/.test(line);
    const count = modelOf(scenario, [...before, work])
      .slice(-all)
      .filter(isWrite).length;
    expect(count).toBeGreaterThan(3);
    for (let kill = 2; kill <= count; kill++) {
      const acts: Act[] = [...before, { ...work, kill }, ...goesOn];
      expect(await shellOf(scenario, acts), `killed in place of write ${kill}`).toEqual(modelOf(scenario, acts));
    }
  },
);
