import type { Core } from '../model/effects.ts';
import { perform } from '../model/effects.ts';
import { iso } from '../model/stage.ts';
import { watchedOf } from '../rules/drift.ts';
import { updateOrganization, type Writer } from './update.ts';

export interface CheckInput extends Writer {
  organization_id: string;
  /** The event's own time (ISO 8601), the connection that it is about, and who changed it, as far as it says. */
  time?: string | undefined;
  connection_id?: string | undefined;
  changed_by?: string | undefined;
}

/**
 * Has an organization compared with Auth0 soon, as a notification asks for. False where no offboarding of it is watched, or the
 * last check is newer than the event. One that arrives during a check leads to another one.
 */
export function* requestDriftCheck(input: CheckInput, now: number): Core<boolean> {
  const { organization_id, time, connection_id, changed_by } = input;
  const updated = yield* updateOrganization<boolean>(organization_id, input, now, (item, at) => {
    const isOld = time !== undefined && Date.parse(time) <= Date.parse(item.last_drift_check_at ?? '');
    if (watchedOf(item).length === 0 || isOld) return { value: false };
    const isDue = (item.next_drift_check_at ?? '~') <= iso(at);
    // Of a flood one is enough, unless a check is being made just now.
    if (isDue && !item.lease && item.changed_by?.name === changed_by) return { value: true };
    const who = changed_by ? { changed_by: { connection_id, name: changed_by, at: iso(at) } } : {};
    const next_drift_check_at = isDue ? item.next_drift_check_at : iso(at);
    return {
      item: { ...item, ...who, next_drift_check_at, drift_checks_requested: (item.drift_checks_requested ?? 0) + 1 },
      value: true,
    };
  });
  const isRequested = updated.is === 'done' && updated.value;
  if (isRequested) yield* perform<'sendDue'>({ do: 'sendDue', notices: [{ organization_id, priority: 'watch' }] });
  return isRequested;
}
