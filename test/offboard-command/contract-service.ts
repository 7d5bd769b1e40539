// Plays the service by its contract, for the operator's command alone: a small HTTP server that keeps what it was asked for,
// ends each offboarding at once, and can fail on purpose. Beside it the three AWS services that the command calls.
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as readAll } from 'node:stream/consumers';

export interface Asked {
  method: string;
  path: string;
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
  const asked: Asked[] = [];
  const records: Record_[] = [];
  const faults: Fault[] = [];
  const tenant: Record<string, Record_[]> = {};
  const settings = {
    /** While true, what is asked for stays as it is. */
    hold: false,
    /** What is held waits for. */
    waits: {},
    arn: 'arn:aws:sts::123456789012:assumed-role/operators/kim',
    requeued: 2,
  };

  function offboard(body: Record_, key: string | undefined, batch_id: string) {
    for (const organization_id of body.organization_ids) {
      const offboarding_id = uuidOf(batch_id + organization_id);
      if (records.some((record) => record.offboarding_id === offboarding_id)) continue;
      const now = new Date().toISOString();
      const due = body.action === 'disable_then_remove' ? '2027-01-24T10:00:00Z' : undefined;
      const { organization_ids, ...order } = body;
      const common = {
        ...order,
        organization_id,
        offboarding_id,
        batch_id,
        correlation_id: key,
        created_at: now,
        asked_at: now,
      };
      const who = {
        requested_by: body.requested_by ?? settings.arn,
        caller: settings.arn,
        dry_run: body.dry_run === true,
      };
      const known = tenant[organization_id];
      const outcome = body.action === 'remove' ? 'removed' : 'disabled';
      const connections = (known ?? []).map(({ connection_id, name, strategy, ...before }) => ({
        connection_id,
        name,
        strategy,
        before,
        outcome,
        error: null,
        disabled_by_offboarding: outcome === 'disabled' && body.dry_run !== true,
      }));
      const error = { code: 'unknown_organization', message: 'No organization found by that id or name' };
      const end = due && body.dry_run !== true ? 'scheduled' : 'completed';
      records.push({
        ...common,
        ...who,
        status: known ? end : 'failed',
        ...(known ? due && { removal_due_at: due } : { error }),
        ...(known && body.dry_run !== true && { watch: 'on' }),
        ended_at: now,
        connections,
      });
      if (settings.hold && body.dry_run !== true)
        Object.assign(records.at(-1) as object, { status: 'working', connections: [], ...settings.waits });
    }
  }

  function answer({ method, path, query, headers, body }: Asked): [status: number, body: object] {
    const key = headers['idempotency-key'] as string | undefined;
    if (method === 'POST' && path === '/offboardings') {
      const batch_id = uuidOf(key ?? randomUUID());
      const replayed = records.some((record) => record.batch_id === batch_id);
      offboard(body, key, batch_id);
      return [202, { batch_id, accepted: body.organization_ids.length, rejected: [], ...(replayed && { replayed }) }];
    }
    if (method === 'GET' && path === '/offboardings') {
      const [name = '', value] =
        Object.entries(query).find(([one]) => /^(organization_id|batch_id|status)$/.test(one)) ?? [];
      const all = records
        .filter((record) => record[name] === value)
        .filter(({ asked_at }) => (!query.since || asked_at >= query.since) && (!query.until || asked_at < query.until))
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
    if (method === 'DELETE' && organization_id) {
      const record = records.findLast((one) => one.organization_id === organization_id && !one.dry_run);
      if (!record) return [404, { code: 'not_found', detail: 'Nothing is pending, held or watched' }];
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

  const cancel = (record: Record_) => {
    record.status = 'cancelled';
    for (const one of record.connections) if (one.disabled_by_offboarding) one.outcome = 'enabled';
  };

  /** STS, CloudFormation and Lambda, as far as the command calls them. */
  function aws(request: IncomingMessage, response: ServerResponse, body: string): boolean {
    if (request.url?.startsWith('/2015-03-31/functions/')) {
      lambda.push({ name: request.url.split('/')[3] ?? '', payload: JSON.parse(body) });
      response.end(JSON.stringify({ requeued: settings.requeued }));
      return true;
    }
    const action = new URLSearchParams(body).get('Action');
    if (action === null) return false;
    response.setHeader('content-type', 'text/xml');
    const account = /::(\d+):/.exec(settings.arn)?.[1];
    const results: Record<string, string> = {
      GetCallerIdentity: `<Arn>${settings.arn}</Arn><Account>${account}</Account>`,
      DescribeStacks: `<Stacks><member><StackName>x</StackName><StackStatus>CREATE_COMPLETE</StackStatus><Outputs><member><OutputKey>ApiUrl</OutputKey><OutputValue>${url}</OutputValue></member></Outputs></member></Stacks>`,
    };
    response.end(`<${action}Response><${action}Result>${results[action]}</${action}Result></${action}Response>`);
    return true;
  }

  const lambda: { name: string; payload: unknown }[] = [];
  const server = createServer(async (request, response) => {
    const content = await readAll(request);
    if (aws(request, response, content)) return;
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://x');
    const { method = '', headers } = request;
    const one = {
      method,
      path: pathname,
      query: Object.fromEntries(searchParams),
      headers,
      body: content && JSON.parse(content),
    };
    asked.push(one);
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
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    asked,
    records,
    faults,
    tenant,
    settings,
    lambda,
    /** What changes something, or is about to: everything but looks and dry runs. */
    deeds: () => asked.filter(({ method, body }) => method !== 'GET' && !body?.dry_run),
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
