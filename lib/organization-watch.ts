import type { Association, Calls, ManagementApi } from './management-api.ts';
import { type OutcomePublisher, outcomeDetail } from './offboarding-outcome.ts';
import {
  type ConnectionRecord,
  hasEnded,
  isWatchOver,
  type Offboarding,
  type OffboardingQueries,
  type OffboardingRecords,
} from './offboarding-record.ts';
import { associationsLeft, settingsOf } from './organization-connections.ts';
import { asProblem } from './problem.ts';
import { isTransient, RetryLater } from './transient.ts';

const DAY_MS = 86_400_000;
/** Enabled again this often within a day, a connection is left as it is: somebody's tool is fighting. */
const FIGHTING = 3;
/** So long a look may take to disable one connection; cancelling waits for it, milliseconds. */
const DISABLING_MS = 12_000;
const FIGHT = {
  code: 'reenabled_repeatedly',
  message: 'Enabled again three times within a day; it is left as it is until somebody stops what enables it',
};

/**
 * The offboardings of an organization that are watched, newest first, of all its records, oldest first. A cancelling, or an
 * ended watch, means that the customer is back: what is older is over.
 */
export function watchedOf(all: Offboarding[]): Offboarding[] {
  const newestFirst = all.filter(({ dry_run, status }) => !dry_run && status !== 'superseded').reverse();
  const over = newestFirst.findIndex(({ status, watch }) => status === 'cancelled' || watch === 'ended');
  return newestFirst.slice(0, over < 0 ? undefined : over).filter(({ watch }) => watch === 'on');
}

/** Whether a look is disabling a connection of one of these offboardings right now: what would contradict it waits. */
export const isDisablingAgain = ({ disabling_until }: Offboarding) =>
  disabling_until !== undefined && Date.parse(disabling_until) > Date.now();

const isInMotion = ({ status }: Offboarding) => !hasEnded(status) && status !== 'scheduled';

interface Dependencies {
  records: OffboardingRecords & OffboardingQueries;
  managementApi: ManagementApi;
  outcomes: OutcomePublisher;
}

/**
 * Compares an organization with `all` its records: a connection that an offboarding disabled or removed, and that is enabled
 * now, is reported once each time, and disabled again where the request says so. `lookAt` is the time that the look was asked
 * for; one that was made since, or that nobody is to make any more, ends after one read of the table.
 * Throws what shall be tried again later; the look is then due at once.
 */
export async function lookAtOrganization(
  { records, managementApi, outcomes }: Dependencies,
  all: Offboarding[],
  lookAt: string,
  calls: Calls,
): Promise<void> {
  const watched = watchedOf(all);
  // What is being done right now decides, and is looked at when it is done.
  if (watched[0]?.look_at !== lookAt || all.some(isInMotion)) return;
  const { organization_id } = watched[0];
  const begun: Offboarding[] = [];
  // On record before Auth0 is asked: a hint that comes from here on asks for another look.
  for (const record of watched) {
    if (isWatchOver(record)) await records.endWatch(record);
    else begun.push(await records.looking(record));
  }
  try {
    const listed = await associationsLeft(managementApi, organization_id, calls);
    const enabled = new Map(listed.filter((one) => one.is_enabled === true).map((one) => [one.connection_id, one]));
    const decided = new Set<string>();
    for (const [index, record] of begun.entries()) {
      let current = record;
      for (const { connection_id } of record.connections) {
        // Of several offboardings of a connection the newest decides.
        if (decided.has(connection_id)) continue;
        decided.add(connection_id);
        current = await lookAtConnection(current, connection_id, enabled.get(connection_id));
        begun[index] = current;
      }
    }
  } catch (error) {
    if (begun[0]) await records.lookSoon(begun[0]).catch(() => undefined);
    throw error;
  }

  async function lookAtConnection(
    record: Offboarding,
    id: string,
    found: Association | undefined,
  ): Promise<Offboarding> {
    const connection = record.connections.find(({ connection_id }) => connection_id === id) as ConnectionRecord;
    const { outcome, disabled_by_offboarding, drifted_at, reenabled_at = [] } = connection;
    const endedByIt = disabled_by_offboarding || outcome === 'disabled' || outcome === 'removed';
    const wasDisabling = record.disabling_until !== undefined && drifted_at !== undefined;
    if (!endedByIt || (!found && !drifted_at) || (found && drifted_at && !wasDisabling)) return record;
    if (!found && !wasDisabling) return records.looked(record, changed(record, id, { drifted_at: undefined }));

    const now = new Date();
    const recent = reenabled_at.filter((time) => Date.parse(time) > now.getTime() - DAY_MS);
    const times = wasDisabling ? recent : [...recent, now.toISOString()].slice(-FIGHTING);
    const fighting = times.length >= FIGHTING;
    const again = record.on_reenable === 'disable_again' && !fighting;
    const drifted = { drifted_at: now.toISOString(), reenabled_at: times };
    const disabled = !found || (again && (await disableAgain()));
    await publish(disabled ? 'disabled' : 'unchanged');
    return records.looked(record, changed(record, id, disabled ? { ...drifted, drifted_at: undefined } : drifted));

    /** False when Auth0 refuses for good; what is gone by now has no access. */
    async function disableAgain(): Promise<boolean> {
      const until = new Date(Date.now() + DISABLING_MS);
      record = await records.disablingAgain(record, changed(record, id, drifted), until);
      // Whoever has cancelled or ended the watch before this was on record is seen here; whoever does it later waits.
      const still = watchedOf(await records.ofOrganization(organization_id));
      if (!still.some(({ offboarding_id }) => offboarding_id === record.offboarding_id)) {
        await records.looked(record, changed(record, id, connection));
        throw new RetryLater('The watch is over', 0);
      }
      try {
        await managementApi.disable(organization_id, id, {
          ...calls,
          deadline: Math.min(calls.deadline, until.getTime()),
        });
        return true;
      } catch (error) {
        const problem = asProblem(error);
        if (isTransient(problem)) throw problem;
        return problem.code === 'not_found';
      }
    }

    async function publish(what: 'disabled' | 'unchanged'): Promise<void> {
      const { name, strategy, before } = connection;
      const error = fighting ? FIGHT : null;
      const now = found && { now: settingsOf(found) };
      const told = { connection_id: id, name, strategy, outcome: what, before, error, ...now };
      await outcomes.publish('drifted', { ...outcomeDetail(record), connections: [told] }, calls.log);
      if (fighting)
        calls.log.metrics('reenabled_repeatedly', { ReenabledRepeatedly: [1, 'Count'] }, { connection_id: id });
    }
  }
}

const changed = ({ connections }: Offboarding, id: string, changes: Partial<ConnectionRecord>) =>
  connections.map((connection) => (connection.connection_id === id ? { ...connection, ...changes } : connection));
