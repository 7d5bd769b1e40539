// The same effects, performed in the world of the exploration and by the deployed shell on the embedded table and the stand-in
// tenant, end in the same way. Where the two differ, the exploration explores something that does not exist.
import '../own-modules.ts';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LocalEnvironment, startEnvironment } from '../../infra/local/environment.ts';
import type { Core, Result, SingleEffect } from '../../lib/offboarding/model/effects.ts';
import { emptyOrganization } from '../../lib/offboarding/model/organization.ts';
import { performSingle } from './perform.ts';
import { scenario } from './scenarios.ts';
import type { Connection, Fault, World } from './world.ts';

let local: LocalEnvironment;
let shell: Awaited<ReturnType<typeof loadShell>>;

async function loadShell() {
  Object.assign(process.env, local.environment);
  const [{ run }, { TABLE_EFFECTS }, { auth0Effects }, context, limit, log] = await Promise.all([
    import('../../lib/offboarding/store/shell.ts'),
    import('../../lib/offboarding/store/table-shell.ts'),
    import('../../lib/offboarding/store/auth0-shell.ts'),
    import('../../lib/auth0/call-context.ts'),
    import('../../lib/auth0/rate-limit.ts'),
    import('../../lib/log.ts'),
  ]);
  return (core: Core<Result[]>) => {
    const about = { deadline: Date.now() + 60_000, log: log.createLog({}), pacer: limit.createPacer(), maxAttempts: 1 };
    return run(core, [TABLE_EFFECTS, auth0Effects(context.createCallContext(about))], about.log);
  };
}

beforeAll(async () => {
  local = await startEnvironment({ connected: false });
  shell = await loadShell();
});
afterAll(() => local.close());

const IDS = ['1', '2', '3'].map((name) => `con_${name.repeat(16)}`);
/** How the tenant fails where the world has this fault. */
const TENANT_FAULTS = {
  'failed after': { reset: 'after' as const },
  'not sent': { status: 403, body: '<html>Forbidden</html>' },
  // Without the level it is tried again, for a tenant that does not take it.
  refused: {
    times: 2,
    status: 400,
    body: { statusCode: 400, error: 'Bad Request', message: 'Not this one', errorCode: 'invalid_body' },
  },
  conflict: {
    status: 409,
    body: { statusCode: 409, error: 'Conflict', message: 'Somebody else', errorCode: 'conflict' },
  },
};
type TenantFault = keyof typeof TENANT_FAULTS;

/** An effect without the organization that it is about, and the fault that it meets. */
type Planned = { fault?: TenantFault | undefined; of: (organization: string, world: World) => SingleEffect };

const change = fc.record({
  id: fc.constantFrom(...IDS),
  goal: fc.constantFrom('disabled' as const, 'enabled' as const, 'removed' as const),
  level: fc.constantFrom(undefined, 'readonly', 'limited'),
  isOver: fc.boolean(),
  fault: fc.option(fc.constantFrom(...(Object.keys(TENANT_FAULTS) as TenantFault[])), { nil: undefined, freq: 2 }),
});
const planned: fc.Arbitrary<Planned> = fc.oneof(
  change.map(({ id, goal, level, isOver, fault }) => ({
    fault: isOver ? undefined : fault,
    of: (organization_id: string): SingleEffect => ({
      ...{ do: 'change', organization_id, kind: 'connection', id, goal },
      ...{ level: goal === 'removed' ? undefined : level, send_before: isOver ? 0 : Date.now() + 60_000 },
    }),
  })),
  fc.constant({ of: (organization_id: string): SingleEffect => ({ do: 'listConnections', organization_id }) }),
  fc.constant({ of: (organization_id: string): SingleEffect => ({ do: 'readOrganization', organization_id }) }),
  fc.tuple(fc.boolean(), fc.nat()).map(([isUpToDate, number]) => ({
    of: (organization_id: string, { items }: World): SingleEffect => {
      const known = items[organization_id] ?? emptyOrganization(organization_id);
      const item = { ...known, version: `v${number}`, revision: known.revision + 1, known: IDS };
      return { do: 'writeOrganization', item, expected: isUpToDate ? items[organization_id]?.version : 'another' };
    },
  })),
  fc.constant({
    of: (organization_id: string): SingleEffect => ({
      do: 'readRecord',
      organization_id,
      offboarding_id: `of ${organization_id}`,
    }),
  }),
  fc.nat({ max: 5 }).map((revision) => ({
    of: (organization_id: string): SingleEffect => {
      const record = {
        organization_id,
        offboarding_id: `of ${organization_id}`,
        revision,
        status: 'working',
        requested_at: '2026-11-01T00:00:00.000Z',
        connections: [],
      };
      return { do: 'writeRecord', record: record as never };
    },
  })),
  fc.constant({
    of: (organization_id: string): SingleEffect => ({ do: 'readBatch', batch_id: `batch ${organization_id}` }),
  }),
  fc
    .tuple(fc.boolean(), fc.nat(), fc.constantFrom('open' as const, 'accepted' as const))
    .map(([isUpToDate, number, status]) => ({
      of: (organization_id: string, { batches }: World): SingleEffect => {
        const batch_id = `batch ${organization_id}`;
        const batch = {
          batch_id,
          version: `v${number}`,
          status,
          attempt: 1,
          fingerprint: '',
          organization_ids: [organization_id],
          created_at: '2026-11-01T00:00:00.000Z',
        };
        return { do: 'writeBatch', batch, expected: isUpToDate ? batches[batch_id]?.version : 'another' };
      },
    })),
);

/** A result as both have it: no clocks, no words, and of a connection what the world knows. */
function comparable(result: { value?: unknown; error?: Result['error'] }): unknown {
  if (result.error) {
    const { code, is_transient, may_be_done } = result.error;
    return { code, is_transient, may_be_done };
  }
  const { value } = result;
  if (!Array.isArray(value)) return value;
  const shown = value.map(({ connection_id, is_enabled, organization_access_level }) => ({
    connection_id,
    is_enabled,
    organization_access_level,
  }));
  return shown.sort((a, b) => (a.connection_id < b.connection_id ? -1 : 1));
}

let organizations = 0;

test('when the same effects are performed in the world and by the shell, they end in the same way', async () => {
  const levels = fc.constantFrom('none', 'readonly', 'limited', 'full');
  const connections = fc.tuple(
    ...IDS.map((id) => fc.record({ id: fc.constant(id), isEnabled: fc.boolean(), level: levels })),
  );
  await fc.assert(
    fc.asyncProperty(connections, fc.array(planned, { minLength: 1, maxLength: 12 }), async (all, plan) => {
      const organization = `org_${String(++organizations).padStart(16, '0')}`;
      const asListed = ({ id, isEnabled, level }: Connection) => ({
        connection_id: id,
        is_enabled: isEnabled,
        organization_access_level: level,
      });
      local.tenant.setOrganizations({ [organization]: all.map(asListed) });
      let world: World = { ...scenario('shell', []).world, connections: { [organization]: all }, now: Date.now() };
      const inWorld: unknown[] = [];
      const effects = function* (): Core<Result[]> {
        const results: Result[] = [];
        for (const { fault, of } of plan) {
          const effect = of(organization, world);
          const by = { name: 'worker1', nonce: 'v', isByContent: false, at: Date.now() };
          const ways = performSingle({ ...world, faults: fault ? { [fault]: 1 } : {} }, effect, by);
          const way = ways.find(({ how }) => how === (fault as Fault | undefined)) ?? ways[0];
          // What does not come to a call meets no fault.
          const isMet = way?.how === fault && fault !== undefined;
          if (isMet) local.tenant.addFaults({ path: '/connections/', ...TENANT_FAULTS[fault] });
          inWorld.push(comparable(way as object));
          world = (way as { world: World }).world;
          results.push(yield effect);
          local.tenant.clearFaults();
        }
        return results;
      };
      const results = await shell(effects());
      expect(results.map(comparable)).toEqual(inWorld);
    }),
    { numRuns: process.env.DEEP === '1' ? 300 : 30 },
  );
});
