import { keyOf, type Organization } from '../model/organization.ts';
import { after, iso } from '../model/stage.ts';
import { LIST_IS_OLD_MS, type Listing } from '../rules/connections.ts';
import { isTooNew, NOTIFICATIONS_COUNT_AS_ONE_MS, nextDriftStep, watchedOf } from '../rules/drift.ts';
import { hasLease } from './lease.ts';
import { toList } from './request-steps.ts';
import type { Step } from './step.ts';
import { isWorkPostponed, type VisitState } from './visit-state.ts';

/** After an error of a drift check the next one is made soon, milliseconds. */
const CHECK_AGAIN_MS = 300_000;

/** When the first drift check is due is stored with what begins to be watched. */
export function toPlanCheck({ item, now, input }: VisitState): Step | undefined {
  if (item.next_drift_check_at || watchedOf(item).length === 0) return undefined;
  return { do: 'change', item: { ...item, next_drift_check_at: iso(after(now, input.stage.watchInterval)) } };
}

/** A drift check is due as long as any offboarding of the organization is watched. */
export function toCheck(state: VisitState): Step | undefined {
  const { item, now, tried, listing, grantsError } = state;
  const watched = watchedOf(item);
  if (watched.length === 0) return undefined;
  if ((item.next_drift_check_at ?? '~') > iso(now) || isWorkPostponed(state)) return undefined;
  const machines = watched.some(({ parameters }) => parameters.end_machine_access);
  const list = toList(state, machines) ?? toListAgain(state);
  // Under the lease, so that a notification sees that a check is being made.
  if (list || !listing) return hasLease(state, state.stored) ? list : { do: 'save' };
  const step = nextDriftStep(item, listing, now, tried);
  if (step) return step;
  // Grants that are away for now are compared soon; those that the token may not read are not.
  const isAway = machines && grantsError?.is_transient && grantsError.code !== 'management_token_scope_missing';
  return isAway ? undefined : { do: 'checked' };
}

/** Another list, where a notification is about what may be newer, or where it was made too soon after a change and a newer one tells by now. */
function toListAgain({ item, listing, now }: VisitState): Step | undefined {
  if (!listing) return undefined;
  const isNotified = listing.checks !== (item.drift_checks_requested ?? 0);
  const isTooOld = (checkedSurelyFrom(item, listing) ?? now + 1) <= now;
  return isNotified || isTooOld ? { do: 'listConnections', organization_id: item.organization_id } : undefined;
}

/**
 * From when on a list shows what this one may be too old for, Unix ms: a change of ours, or what the last notification was about.
 * Undefined where it shows all.
 */
function checkedSurelyFrom(item: Organization, listing: Listing): number | undefined {
  const changes = item.ledger
    .filter((entry) => isTooNew(entry, listing))
    .map(({ changed }) => (changed?.at ?? 0) + LIST_IS_OLD_MS + 1);
  const notified = Date.parse(item.drift_check_requested_at ?? '') + NOTIFICATIONS_COUNT_AS_ONE_MS + LIST_IS_OLD_MS + 1;
  const all = listing.at < notified ? [...changes, notified] : changes;
  return all.length > 0 ? Math.max(...all) : undefined;
}

/** When the next drift check is due after one that has ended now. */
export function nextCheckAt({ item, now, input, tried, listing }: VisitState): string {
  const isOpen = item.ledger.some((entry) => tried.includes(keyOf(entry)) && entry.intent !== undefined);
  const sure = listing && checkedSurelyFrom(item, listing);
  if (sure !== undefined) return iso(sure);
  return iso(isOpen ? now + CHECK_AGAIN_MS : after(now, input.stage.watchInterval));
}
