// The statuses of offboardings for the timeline, as the service's own list has them.
import type { Aws } from '../aws.ts';
import type { Timeline } from './timeline.ts';

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

/** Tells whether the service has written something since it was last asked. */
function createWriteWatch({ calls }: Aws): () => boolean {
  let seen = 0;
  return () => {
    const isWritten = calls.slice(seen).some((name) => WRITE.test(name));
    seen = calls.length;
    return isWritten;
  };
}

/** Tells the timeline of each status that is new. Each offboarding begins as `requested`, also one that was seen late. */
function createTeller(timeline: Timeline) {
  const statuses = new Map<string, string>();
  return (organizationId: string, { offboarding_id, status, action, requested_at }: Offboarding): void => {
    const before = statuses.get(offboarding_id);
    if (before === status) return;
    statuses.set(offboarding_id, status);
    const entry = { kind: 'status' as const, organization_ids: [organizationId], detail: action };
    const at = requested_at ? Date.parse(requested_at) : Date.now();
    if (!before) timeline.add({ ...entry, at, text: 'requested', failed: false });
    if (status === 'requested') return;
    timeline.add({ ...entry, text: `${before ?? 'requested'} → ${status}`, failed: status === 'failed' });
  };
}

/**
 * Follows the offboardings of the organizations that the timeline names until `close`. `list` reads an organization's, newest
 * first; it is asked again whenever the service has written something. `onChange` is called after each reading.
 */
export function followStatuses(
  aws: Aws,
  timeline: Timeline,
  { list, onChange }: { list: (organizationId: string) => Promise<Offboarding[]>; onChange: () => void },
) {
  const current = new Map<string, Offboarding>();
  /** Organizations whose offboardings may change. */
  const expected = new Set<string>();
  const hasWritten = createWriteWatch(aws);
  const tell = createTeller(timeline);

  async function look(organizationId: string): Promise<void> {
    const offboardings = await list(organizationId);
    for (const one of offboardings.toReversed()) tell(organizationId, one);
    const shown = offboardings.find(({ status }) => PENDING.includes(status)) ?? offboardings[0];
    if (shown) current.set(organizationId, shown);
    if (!shown || !PENDING.includes(shown.status)) expected.delete(organizationId);
    onChange();
  }

  let isLooking = false;
  async function tick(): Promise<void> {
    if (isLooking || expected.size === 0 || !hasWritten()) return;
    isLooking = true;
    // What can't be read now is read after the next write.
    await Promise.all([...expected].map((organizationId) => look(organizationId).catch(() => {})));
    isLooking = false;
  }

  const expect = (organizationIds: string[]) => organizationIds.forEach((id) => void expected.add(id));
  timeline.onEntry(({ kind, organization_ids }) => kind !== 'status' && expect(organization_ids));
  const timer = setInterval(() => void tick(), LOOK_EVERY_MS);
  return {
    /** What the page shows of an organization's offboardings: the pending one, else the newest. */
    of: (organizationId: string) => current.get(organizationId) ?? null,
    /** Says that a request for these organizations is on its way. */
    expect,
    close: () => clearInterval(timer),
  };
}
