import type { World } from '../world.ts';
import type { StepCheck } from './check.ts';

// What the table has: each write has a version of its own, and a record shows what its organization's item has stored.

type OffboardingRecord = World['records'][string];
type Item = World['items'][string];
type Request = Item['requests'][number];

const text = (value: unknown) => JSON.stringify(value) ?? '';

/** Each write of an item or a batch has a version that none before it had. */
export const versionsAreNew: StepCheck = ({ items, batches }, _, before) => {
  if (items === before.items && batches === before.batches) return undefined;
  for (const [all, earlier] of [
    [items, before.items],
    [batches, before.batches],
  ] as const)
    for (const [id, { version = '' }] of Object.entries(all)) {
      const known = earlier[id];
      if (all[id] !== known && (version.length < 3 || version === known?.version))
        return `${id} is written as version "${version}" after "${known?.version}"`;
    }
  return undefined;
};

/** What a record shows of its request as the request has it. */
const SAME = [
  ...['status', 'requested_at', 'accepted_at', 'updated_at', 'ended_at', 'removal_due_at', 'attempts', 'last_error'],
  ...['next_try_at', 'error', 'superseded_by', 'cancelled', 'watch', 'watch_ended', 'drift_count', 'sessions'],
  ...['caller', 'request', 'urgent', 'fingerprint', 'idempotency_key'],
] as (keyof Request & keyof OffboardingRecord)[];

/** A record that is written shows its request as the item has it stored, and what has ended stays as it was shown. */
export const recordsAreStored: StepCheck = ({ records, items }, _, before) => {
  if (records === before.records) return undefined;
  for (const [id, record] of Object.entries(records)) {
    const earlier = before.records[id];
    const item = items[record.organization_id];
    const request = item?.requests.find(({ offboarding_id }) => offboarding_id === id);
    if (record === earlier || !item || !request || item !== before.items[record.organization_id]) continue;
    if (record.revision > item.revision) return `The record of ${id} shows what is not stored`;
    // Somebody else has written the item since.
    if (record.revision !== item.revision) continue;
    const other = SAME.find((name) => text(record[name]) !== text(request[name]));
    if (other) return `The record of ${id} shows ${text(record[other])} as ${other}, and it is ${text(request[other])}`;
    // Once the record alone has its words, it is final; where it has not, what changed since its end tells.
    const isWordless = request.parameters.reason === '';
    const isChanged = record.ended_at && record.ended_at !== record.updated_at;
    const isFinal = earlier?.status === record.status && (isWordless || isChanged);
    const wrong = isFinal ? changedSince(earlier, record) : otherConnections(item, request, record);
    if (wrong) return `The record of ${id}: ${wrong}`;
  }
  return undefined;
};

/** What was done at the end of an offboarding is final; a drift check adds to it. */
function changedSince(earlier: OffboardingRecord, now: OffboardingRecord): string | undefined {
  for (const { connection_id, outcome, error, before } of earlier.connections) {
    const own = now.connections.find((one) => one.connection_id === connection_id);
    if (text([own?.outcome, own?.error, own?.before]) !== text([outcome, error, before]))
      return `${connection_id} was shown as ${outcome}, and is shown as ${own?.outcome}`;
  }
  const [then, since] = [earlier, now].map((one) => text([one.client_grants, one.remaining_access]));
  if (then !== since) return 'its client grants are shown otherwise than at its end';
  const words = [earlier, now].map(({ reason, requested_by }) => text([reason, requested_by]));
  return words[0] === words[1] ? undefined : 'its words are shown otherwise than at its end';
}

/** Of each connection and grant that a request claims or has an outcome for, its record shows the outcome and the settings before. */
function otherConnections(item: Item, request: Request, record: OffboardingRecord): string | undefined {
  const claimed = item.ledger.filter(({ claims }) => claims.includes(request.offboarding_id));
  const shown = [
    ...record.connections.map(({ connection_id, ...one }) => ({ ...one, key: connection_id })),
    ...(record.client_grants ?? []).map(({ grant_id, ...one }) => ({ ...one, key: `grant ${grant_id}` })),
  ];
  const keys = new Set([
    ...claimed.map(({ kind, id }) => (kind === 'connection' ? id : `grant ${id}`)),
    ...Object.keys(request.outcomes),
  ]);
  if (shown.length !== keys.size || shown.some(({ key }) => !keys.has(key)))
    return `it shows ${shown.map(({ key }) => key)}, and is about ${[...keys]}`;
  for (const { key, outcome, error } of shown) {
    const own = request.outcomes[key];
    const isGrant = key.startsWith('grant ');
    const words = { disabled: 'removed', enabled: 'restored' } as Record<string, string>;
    // What is new since is left as it is.
    const isNew = claimed.some((one) => one.added && (isGrant ? `grant ${one.id}` : one.id) === key);
    const asConnection = own?.outcome ?? (isNew ? 'unchanged' : null);
    const isAs = isGrant && own ? (words[own.outcome] ?? own.outcome) : asConnection;
    if (outcome !== isAs || text(error) !== text(own?.error ?? null))
      return `${key} is ${isAs}, and shown as ${outcome}`;
  }
  return undefined;
}
