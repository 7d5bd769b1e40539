// The stand-in tenant's log stream: an event for each write of the Management API that succeeded.
import { randomUUID } from 'node:crypto';
import type { Reply } from './reply.ts';

/** A log event as the tenant's log streams send it ("Log Event Type Codes", `sapi`): only of writes, method in lower case. */
export interface LogEvent {
  log_id: string;
  data: {
    date: string;
    type: 'sapi';
    description: string;
    client_id: string;
    details: {
      request: { method: string; path: string; query: object; body: unknown; channel: string };
      response: { statusCode: number; body: unknown };
    };
    log_id: string;
    tenant_name: string;
  };
}

const DESCRIPTIONS: [path: string, method: string, description: string][] = [
  ['/connections', 'PATCH', 'Modify an organization connection'],
  ['/connections', 'POST', 'Add a connection to an organization'],
  ['/connections', 'DELETE', 'Delete a connection from an organization'],
  ['/client-grants', 'POST', 'Associate a client grant with an organization'],
  ['/client-grants', 'DELETE', 'Remove a client grant from an organization'],
];

/** The log event of a write. */
export function logEventOf(method: string, { pathname }: URL, body: string, reply: Reply): LogEvent {
  const log_id = `900${Date.now()}${randomUUID().replaceAll('-', '')}`;
  const [, , description = 'Delete what a user has'] =
    DESCRIPTIONS.find(([path, ofMethod]) => ofMethod === method && pathname.includes(path)) ?? [];
  const request = {
    method: method.toLowerCase(),
    path: pathname,
    query: {},
    body: body ? JSON.parse(body) : {},
    channel: 'api',
  };
  const details = { request, response: { statusCode: reply.status, body: reply.body ?? {} } };
  const head = { date: new Date().toISOString(), type: 'sapi', description, client_id: 'a-client' } as const;
  return { log_id, data: { ...head, details, log_id, tenant_name: 'local' } };
}
