import { randomUUID } from 'node:crypto';
import { VERSION } from './outcome.ts';

/** What a message that may be malformed says of itself, as the detail of its event: as much as can be read. */
export function readableDetail(raw: unknown) {
  const text = <T>(value: unknown, none: T) => (typeof value === 'string' ? [...value].slice(0, 1000).join('') : none);
  const { id, source, account, time, detail } = Object(raw);
  const { organization_id, action, requested_by, reason, correlation_id, dry_run } = Object(detail);
  const request = { id: text(id, ''), source: text(source, ''), time: text(time, '') };
  return {
    version: VERSION,
    // An event without an id gets one: consumers tell failures apart by it.
    offboarding_id: text(id, '') || randomUUID(),
    organization_id: text(organization_id, null),
    action: text(action, null),
    requested_by: text(requested_by, null),
    reason: text(reason, null),
    caller: `${text(account, '')} ${request.source}`.trim(),
    correlation_id: text(correlation_id, undefined),
    request: typeof id === 'string' ? request : null,
    dry_run: dry_run === true,
    connections: [],
  };
}
