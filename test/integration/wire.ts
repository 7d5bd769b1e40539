// The suite that runs against any AWS, from outside alone: SDK calls, HTTP requests and events. Against the local stand-ins in
// `npm test`, against an emulator by another team in `npm run test:e2e`, so that the two keep each other honest.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  type SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { GetQueueAttributesCommand, ReceiveMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { signedFetchAs } from '../../infra/commands/signed-fetch.ts';
import type { Auth0Tenant } from '../../infra/local/auth0-tenant.ts';
import { SCOPES } from '../../infra/local/environment.ts';
import { type Answer, assertDescribed, assertOutcome } from '../contract.ts';

export interface Deployment {
  tenant: Auth0Tenant;
  apiUrl: string;
  /** Sends a request as that API wants it. */
  send: ReturnType<typeof signedFetchAs>;
  eventBus: string;
  queueUrl: string;
  deadLettersUrl: string;
  /** A queue that gets every event of the bus, for looking at outcomes. */
  auditUrl: string;
  tokenSecret: string;
  clientSecret: string;
  sqs: SQSClient;
  events: EventBridgeClient;
  secrets: SecretsManagerClient;
  /** Runs the four steps of a rotation as Secrets Manager would. */
  rotate(): Promise<void>;
}

interface Outcome {
  'detail-type': string;
  source: string;
  detail: {
    request: { id: string } | null;
    removal_due_at?: string;
    error?: { code: string };
    connections: { connection_id: string; outcome: string }[];
  };
}

const ORG = 'org_bCE84ZIRjtX58FeO';
const CON = 'con_PmFe8KxCsPJvZRrj';
const CON2 = 'con_Yt4Lw9QeRb7UiXc3';
const BOTH = [{ connection_id: CON }, { connection_id: CON2 }];
const connection = `/organizations/${ORG}/connections/${CON}`;
const offboarding = `/organizations/${ORG}/offboarding`;

export function wireSuite(deployment: () => Deployment): void {
  const seen: Outcome[] = [];

  async function call(name: string, method: string, path: string, body?: unknown, headers = {}): Promise<Answer> {
    const answer = await deployment().send(deployment().apiUrl + path, {
      method,
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      signal: AbortSignal.timeout(40_000),
    });
    const text = await answer.text();
    const described = {
      status: answer.status,
      headers: Object.fromEntries(answer.headers),
      body: text ? JSON.parse(text) : undefined,
    };
    assertDescribed(name, described);
    return described;
  }

  async function publish(detail: object): Promise<string> {
    const { events, eventBus } = deployment();
    const entry = {
      EventBusName: eventBus,
      Source: 'billing',
      DetailType: 'organization.offboarding.requested',
      Detail: JSON.stringify({
        organization_id: ORG,
        requested_by: 'billing',
        reason: `run ${randomUUID()}`,
        ...detail,
      }),
    };
    const sent = await events.send(new PutEventsCommand({ Entries: [entry] }));
    return sent.Entries?.[0]?.EventId ?? '';
  }

  async function outcome(id: string, kind: string): Promise<Outcome['detail']> {
    const { sqs, auditUrl } = deployment();
    for (const end = Date.now() + 60_000; Date.now() < end; ) {
      const found = seen.find((event) => event.detail.request?.id === id && event['detail-type'].endsWith(kind));
      if (found) return found.detail;
      const { Messages = [] } = await sqs.send(
        new ReceiveMessageCommand({ QueueUrl: auditUrl, MaxNumberOfMessages: 10 }),
      );
      for (const { Body = '{}' } of Messages) {
        const event = JSON.parse(Body);
        assertOutcome(event);
        if (event.source === 'org-connections') seen.push(event);
      }
      if (Messages.length === 0) await sleep(100);
    }
    throw new Error(`No outcome ${kind} of ${id} within a minute; seen: ${JSON.stringify(seen.slice(-3))}`);
  }

  const outcomes = ({ connections }: Outcome['detail']) =>
    Object.fromEntries(connections.map(({ connection_id, outcome }) => [connection_id, outcome]));
  const enabled = () =>
    Object.fromEntries(
      (deployment().tenant.state().organizations[ORG] ?? []).map(({ connection_id, is_enabled }) => [
        connection_id,
        is_enabled,
      ]),
    );
  const count = async (url: string) => {
    const names = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'] as const;
    const { Attributes } = await deployment().sqs.send(
      new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: [...names] }),
    );
    return names.reduce((sum, name) => sum + Number(Attributes?.[name] ?? 0), 0);
  };

  describe('rotation', () => {
    test('its four steps bring the first token, and another one each time', async () => {
      const { secrets, tokenSecret, clientSecret, tenant, rotate } = deployment();
      const credentials = { client_id: 'wire', client_secret: 'wire-client-secret' };
      tenant.setClient('wire', { client_secret: 'wire-client-secret', scope: SCOPES });
      await secrets.send(
        new PutSecretValueCommand({ SecretId: clientSecret, SecretString: JSON.stringify(credentials) }),
      );
      const read = async () =>
        JSON.parse((await secrets.send(new GetSecretValueCommand({ SecretId: tokenSecret }))).SecretString ?? '');
      await rotate();
      const first = await read();
      await rotate();
      const second = await read();
      expect(first).toMatchObject({ scope: SCOPES, expires_at: expect.stringMatching(/Z$/) });
      expect(second.access_token).not.toBe(first.access_token);
      const { VersionIdsToStages = {} } = await secrets.send(new DescribeSecretCommand({ SecretId: tokenSecret }));
      const stages = Object.values(VersionIdsToStages).flat();
      expect(stages.filter((stage) => stage === 'AWSCURRENT').length).toBe(1);
      expect(stages).toContain('AWSPREVIOUS');
    });
  });

  describe('requests', () => {
    beforeAll(async () => {
      const { tenant } = deployment();
      tenant.setClient('wire', { client_secret: 'wire-client-secret', scope: SCOPES });
    });
    beforeEach(() => {
      deployment().tenant.clearFaults();
      deployment().tenant.setOrganizations({ [ORG]: BOTH });
    });

    test('disable and remove', async () => {
      const answer = await call(
        'disable-connection',
        'PATCH',
        connection,
        { is_enabled: false },
        { 'x-correlation-id': 'wire-1' },
      );
      expect(answer).toMatchObject({ status: 200, body: { connection_id: CON, is_enabled: false } });
      expect(answer.headers['x-correlation-id']).toBe('wire-1');
      expect(enabled()).toEqual({ [CON]: false, [CON2]: true });
      expect((await call('remove-connection', 'DELETE', connection)).status).toBe(204);
      expect((await call('remove-connection', 'DELETE', connection)).status).toBe(204);
      expect(enabled()).toEqual({ [CON2]: true });
    });

    test.each<[status: number, code: string, path: string, body: unknown, headers?: object]>([
      [400, 'invalid_path', `/organizations/${ORG}/connections/con_a-b`, { is_enabled: false }],
      [400, 'invalid_body', connection, '{"is_enabled":'],
      [415, 'unsupported_media_type', connection, '{"is_enabled":false}', { 'content-type': 'text/plain' }],
      [422, 'invalid_body', connection, { is_enabled: true }],
    ])('%i %s', async (status, code, path, body, headers = {}) => {
      expect(await call('disable-connection', 'PATCH', path, body, headers)).toMatchObject({ status, body: { code } });
      expect(enabled()).toEqual({ [CON]: true, [CON2]: true });
    });

    const auth0 = (statusCode: number, message: string, errorCode?: string) => ({
      statusCode,
      error: 'x',
      message,
      errorCode,
    });
    test.each<[status: number, code: string, fault: Parameters<Auth0Tenant['addFaults']>[0]]>([
      [400, 'rejected_by_auth0', { status: 400, body: auth0(400, 'Payload validation error', 'invalid_body') }],
      [
        502,
        'management_token_scope_missing',
        { status: 403, body: auth0(403, 'Insufficient scope, expected any of: x', 'insufficient_scope') },
      ],
      [502, 'forbidden_by_auth0', { status: 403, body: auth0(403, 'Please upgrade', 'insufficient_entitlement') }],
      [404, 'unknown_connection', { status: 404, body: auth0(404, 'No organization found by that id or name') }],
      [409, 'conflict', { status: 409, body: auth0(409, 'Conflict') }],
      [
        429,
        'rate_limited',
        { status: 429, body: auth0(429, 'Global limit has been reached'), headers: { 'retry-after': '30' } },
      ],
      [502, 'auth0_unavailable', { status: 503, body: '<html>', times: 20 }],
      [502, 'auth0_unavailable', { reset: 'before', times: 20 }],
    ])('%i %s', async (status, code, fault) => {
      deployment().tenant.addFaults(fault);
      expect(await call('disable-connection', 'PATCH', connection, { is_enabled: false })).toMatchObject({
        status,
        body: { code },
      });
      deployment().tenant.clearFaults();
      // A container keeps to the limit that it was told of.
      const again = async () => (await call('disable-connection', 'PATCH', connection, { is_enabled: false })).status;
      await expect.poll(again, { timeout: 45_000 }).toBe(200);
    });

    test('a token that was rotated and revoked between two requests', async () => {
      deployment().tenant.revokeTokens();
      await deployment().rotate();
      expect((await call('disable-connection', 'PATCH', connection, { is_enabled: false })).status).toBe(200);
      expect((await call('remove-connection', 'DELETE', connection)).status).toBe(204);
    });
  });

  describe('offboarding', () => {
    beforeEach(() => {
      deployment().tenant.clearFaults();
      deployment().tenant.setOrganizations({ [ORG]: BOTH });
    });

    test('by event, with a dry run before, and a poisoned message beside it', async () => {
      const lettersBefore = await count(deployment().deadLettersUrl);
      const dry = await outcome(await publish({ action: 'remove', dry_run: true }), 'completed');
      expect(outcomes(dry)).toEqual({ [CON]: 'removed', [CON2]: 'removed' });
      expect(enabled()).toEqual({ [CON]: true, [CON2]: true });
      const poisoned = await publish({ action: 'destroy' });
      const wanted = await publish({ action: 'disable' });
      expect(outcomes(await outcome(wanted, 'completed'))).toEqual({ [CON]: 'disabled', [CON2]: 'disabled' });
      expect((await outcome(poisoned, 'failed')).error).toMatchObject({ code: 'invalid_message' });
      await expect.poll(() => count(deployment().deadLettersUrl), { timeout: 20_000 }).toBe(lettersBefore + 1);
      await expect.poll(() => count(deployment().queueUrl), { timeout: 20_000 }).toBe(0);
      expect(enabled()).toEqual({ [CON]: false, [CON2]: false });
    });

    test('many at once, seen in a list by batch and by organization', async () => {
      const order = { organization_ids: [ORG, 'org_a/b'], action: 'disable', reason: 'wire', dry_run: true };
      const key = { 'idempotency-key': randomUUID() };
      const first = await call('request-offboardings', 'POST', '/offboardings', order, key);
      expect(first).toMatchObject({ status: 202, body: { accepted: 1, rejected: [{ organization_id: 'org_a/b' }] } });
      const again = await call('request-offboardings', 'POST', '/offboardings', order, key);
      expect(again.body).toEqual({ ...(first.body as object), replayed: true });
      const { batch_id } = first.body as { batch_id: string };
      const list = () => call('list-offboardings', 'GET', `/offboardings?batch_id=${batch_id}`);
      await expect
        .poll(async () => (await list()).body, { timeout: 30_000 })
        .toMatchObject({ counts: { completed: 1 } });
      const history = await call('list-offboardings', 'GET', `/offboardings?organization_id=${ORG}&limit=1`);
      expect(history).toMatchObject({ status: 200, body: { offboardings: [{ organization_id: ORG, batch_id }] } });
    });

    test('an organization that Auth0 does not know', async () => {
      const id = await publish({ action: 'disable', organization_id: 'org_Qk2vN8sT5rWx1YzA' });
      expect((await outcome(id, 'failed')).error).toMatchObject({ code: 'unknown_organization' });
    });

    test('disabled now and cancelled: what it had disabled is enabled again', async () => {
      const asked = await call('request-offboarding', 'POST', offboarding, {
        action: 'disable_then_remove',
        reason: 'wire',
      });
      expect(asked.status).toBe(202);
      const { offboarding_id } = asked.body as { offboarding_id: string };
      const { removal_due_at } = await outcome(offboarding_id, 'scheduled');
      const pending = await call('get-offboarding', 'GET', offboarding);
      expect(pending.body).toMatchObject({
        removal_due_at,
        connections: [{ is_enabled: false }, { is_enabled: false }],
      });
      const cancelled = await call('cancel-offboarding', 'DELETE', offboarding);
      expect(cancelled).toMatchObject({
        status: 200,
        body: { connections: [{ outcome: 'enabled' }, { outcome: 'enabled' }] },
      });
      expect(enabled()).toEqual({ [CON]: true, [CON2]: true });
      await outcome(offboarding_id, 'cancelled');
      expect(await call('cancel-offboarding', 'DELETE', offboarding)).toMatchObject({
        status: 200,
        body: { status: 'cancelled', replayed: true },
      });
      expect((await call('get-offboarding', 'GET', offboarding)).body).toMatchObject({ removal_due_at: null });
    });

    test('disabled now, removed when the grace period of a minute is over', async () => {
      // An event's time has whole seconds: one of the second of a cancellation is covered by it.
      await sleep(1000);
      const id = await publish({ action: 'disable_then_remove', grace_period: 'PT1M', connection_ids: [CON] });
      expect(outcomes(await outcome(id, 'scheduled'))).toEqual({ [CON]: 'disabled' });
      expect(enabled()).toEqual({ [CON]: false, [CON2]: true });
      await sleep(60_000);
      expect(outcomes(await outcome(id, 'completed'))).toEqual({ [CON]: 'removed' });
      expect(enabled()).toEqual({ [CON2]: true });
    }, 180_000);
  });
}
