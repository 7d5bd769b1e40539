// Where the timeline's entries come from: the stand-in tenant, the event bus, and the service's own list of offboardings.
import type { Call } from '../auth0-tenant.ts';
import type { BusEvent } from '../aws.ts';
import type { LocalEnvironment } from '../environment.ts';
import { organizationsIn, type Timeline } from './timeline.ts';

export interface Offboarding {
  offboarding_id: string;
  status: string;
  action: string;
  removal_due_at?: string | null;
  reason?: string | null;
  requested_by?: string | null;
  requested_at?: string | null;
}

/** How often it is looked whether something was written, milliseconds. */
const LOOK_EVERY_MS = 40;
const WRITE = /^(Put|Update|Delete|Transact|BatchWrite)/;
const PENDING = ['requested', 'working', 'scheduled', 'removing', 'cancelling'];

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
  timeline.add({
    kind: 'event',
    organization_ids,
    text: type,
    detail: parts.join(', '),
    failed: type.endsWith('failed'),
  });
}

/**
 * Fills the timeline until `close`. `list` reads an organization's offboardings, newest first; it is asked again whenever the
 * service has written something, so no status is older than that. `onChange` is called when one has changed.
 */
export function startSources(
  { tenant, aws }: LocalEnvironment,
  timeline: Timeline,
  options: { list: (organizationId: string) => Promise<Offboarding[]>; onChange: () => void },
) {
  const current = new Map<string, Offboarding>();
  const statuses = new Map<string, string>();
  /** Organizations whose offboardings may change. */
  const expected = new Set<string>();
  let seen = 0;

  /** Each offboarding begins as `requested`, also one that was seen too late for that. */
  function tell(organizationId: string, { offboarding_id, status, action, requested_at }: Offboarding): void {
    const before = statuses.get(offboarding_id);
    if (before === status) return;
    statuses.set(offboarding_id, status);
    const entry = { kind: 'status' as const, organization_ids: [organizationId], detail: action };
    const at = requested_at ? Date.parse(requested_at) : Date.now();
    if (!before) timeline.add({ ...entry, at, text: 'requested', failed: false });
    if (status === 'requested') return;
    timeline.add({ ...entry, text: `${before ?? 'requested'} → ${status}`, failed: status === 'failed' });
  }

  async function look(organizationId: string): Promise<void> {
    const offboardings = await options.list(organizationId);
    for (const one of offboardings.toReversed()) tell(organizationId, one);
    const shown = offboardings.find(({ status }) => PENDING.includes(status)) ?? offboardings[0];
    if (shown) current.set(organizationId, shown);
    if (!shown || !PENDING.includes(shown.status)) expected.delete(organizationId);
    options.onChange();
  }

  let isLooking = false;
  async function tick(): Promise<void> {
    if (isLooking || expected.size === 0 || aws.calls.length === seen) return;
    const isWritten = aws.calls.slice(seen).some((name) => WRITE.test(name));
    seen = aws.calls.length;
    if (!isWritten) return;
    isLooking = true;
    // What can't be read now is read after the next write.
    await Promise.all([...expected].map((organizationId) => look(organizationId).catch(() => {})));
    isLooking = false;
  }

  tenant.onCall((call) => showCall(timeline, call));
  aws.onEvent((event) => showEvent(timeline, event));
  timeline.onEntry(({ kind, organization_ids }) => {
    if (kind !== 'status') for (const id of organization_ids) expected.add(id);
  });
  const timer = setInterval(() => void tick(), LOOK_EVERY_MS);
  return {
    /** What the page shows of an organization's offboardings: the pending one, else the newest. */
    offboardingOf: (organizationId: string) => current.get(organizationId) ?? null,
    /** Says that a request for these organizations is on its way. */
    expect(organizationIds: string[]) {
      for (const id of organizationIds) expected.add(id);
    },
    close: () => clearInterval(timer),
  };
}
