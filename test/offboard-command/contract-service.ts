// Plays the service by its contract, for the operator's command alone: a small HTTP server that keeps what it received,
// ends each offboarding at once, and can fail on purpose. Beside it the three AWS services that the command calls.
import { createHash, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import { text as readAll } from 'node:stream/consumers';
import { listen } from '../listen.ts';
import { answerAsAws, type Invocation } from './contract-aws.ts';

export interface Received {
  method: string;
  path: string;
  /** The request target as it was sent. */
  url: string;
  query: Record<string, string>;
  headers: IncomingMessage['headers'];
  // biome-ignore lint/suspicious/noExplicitAny: JSON of any shape.
  body: any;
}
// biome-ignore lint/suspicious/noExplicitAny: records are made up by each test.
type Record_ = Record<string, any>;

/** One way to fail: what fits is answered with `status`, or its connection is cut before or after it was done. */
export interface Fault {
  method: string;
  path: string;
  times: number;
  /** How many that fit are let through first. */
  after?: number;
  status?: number;
  cut?: 'before' | 'after';
  body?: object;
  headers?: Record<string, string>;
}

const uuidOf = (text: string) =>
  createHash('sha256')
    .update(text)
    .digest('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/, '$1-$2-$3-$4-$5');

export async function startContractService() {
  const received: Received[] = [];
  const records: Record_[] = [];
  const faults: Fault[] = [];
  /** By organization: its connections, its client grants, and its name as far as the stage may read it. */
  const tenant: Record<string, Record_[]> = {};
  const grants: Record<string, Record_[]> = {};
  const names: Record<string, string> = {};
  const settings = {
    /** While true, a request, or a dry run, is not worked on. */
    hold: false,
    holdDryRuns: false,
    /** What a request that is not worked on waits for. */
    waits: {},
    arn: 'arn:aws:sts::123456789012:assumed-role/operators/kim',
    requeued: 2,
    redriven: 1,
    left: 0,
    /** The address that the stack's output has; undefined for the service's own. */
    apiUrl: undefined as string | undefined,
    /** While true, API Gateway refuses the caller's session as one that has ended. */
    hasSessionEnded: false,
  };

  /** What becomes of the connections of one organization, as a dry run says it and as it is done. */
  function connectionsOf(organization_id: string, body: Record_): Record_[] {
    const known = tenant[organization_id] ?? [];
    const outcome = body.action === 'remove' ? 'removed' : 'disabled';
    const named = (body.connection_ids ?? known.map(({ connection_id }) => connection_id)) as string[];
    return named.map((connection_id) => {
      const found = known.find((one) => one.connection_id === connection_id);
      if (!found) {
        const error = { code: 'unknown_connection', message: 'The organization does not have this connection' };
        return { connection_id, name: null, strategy: null, before: null, outcome: 'failed', error };
      }
      const { name, strategy, connection_id: _, ...before } = found;
      const disabled_by_offboarding = outcome === 'disabled' && body.dry_run !== true;
      return { connection_id, name, strategy, before, outcome, error: null, disabled_by_offboarding };
    });
  }

  function machineAccessOf(organization_id: string, body: Record_): Record_ {
    const all = grants[organization_id] ?? [];
    const remaining_access = all.map(({ grant_id: _, ...grant }) => ({ kind: 'client_grant', ...grant }));
    if (!body.end_machine_access) return { remaining_access };
    const client_grants = all.map((grant) => ({ ...grant, outcome: 'removed', error: null }));
    // A dry run says what would remain.
    return { client_grants, remaining_access: [] };
  }

  function recordOf(organization_id: string, body: Record_): Record_ {
    const dry_run = body.dry_run === true;
    const who = { requested_by: body.requested_by ?? settings.arn, caller: settings.arn, dry_run };
    const organization_name = names[organization_id] ?? null;
    if (dry_run ? settings.holdDryRuns : settings.hold)
      return { ...who, status: 'working', connections: [], ...settings.waits };
    const now = new Date().toISOString();
    if (!tenant[organization_id]) {
      const error = { code: 'unknown_organization', message: 'No organization found by that id or name' };
      return { ...who, organization_name: null, status: 'failed', error, ended_at: now, connections: [] };
    }
    const connections = connectionsOf(organization_id, body);
    const due = body.action === 'disable_then_remove' ? { removal_due_at: '2027-01-24T10:00:00Z' } : {};
    const hasFailed = connections.some(({ outcome }) => outcome === 'failed');
    const status = hasFailed ? 'failed' : due.removal_due_at && !dry_run ? 'scheduled' : 'completed';
    const more = { ...machineAccessOf(organization_id, body), ...(!dry_run && { watch: 'on' }) };
    return { ...who, organization_name, status, ...due, ended_at: now, connections, ...more };
  }

  function offboard(body: Record_, key: string | undefined, batch_id: string) {
    const known = new Set(records.map(({ offboarding_id }) => offboarding_id));
    for (const organization_id of body.organization_ids) {
      const offboarding_id = uuidOf(batch_id + organization_id);
      if (known.has(offboarding_id)) continue;
      const requested_at = new Date().toISOString();
      const { organization_ids: _, ...parameters } = body;
      const ids = { organization_id, offboarding_id, batch_id, correlation_id: key };
      records.push({ ...parameters, ...ids, requested_at, ...recordOf(organization_id, body) });
    }
  }

  function answer({ method, path, query, headers, body }: Received): [status: number, body: object] {
    const key = headers['idempotency-key'] as string | undefined;
    if (method === 'POST' && path === '/offboardings') {
      const batch_id = uuidOf(key ?? randomUUID());
      const replayed = records.some((record) => record.batch_id === batch_id);
      offboard(body, key, batch_id);
      return [202, { batch_id, accepted: body.organization_ids.length, rejected: [], ...(replayed && { replayed }) }];
    }
    if (method === 'GET' && path === '/offboardings') {
      const wanted = Object.entries(query).filter(([one]) =>
        /^(organization_id|offboarding_id|batch_id|status)$/.test(one),
      );
      const { since = '', until = '~' } = query;
      const all = records
        .filter((record) => wanted.every(([name, value]) => record[name] === value))
        .filter(({ requested_at }) => requested_at >= since && requested_at < until)
        .reverse();
      const [from, limit] = [Number(query.cursor ?? 0), Number(query.limit ?? 100)];
      const counts = Object.fromEntries(
        [...Map.groupBy(all, ({ status }) => status)].map(([status, some]) => [status, some.length]),
      );
      const cursor = from + limit < all.length ? String(from + limit) : null;
      return [200, { offboardings: all.slice(from, from + limit), cursor, ...(query.batch_id && { counts }) }];
    }
    if (method === 'DELETE' && path === '/offboardings') {
      const all = records.filter(({ batch_id }) => batch_id === query.batch_id);
      const pending = all.filter(({ status }) => !['completed', 'failed', 'cancelled'].includes(status));
      for (const record of pending) cancel(record);
      return [202, { batch_id: query.batch_id, cancelling: pending.length, not_pending: all.length - pending.length }];
    }
    const organization_id = /^\/organizations\/(\w+)\/offboarding$/.exec(path)?.[1];
    if (method === 'GET' && organization_id) return [200, currentOf(organization_id)];
    if (method === 'DELETE' && organization_id) {
      const record = records.findLast((one) => one.organization_id === organization_id && !one.dry_run);
      if (!record)
        return [404, { code: 'not_found', detail: 'Nothing is pending, disabled by an offboarding or watched' }];
      if (record.status === 'removing')
        return [409, { code: 'conflict', detail: 'Its connections are being removed since 09:00' }];
      if (record.status === 'completed') {
        record.watch = 'ended';
        return [200, { ...record, watch: 'ended', connections: [] }];
      }
      const accepted = {
        organization_id,
        offboarding_id: record.offboarding_id,
        status: 'cancelling',
        connections: [],
      };
      cancel(record);
      return settings.hold ? [202, accepted] : [200, record];
    }
    return [404, { message: 'Not Found' }];
  }

  function currentOf(organization_id: string): Record_ {
    const record = records.findLast((one) => one.organization_id === organization_id && !one.dry_run);
    const connections = (tenant[organization_id] ?? []).map(({ connection_id, name, strategy, is_enabled }) => ({
      ...{ connection_id, name, strategy, is_enabled, removal_pending: false },
      disabled_by_offboarding: is_enabled === false,
    }));
    const { offboarding_id = null, status = null, watch = null } = record ?? {};
    const { remaining_access } = machineAccessOf(organization_id, {});
    const drift = { next_drift_check_at: null, last_drift_check_at: null, drift_count: 0 };
    const shown = { organization_id, offboarding_id, status, watch, connections_source: 'auth0', connections };
    return { ...shown, ...drift, remaining_access, organization_name: names[organization_id] ?? null };
  }

  const cancel = (record: Record_) => {
    record.status = 'cancelled';
    for (const one of record.connections) if (one.disabled_by_offboarding) one.outcome = 'enabled';
  };

  const isDryRun = (batch_id: string | undefined) =>
    records.some((record) => record.batch_id === batch_id && record.dry_run);
  const lambda: Invocation[] = [];
  const server = createServer(async (request, response) => {
    const content = await readAll(request);
    const forAws = { request, response, body: content };
    if (answerAsAws(forAws, { ...settings, apiUrl: settings.apiUrl ?? url }, lambda)) return;
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://x');
    const { method = '', headers } = request;
    const one = {
      method,
      path: pathname,
      url: request.url ?? '',
      query: Object.fromEntries(searchParams),
      headers,
      body: content && JSON.parse(content),
    };
    received.push(one);
    if (settings.hasSessionEnded) {
      response.writeHead(403, { 'content-type': 'application/json', 'x-amzn-errortype': 'ExpiredTokenException' });
      return void response.end('{"message":"The security token included in the request is expired"}');
    }
    const fault = faults.find((it) => {
      if (it.times === 0 || it.method !== method || !pathname.startsWith(it.path)) return false;
      if (!it.after) return true;
      it.after--;
      return false;
    });
    if (fault) fault.times--;
    if (fault?.cut === 'before') return void request.socket.destroy();
    if (fault?.status)
      return void response.writeHead(fault.status, fault.headers).end(JSON.stringify(fault.body ?? {}));
    const [status, body] = answer(one);
    if (fault?.cut === 'after') return void request.socket.destroy();
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  const url = await listen(server);
  return {
    url,
    received,
    records,
    faults,
    tenant,
    grants,
    names,
    settings,
    lambda,
    /** What changes something, or is about to: everything but reads and dry runs. */
    deeds: () =>
      received.filter(({ method, body, query }) => method !== 'GET' && !body?.dry_run && !isDryRun(query.batch_id)),
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
