// What the stand-in tenant and the event bus tell the timeline.
import type { Call } from '../auth0-tenant.ts';
import type { BusEvent } from '../aws.ts';
import type { LocalEnvironment } from '../environment.ts';
import { organizationsIn, type Timeline } from './timeline.ts';

function showCall(timeline: Timeline, { method, path, status, at }: Call): void {
  const [asked = ''] = path.replace('/api/v2', '').split('?');
  const text = `${method} ${decodeURIComponent(asked)}`;
  const detail = status === 0 ? 'no answer' : String(status);
  const failed = status === 0 || status >= 400;
  timeline.add({ kind: 'auth0', at, organization_ids: organizationsIn(path), text, detail, failed });
}

function showEvent(timeline: Timeline, { 'detail-type': type, detail }: BusEvent): void {
  const connections = (detail.connections ?? []) as { name?: string; connection_id: string; outcome: string }[];
  const parts = connections.map(({ name, connection_id, outcome }) => `${name ?? connection_id} ${outcome}`);
  if (typeof detail.removal_due_at === 'string') parts.push(`removal due at ${detail.removal_due_at}`);
  const organization_ids = organizationsIn(JSON.stringify(detail));
  const failed = type.endsWith('failed');
  timeline.add({ kind: 'event', organization_ids, text: type, detail: parts.join(', '), failed });
}

/** From now on the timeline has each call to Auth0 and each event. */
export function connectSources({ tenant, aws }: LocalEnvironment, timeline: Timeline): void {
  tenant.onCall((call) => showCall(timeline, call));
  aws.onEvent((event) => showEvent(timeline, event));
}
