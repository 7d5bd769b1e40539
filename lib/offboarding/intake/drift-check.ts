import { type Core, type EffectError, perform } from '../model/effects.ts';
import { iso } from '../model/stage.ts';
import { LIST_IS_OLD_MS } from '../rules/connections.ts';
import { NOTIFICATIONS_COUNT_AS_ONE_MS, watchedOf } from '../rules/drift.ts';
import { acceptedOf, isPending } from '../rules/requests.ts';
import { CLOCKS_APART_MS } from '../worker/lease.ts';
import { updateOrganization, type Writer } from './update.ts';

export interface CheckInput extends Writer {
  organization_id: string;
  /** The event's own time (ISO 8601), the connection that it is about, and who changed it, as far as it says. */
  time?: string | undefined;
  connection_id?: string | undefined;
  changed_by?: string | undefined;
}

/** So many changes that notifications named are kept until the next check. */
const MOST_CHANGES = 10;

/**
 * Has an organization compared with Auth0 soon, as a notification asks for. `nothing` where no offboarding of it is watched or will
 * be, or the last check shows what the event is about: its list may have been some seconds old, and the clocks apart. One that
 * arrives during a check leads to another one.
 */
export function* requestDriftCheck(
  input: CheckInput,
  now: number,
): Core<{ is: 'requested' | 'nothing' } | { is: 'unavailable'; error: EffectError }> {
  const { organization_id, time, connection_id, changed_by } = input;
  const updated = yield* updateOrganization<boolean>(organization_id, input, now, (item, at) => {
    const checkedAt = Date.parse(item.last_drift_check_at ?? '') - LIST_IS_OLD_MS - CLOCKS_APART_MS;
    const isOld = time !== undefined && Date.parse(time) <= checkedAt;
    // What is being worked on is watched afterwards.
    const isWatched = watchedOf(item).length > 0 || acceptedOf(item).some(isPending);
    if (!isWatched || isOld) return { value: false };
    const isDue = (item.next_drift_check_at ?? '~') <= iso(at);
    // Of a flood one is enough, unless a check is being made just now.
    const known = item.changed_by ?? [];
    const isKnown = !changed_by || known.some((one) => one.connection_id === connection_id && one.name === changed_by);
    const isJustRequested = Date.parse(item.drift_check_requested_at ?? '') > at - NOTIFICATIONS_COUNT_AS_ONE_MS;
    if (isDue && !item.lease && isKnown && isJustRequested) return { value: true };
    const named = [...known, ...(isKnown ? [] : [{ connection_id, name: changed_by, at: iso(at) }])];
    const who = { changed_by: named.slice(-MOST_CHANGES) };
    const next_drift_check_at = isDue ? item.next_drift_check_at : iso(at);
    const requested = {
      drift_checks_requested: (item.drift_checks_requested ?? 0) + 1,
      drift_check_requested_at: iso(at),
    };
    return { item: { ...item, ...who, ...requested, next_drift_check_at }, value: true };
  });
  if (updated.is !== 'done') return { is: 'unavailable', error: updated.error };
  if (!updated.value) return { is: 'nothing' };
  yield* perform({ do: 'sendDue', notices: [{ organization_id, priority: 'watch' }] });
  return { is: 'requested' };
}
