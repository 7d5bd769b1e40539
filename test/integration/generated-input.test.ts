// Property-based: whatever comes in, the answer follows the contract and Auth0 sees nothing but what the input names.
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { assertDescribed } from '../contract.ts';
import { anyText, wordOf } from '../generated-text.ts';
import { answerOf, CON, gatewayEvent, ORG, type Service, startService } from '../service.ts';

const numRuns = process.env.DEEP ? 10_000 : 200;
const parameters = { numRuns, seed: Number(process.env.SEED ?? 7), endOnFailure: true };

let service: Service;
beforeAll(async () => {
  service = await startService({ connected: false });
  service.tenant.setOrganizations({ [ORG]: [{ connection_id: CON }] });
});
afterAll(() => service.close());

const id = (prefix: string, good: string) =>
  fc.oneof(
    { weight: 4, arbitrary: fc.constant(good) },
    fc.constantFrom(
      '',
      prefix,
      `${good}/../x`,
      `${good}%2f..`,
      `${good}?x=1`,
      `${good}#`,
      `${good}\u0000`,
      `${good} `,
      '__proto__',
      'ｏｒｇ_a',
      `${prefix}${'9'.repeat(60)}`,
      '..',
      '.',
    ),
    fc.tuple(fc.constantFrom('org_', 'con_'), wordOf(50)).map((parts) => parts.join('')),
    anyText(10),
    fc.anything({ maxDepth: 1 }),
  );
const body = fc.oneof(
  fc.constantFrom(
    '{"is_enabled":false}',
    '{"is_enabled":true}',
    '{"is_enabled":false,"is_enabled":true}',
    '{"is_enabled":0}',
    '{"is_enabled":false}x',
    '[]',
    '1e999',
    '"false"',
    '{"__proto__":{"is_enabled":false}}',
    '{"constructor":{"prototype":{}}}',
    `{"is_enabled":false,"x":"${'y'.repeat(1_000_000)}"}`,
    '{"action":"disable","reason":"x"}',
    '{"action":"remove","reason":"x","dry_run":1}',
  ),
  fc.json(),
  fc.string(),
  fc.anything({ maxDepth: 1 }),
);
const headers = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      { 'content-type': 'application/json' },
      { 'CONTENT-TYPE': 'application/json' },
      { 'content-type': 'application/json; charset=utf-8' },
    ),
  },
  fc.dictionary(
    fc.constantFrom(
      'content-type',
      'Content-Type',
      'x-correlation-id',
      'X-Correlation-Id',
      'x-request-id',
      '__proto__',
      'host',
    ),
    fc.oneof(fc.string(), fc.constant('application/json'), fc.anything({ maxDepth: 1 })),
  ),
  fc.constantFrom(undefined, null),
);
const context = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ requestId: 'r-1', authorizer: { iam: { userArn: 'arn:x' } } }) },
  fc.constantFrom(undefined, {}),
  fc.record({ requestId: fc.anything({ maxDepth: 1 }) }),
);
const withoutFunctions = (value: unknown) => JSON.parse(JSON.stringify(value) ?? 'null');

test.each(['disable-connection', 'remove-connection', 'request-offboarding'])('%s: gateway events', async (name) => {
  const event = fc.record({
    organization: id('org_', ORG),
    connection: id('con_', CON),
    body,
    headers,
    context,
    base64: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(event, async ({ organization, connection, body, headers, context, base64 }) => {
      service.tenant.clearCalls();
      for (const one of new Set([ORG, String(organization)])) if (/^org_\w+$/.test(one)) await service.forget(one);
      const mangled = withoutFunctions({
        ...gatewayEvent(name),
        pathParameters: { organization_id: organization, connection_id: connection },
        headers,
        requestContext: context,
        body: base64 && typeof body === 'string' ? Buffer.from(body).toString('base64') : body,
        isBase64Encoded: base64,
      });
      const answer = answerOf(await service.functionNamed(name).invoke(mangled));
      assertDescribed(name, answer);
      expect(answer.status).not.toBe(500);
      // Never a call but the one that the input names, and never more than was asked for; after a 404, whether the organization is there.
      const { organization_id, connection_id } = mangled.pathParameters;
      const connections = `/api/v2/organizations/${organization_id}/connections`;
      const change = {
        path: `${connections}/${connection_id}`,
        method: name === 'disable-connection' ? 'PATCH' : 'DELETE',
        body: name === 'disable-connection' ? '{"is_enabled":false}' : '',
      };
      const look = { path: `${connections}?include_totals=true&page=0&per_page=1`, method: 'GET', body: '' };
      for (const [index, call] of service.managementCalls().entries()) {
        expect(call).toMatchObject(service.managementCalls()[index - 1]?.status === 404 ? look : change);
        if (call.method !== 'GET')
          expect(call.path).toMatch(
            /^\/api\/v2\/organizations\/org_[A-Za-z0-9]{1,46}\/connections\/con_[A-Za-z0-9]{1,46}$/,
          );
      }
      // Whatever is accepted is stored, and nothing else.
      const stored = answer.status === 202 ? await service.records(organization_id) : await service.records();
      expect(stored.length).toBe(answer.status === 202 ? 1 : 0);
    }),
    parameters,
  );
});

test('bus events', async () => {
  const detail = fc.oneof(
    fc.record(
      {
        organization_id: id('org_', ORG),
        action: fc.oneof(
          { weight: 3, arbitrary: fc.constantFrom('disable', 'remove', 'disable_then_remove') },
          fc.anything({ maxDepth: 1 }),
        ),
        grace_period: fc.constantFrom(undefined, 'P1D', 'PT0S', 'P999Y', 5),
        connection_ids: fc.oneof(
          fc.constant(undefined),
          fc.array(id('con_', CON), { maxLength: 4 }),
          fc.anything({ maxDepth: 1 }),
        ),
        requested_by: fc.oneof(fc.constant('billing'), fc.anything({ maxDepth: 1 })),
        reason: fc.oneof(fc.constant('contract ended'), fc.string(), fc.anything({ maxDepth: 1 })),
        dry_run: fc.constantFrom(undefined, true, false, 'true'),
      },
      { requiredKeys: [] },
    ),
    fc.anything(),
  );
  const message = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        id: fc.constant(''),
        source: fc.constant('s'),
        time: fc.constant(new Date().toISOString()),
        'detail-type': fc.constant('organization.offboarding.requested'),
        detail,
      }),
    },
    fc.record(
      {
        id: fc.anything({ maxDepth: 1 }),
        'detail-type': fc.constantFrom('organization.offboarding.removal_due', 'x', null),
        detail,
      },
      { requiredKeys: [] },
    ),
    fc.anything(),
  );
  const worker = service.functionNamed('offboard-organization');
  await fc.assert(
    fc.asyncProperty(message, fc.boolean(), async (content, asText) => {
      // Each for itself: of those before it neither a removal falls due now nor is a connection watched.
      await service.forget();
      service.tenant.clearCalls();
      service.tenant.setOrganizations({ [ORG]: [{ connection_id: CON }] });
      const json = withoutFunctions(content);
      const eventId = randomUUID();
      if (json && typeof json === 'object' && json.id === '') json.id = eventId;
      const text = asText && typeof json === 'string' ? json : (JSON.stringify(json) ?? '');
      const before = service.aws.events.length;
      const record = {
        messageId: randomUUID(),
        receiptHandle: 'r',
        body: text,
        attributes: { ApproximateReceiveCount: '1' },
      };
      expect(await worker.invoke({ Records: [record] })).toEqual({ batchItemFailures: [] });
      // Each message has exactly one outcome; unknown organizations have failed, and nothing was called that was not named.
      const outcomes = service.aws.events.slice(before).filter(({ source }) => source === 'org-connections');
      expect(outcomes.length).toBe(1);
      const named = json?.detail?.organization_id;
      const only: string[] | undefined = json?.detail?.connection_ids;
      for (const call of service.managementCalls()) {
        expect(call.path).toMatch(new RegExp(`^/api/v2/organizations/${named}/(connections|client-grants)`));
        if (call.method === 'GET') continue;
        expect(json.detail.dry_run).not.toBe(true);
        expect(call.method).toBe(json.detail.action === 'remove' ? 'DELETE' : 'PATCH');
        if (only) expect(only).toContain(call.path.split('/').at(-1));
      }
      service.aws.schedules.clear();
    }),
    parameters,
  );
});
