import type { LedgerEntry, OpenRequest, Organization } from '../model/organization.ts';
import { OWN_SOURCE, withRequest } from '../model/organization.ts';
import { after, iso, type Stage } from '../model/stage.ts';
import { endWatch } from './cancellation.ts';
import { acceptedOf, areSessionsLeft, disabledBy, isCarriedOut, isPending, withFinalLedger } from './requests.ts';

// What leaves an organization's item: watches, claims and requests that are over.

/** The organization without the watches that are over: by their date, or because the organization has newer ones. */
export function withoutOverdueWatches(item: Organization, now: number, stage: Stage): Organization {
  const watched = acceptedOf(item).filter(
    ({ watch, status }) => watch === 'on' && status !== 'scheduled' && status !== 'removing',
  );
  const tooMany = watched
    .filter((one, index) => isCovered(one, watched.slice(index + 1)) && !areSessionsLeft(one))
    .slice(0, Math.max(0, watched.length - MOST_WATCHED));
  const over = watched.filter(
    (one) => tooMany.includes(one) || after(one.ended_at ?? one.accepted_at, stage.watchFor) < now,
  );
  const reason = (one: OpenRequest) =>
    tooMany.includes(one) ? 'later offboardings are watched' : 'watched for long enough';
  return over.reduce(
    (next, one) => endWatch(next, one, { at: iso(now), caller: OWN_SOURCE, reason: reason(one) }, now),
    item,
  );
}
const MOST_WATCHED = 10;

/**
 * The organization in which the newest of many failed offboardings alone claim what was disabled: an older one gives its claims up
 * where newer ones have them, too. A cancellation gives all of it back by these.
 */
export function withoutOldClaims(item: Organization, now: number): Organization {
  const failed = acceptedOf(item).filter((one) => one.status === 'failed' && disabledBy(item, one).length > 0);
  const old = failed.slice(0, Math.max(0, failed.length - MOST_FAILED));
  const given = old.find((one, index) => areClaimedBy(disabledBy(item, one), failed.slice(index + 1)));
  if (!given) return item;
  const { offboarding_id } = given;
  const disabled = disabledBy(item, given);
  const ledger = item.ledger.map((entry) =>
    disabled.includes(entry) ? { ...entry, claims: entry.claims.filter((id) => id !== offboarding_id) } : entry,
  );
  return withRequest({ ...item, ledger }, { ...given, updated_at: iso(now), is_unrecorded: true });
}
const MOST_FAILED = 10;

const areClaimedBy = (entries: LedgerEntry[], newer: OpenRequest[]): boolean =>
  entries.every(({ claims }) => newer.some(({ offboarding_id }) => claims.includes(offboarding_id)));

/** Whether newer watches are about everything that this one is about. */
function isCovered({ parameters }: OpenRequest, newer: OpenRequest[]): boolean {
  const isWhole = newer.some(
    (one) => !one.parameters.connection_ids && (one.parameters.end_machine_access || !parameters.end_machine_access),
  );
  const named = new Set(newer.flatMap((one) => one.parameters.connection_ids ?? []));
  return isWhole || (parameters.connection_ids?.every((id) => named.has(id)) ?? false);
}

/** Whether a request has nothing left to say or to do: its record is all that remains. */
export function isOver(item: Organization, request: OpenRequest): boolean {
  if (isPending(request) || request.batch?.is_accepted === false || request.is_unrecorded || request.watch === 'on')
    return false;
  if (item.outbox.some(({ offboarding_id }) => offboarding_id === request.offboarding_id)) return false;
  if (areSessionsLeft(request)) return false;
  return disabledBy(item, request).length === 0;
}

/** The organization without the requests that are over. The newest that was carried out stays known as the current one. */
export function withoutOver(item: Organization, now: number): Organization {
  const over = item.requests.filter((one) => isOver(item, one));
  if (over.length === 0) return item;
  const carriedOut = acceptedOf({ ...item, requests: over }).filter(
    (one) => !one.parameters.dry_run && isCarriedOut(one),
  );
  const requests = item.requests.filter((one) => !over.includes(one));
  const last = carriedOut.at(-1);
  const isNewer = last && last.requested_at > (item.current?.requested_at ?? '');
  const current = isNewer ? { offboarding_id: last.offboarding_id, requested_at: last.requested_at } : item.current;
  return withFinalLedger({ ...item, requests, current }, now);
}
