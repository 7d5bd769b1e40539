import { randomUUID } from 'node:crypto';
import * as table from '../aws/table.ts';
import { backoff, sleep } from '../deadline.ts';
import { Problem, RetryLater } from '../problem.ts';
import { type Cancellation, type Offboarding, type Organization, type Priority, priorityOf } from './offboarding.ts';
import { getRecords } from './record.ts';

// What the offboardings of an organization have in common: an item beside their records, which is written as a whole upon the
// version that its writer has read. Who works on it alone, what was accepted, and whose connections are being removed are
// decided by writes of this one item: of two who decide at the same time one is rejected, and reads it anew.

/** Not so many at once that the work on them grows without bounds; dry runs take no place from what ends access. */
const MOST_OPEN = 100;
const MOST_OPEN_BEFORE_A_DRY_RUN = 50;
/** How long a message is taken to be on its way before another one says the same, milliseconds. */
const MESSAGE_TAKES_MS = 5 * 60_000;
/** A batch waits for its turn; it is late after this, milliseconds. */
const BATCH_WAITS_MS = 3_600_000;
/** Somebody else's turn comes soon, milliseconds. */
const WAIT_FOR_TURN_MS = 2000;
/** The holder of an organization whose last call of Auth0 may still be carried out. */
const NOBODY = 'nobody';
const KEEP_S = 400 * 86_400;
const MAX_ATTEMPTS = 20;

const keyOf = (organization_id: string) => ({ organization_id, offboarding_id: 'organization' });

/** The organization as it is now. Throws `record_unavailable`, as everything here does. */
export async function getOrganization(organization_id: string): Promise<Organization> {
  const found = (await table.getItem(keyOf(organization_id))) as object as Organization | undefined;
  return found ?? { organization_id, open: [] };
}

/** The organization's open records as they are now: pending, holding something, watched or not told. */
export const openRecords = ({ organization_id, open }: Organization): Promise<Offboarding[]> =>
  getRecords(open.map((offboarding_id) => ({ organization_id, offboarding_id })));

/** When each of these organizations was last looked at for drift; what was not is left out. At most 100. */
export async function lastChecksOf(organizationIds: string[]): Promise<Map<string, string>> {
  const found = (await table.getItems([...new Set(organizationIds)].map(keyOf))) as object as Organization[];
  return new Map(found.flatMap(({ organization_id, looked_at }) => (looked_at ? [[organization_id, looked_at]] : [])));
}

/** Writes the organization with `changes` upon the version that it has. Undefined when somebody else has written it since. */
export async function write(known: Organization, changes: Partial<Organization>): Promise<Organization | undefined> {
  const next = { ...known, ...changes, version: randomUUID() };
  const { organization_id, due_at, open } = next;
  // In the index of what is due are those that something is due for; an item with nothing open is kept for a while.
  const due_shard = due_at && `due ${table.shardOf(organization_id)}`;
  const expires_at = open.length > 0 ? undefined : Math.floor(Date.now() / 1000) + KEEP_S;
  const item = { ...next, ...keyOf(organization_id), due_shard, expires_at };
  return (await table.putItem(item, known.version)) ? next : undefined;
}

/** Changes the organization as it is now, again when somebody was quicker. Undefined where `change` leaves it as it is. */
async function update(organization_id: string, change: (current: Organization) => Partial<Organization> | undefined) {
  for (let attempts = 1; attempts <= MAX_ATTEMPTS; attempts++) {
    const current = await getOrganization(organization_id);
    const changes = change(current);
    const written = changes && (await write(current, changes));
    if (written || !changes) return written;
    await sleep(backoff(attempts, 5, 200));
  }
  throw new Problem('record_unavailable', 'Too many write the record of the organization at once');
}

/** Something is due at `at`, unless something else is due before it; a message that says so is on its way. */
function due({ due_at }: Organization, at: string, priority: Priority): Partial<Organization> {
  if (due_at !== undefined && due_at <= at) return {};
  return { due_at: at, notice_at: Math.max(Date.parse(at), Date.now()) + MESSAGE_TAKES_MS, priority };
}

/**
 * A request is accepted: from here on it is one of those that decide, and no earlier one removes anything. May be repeated.
 * Throws `conflict` where the organization has too many that are not over.
 */
export async function admit(record: Offboarding): Promise<void> {
  const { organization_id, offboarding_id, accept_by, dry_run } = record;
  const priority = priorityOf(record);
  const most = dry_run ? MOST_OPEN_BEFORE_A_DRY_RUN : MOST_OPEN;
  const at = accept_by ?? new Date(Date.now() + (priority === 'batch' ? BATCH_WAITS_MS : 0)).toISOString();
  await update(organization_id, (current) => {
    const others = current.open.filter((id) => id !== offboarding_id);
    if (others.length >= most)
      throw new Problem('conflict', `The organization has ${most} offboardings that are not over; cancel them first`);
    return { open: [...others, offboarding_id], ...due(current, at, priority) };
  });
}

/** Accepts a cancelling of all that it covers, if the organization is still as it was read. */
export const cancelAll = (known: Organization, cancelled: Cancellation) =>
  write(known, { cancelled, ...due(known, cancelled.at, 'single') });

/** Accepts the cancelling of one offboarding, if the organization is still as it was read. Repeated, the first stands. */
export function cancelOne(known: Organization, cancellation: Cancellation) {
  const { cancelled_ones = [] } = known;
  if (cancelled_ones.some(({ ids: [id = ''] }) => cancellation.ids.includes(id))) return known;
  return write(known, { cancelled_ones: [...cancelled_ones, cancellation], ...due(known, cancellation.at, 'batch') });
}

/**
 * Asks for a drift check; who is making one just now makes another, for what has changed since may be news. False where somebody
 * has asked within the last minute: nobody needs to send another message.
 */
export async function askForCheck(organization_id: string): Promise<boolean> {
  let isAsked = false;
  await update(organization_id, (current) => {
    const now = Date.now();
    const at = new Date(now).toISOString();
    const { look_at = '~', check_asked_at = 0 } = current;
    isAsked = look_at <= at && check_asked_at > now - 60_000;
    // Of a flood one is enough; and whoever looks just now is not to begin anew each time.
    if (isAsked && check_asked_at > now - (current.holder ? 1000 : 60_000)) return undefined;
    return { look_at: look_at < at ? look_at : at, check_asked_at: now, ...due(current, at, 'watch') };
  });
  return !isAsked;
}

/**
 * Takes the organization for `holder` until `until` at the latest (Unix time in milliseconds); of several one gets it. `wasAbandoned`
 * says whether who had it before ended without giving it back. Throws `RetryLater` when somebody else has it. (DynamoDB lock client, README: an item with its holder and its end.)
 */
export async function take(organization_id: string, holder: string, until: number) {
  let before: string | undefined;
  const organization = await update(organization_id, (current) => {
    before = current.holder;
    const isFree = before === undefined || before === holder || (current.held_until ?? 0) < Date.now();
    return isFree ? { holder, held_until: until } : undefined;
  });
  if (!organization) throw new RetryLater('Somebody else works on the organization', WAIT_FOR_TURN_MS);
  return { organization, wasAbandoned: before !== undefined && ![holder, NOBODY].includes(before) };
}

/** What an organization has when nobody works on it: `unknownUntil` Auth0 may still carry out a call whose end nobody knows. */
const free = (held_until: number | undefined) => ({ holder: held_until ? NOBODY : undefined, held_until });

/** Gives the organization back with what it waits for. False, and it is kept, when anything was accepted since it was read. */
export async function giveBack(known: Organization, rest: Partial<Organization>, unknownUntil: number | undefined) {
  const notice_at = rest.due_at && Date.parse(rest.due_at) + MESSAGE_TAKES_MS;
  return (await write(known, { ...rest, notice_at: notice_at || undefined, ...free(unknownUntil) })) !== undefined;
}

/** Lets go of the organization after an error, whatever was accepted meanwhile: what is due stays due. */
export const letGo = ({ organization_id, holder }: Organization, unknownUntil: number | undefined, tryAt: number) =>
  update(organization_id, (current) =>
    current.holder === holder ? { notice_at: tryAt + MESSAGE_TAKES_MS, ...free(unknownUntil) } : undefined,
  );

/** Says that a message was sent for what is due: no other is for `ms`, unless something else is due by then. */
export const noticed = (organization_id: string, due_at: string, ms: number) =>
  update(organization_id, (current) => (current.due_at === due_at ? { notice_at: Date.now() + ms } : undefined));
