import type { Organization } from '../model/organization.ts';
import { isAccepted, isPending } from './requests.ts';

/** What a character takes in the table, at the most: UTF-8 in text, and an escape where the text is JSON inside text. */
const BYTES_OF_ASCII = 1;
const BYTES_OF_OTHERS = 4;

/** How many bytes a text takes in the table, estimated from above and without a platform's encoder. */
function bytesOf(text: string): number {
  let bytes = 0;
  for (const character of text) bytes += (character.codePointAt(0) ?? 0) < 0x80 ? BYTES_OF_ASCII : BYTES_OF_OTHERS;
  return bytes;
}

/** How many bytes an organization's item takes in the table, estimated from above. */
export const sizeOf = (item: Organization): number => bytesOf(JSON.stringify(item));

/** Open requests of an organization, and bytes of its item, beyond which it takes no more. The rest is room to end what is open. */
export const MOST_OPEN = 20;
export const MOST_BYTES = 90_000;

/** How many requests of an organization are open: these count towards its bound. */
export const openIn = ({ requests }: Organization): number =>
  requests.filter((one) => isPending(one) || !isAccepted(one)).length;

/** Whether an organization can take one more request; `next` is its item with it. */
export const hasRoom = (item: Organization, next: Organization): boolean =>
  openIn(item) < MOST_OPEN && sizeOf(next) <= MOST_BYTES;

/** What is cancelled as it arrives leaves with its event; while nothing can be published, so many more bytes wait for that. */
export const MOST_WAITING_BYTES = 30_000;
export const hasRoomForCancelled = (next: Organization): boolean => sizeOf(next) <= MOST_BYTES + MOST_WAITING_BYTES;

/** Why an organization takes no more, in words. */
export const whyFull = (item: Organization): string =>
  openIn(item) < MOST_OPEN
    ? 'What is kept of the organization has no room for another offboarding; cancel those that are open first'
    : `The organization has ${MOST_OPEN} open offboardings; cancel them first`;

/** Client grants that remain are kept to be shown, in as many bytes. */
const MOST_REMAINING_BYTES = 20_000;
/** Those that were removed are kept to be given back, which takes no scopes: these as long as all take no more bytes. */
const MOST_GRANTS_BYTES = 12_000;

const SHORTENED = { scope: [], is_shortened: true as const };

/** What remains of the access as it is kept: without scopes where all is too large, and at the very worst with the first grants alone. */
export function boundedRemaining(remaining: Organization['remaining_access']): Organization['remaining_access'] {
  const isTooLarge = (all: object[]) => bytesOf(JSON.stringify(all)) > MOST_REMAINING_BYTES;
  if (!remaining || !isTooLarge(remaining)) return remaining;
  const short = remaining.map((one) => ({ ...one, ...SHORTENED }));
  while (isTooLarge(short)) short.pop();
  return short;
}

/** A client grant as the ledger keeps it, beside those that it has. */
export function boundedGrant({ ledger }: Organization, grant: Record<string, unknown>): Record<string, unknown> {
  const kept = ledger.filter(({ kind }) => kind === 'client_grant').map(({ before }) => before);
  const isTooLarge = bytesOf(JSON.stringify([...kept, grant])) > MOST_GRANTS_BYTES;
  return isTooLarge ? { ...grant, ...SHORTENED } : grant;
}

/** A connection's settings may be as large as Auth0 likes: what is kept of them has an end. */
export const MOST_SETTINGS_BYTES = 4000;

/** Settings as they are kept: without members that are larger than anything Auth0 documents. */
export function boundedSettings(settings: Record<string, unknown>): Record<string, unknown> {
  if (bytesOf(JSON.stringify(settings)) <= MOST_SETTINGS_BYTES) return settings;
  const small = Object.entries(settings).filter(([, value]) => bytesOf(JSON.stringify(value) ?? '') <= 200);
  return { ...Object.fromEntries(small.slice(0, 15)), is_shortened: true };
}
