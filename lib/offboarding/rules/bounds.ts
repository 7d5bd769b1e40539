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
  requests.filter((one) => isPending(one) || !isAccepted(one) || one.status === 'failed').length;

/** Whether an organization can take one more request; `next` is its item with it. */
export const hasRoom = (item: Organization, next: Organization): boolean =>
  openIn(item) < MOST_OPEN && sizeOf(next) <= MOST_BYTES;

/** Client grants are kept to be shown: as many bytes of them, and fewer scopes of each where they are more. */
const MOST_REMAINING_BYTES = 16_000;

/** What remains of the access as it is kept: with the first scopes alone, and with the first grants, where it is too large. */
export function boundedRemaining(remaining: Organization['remaining_access']): Organization['remaining_access'] {
  if (!remaining || bytesOf(JSON.stringify(remaining)) <= MOST_REMAINING_BYTES) return remaining;
  const short = remaining.map((one) => ({ ...one, scope: one.scope.slice(0, 2).map((text) => text.slice(0, 40)) }));
  while (bytesOf(JSON.stringify(short)) > MOST_REMAINING_BYTES) short.pop();
  return short;
}

/** A connection's settings may be as large as Auth0 likes: what is kept of them has an end. */
export const MOST_SETTINGS_BYTES = 4000;

/** Settings as they are kept: without members that are larger than anything Auth0 documents. */
export function boundedSettings(settings: Record<string, unknown>): Record<string, unknown> {
  if (bytesOf(JSON.stringify(settings)) <= MOST_SETTINGS_BYTES) return settings;
  const small = Object.entries(settings).filter(([, value]) => bytesOf(JSON.stringify(value) ?? '') <= 200);
  return { ...Object.fromEntries(small.slice(0, 15)), is_shortened: true };
}
