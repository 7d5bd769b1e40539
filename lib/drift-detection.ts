import { addStageDuration } from './duration.ts';
import type { Association, Calls } from './management-api.ts';
import { outcomeDetail, publishOutcome } from './offboarding-outcome.ts';
import type { ConnectionRecord, Offboarding } from './offboarding-record.ts';
import * as records from './offboarding-record.ts';
import { associationsLeft, callAuth0, settingsOf } from './organization-connections.ts';
import { Problem, RetryLater } from './problem.ts';

const DAY_MS = 86_400_000;
/** Enabled again this often within a day, a connection is left as it is: somebody's tool is fighting. */
const FIGHTING = 3;
/** So long a check may take to disable one connection; cancelling waits for it, milliseconds. */
const DISABLING_MS = 12_000;
const FIGHT = {
  code: 'reenabled_repeatedly',
  message: 'Enabled again three times within a day; it is left as it is until somebody stops what enables it',
};

const isInMotion = (record: Offboarding) => !records.hasEnded(record) && record.status !== 'scheduled';
const isWatchOver = ({ ended_at }: Offboarding) =>
  ended_at !== undefined && addStageDuration(new Date(ended_at), 'WATCH_FOR').getTime() < Date.now();

/**
 * Compares an organization with its records: a connection that an offboarding disabled or removed, and that is enabled now, is
 * reported once each time, and disabled again where the request says so. `check_at` is the time that the check was asked for; one
 * that was made since, or that nobody is to make any more, ends after one read of the table.
 * Throws what shall be tried again later; the check is then due at once.
 */
export async function checkForDrift(asked: { organization_id: string; check_at: string }, calls: Calls) {
  const all = await records.recordsOf(asked.organization_id);
  const watched = records.watchedOf(all);
  // What is being done right now decides, and is checked when it is done.
  if (watched[0]?.check_at !== asked.check_at || all.some(isInMotion)) return;
  const begun: Offboarding[] = [];
  // On record before Auth0 is asked: a hint that comes from here on asks for another check.
  for (const record of watched) {
    if (isWatchOver(record)) await records.endWatch(record);
    else begun.push(await records.startCheck(record));
  }
  try {
    const listed = await associationsLeft(asked.organization_id, calls);
    const enabled = new Map(listed.filter((one) => one.is_enabled === true).map((one) => [one.connection_id, one]));
    const decided = new Set<string>();
    for (const [index, record] of begun.entries()) {
      // Of several offboardings of a connection the newest decides.
      for (const { connection_id } of record.connections.filter((one) => !decided.has(one.connection_id))) {
        decided.add(connection_id);
        const current = begun[index] as Offboarding;
        begun[index] = await checkConnection(current, connection_id, enabled.get(connection_id), calls);
      }
    }
  } catch (error) {
    if (begun[0]) await records.checkSoon(begun[0]).catch(() => undefined);
    throw error;
  }
}

/** What one connection is now, `enabled` or not, against its record; returns the record as it is afterwards. */
async function checkConnection(record: Offboarding, id: string, enabled: Association | undefined, calls: Calls) {
  const connection = record.connections.find(({ connection_id }) => connection_id === id) as ConnectionRecord;
  const { outcome, disabled_by_offboarding, drifted_at, reenabled_at = [] } = connection;
  const endedByIt = disabled_by_offboarding || outcome === 'disabled' || outcome === 'removed';
  // An earlier check was cut off while it disabled this one: it may be disabled by now, and that is not published.
  const cutOff = record.disabling_until !== undefined && drifted_at !== undefined;
  const isNews = cutOff || (enabled ? !drifted_at : drifted_at !== undefined);
  if (!endedByIt || !isNews) return record;
  if (!enabled && !cutOff)
    return records.finishCheck(record, changed(record, { ...connection, drifted_at: undefined }));

  const now = new Date();
  const recent = reenabled_at.filter((time) => Date.parse(time) > now.getTime() - DAY_MS);
  const times = cutOff ? recent : [...recent, now.toISOString()].slice(-FIGHTING);
  const fighting = times.length >= FIGHTING;
  const drifted = { ...connection, drifted_at: now.toISOString(), reenabled_at: times };
  let current = record;
  let disabled = !enabled;
  if (enabled && record.on_reenable === 'disable_again' && !fighting) {
    current = await startDisabling(record, connection, drifted);
    const deadline = Math.min(calls.deadline, Date.parse(current.disabling_until ?? ''));
    const result = await callAuth0(current, 'disabled', id, { ...calls, deadline });
    if (result instanceof Problem) throw result;
    // What is gone by now has no access; only what Auth0 refuses for good stays as it is.
    disabled = result.outcome !== 'failed';
  }
  const { name, strategy, before } = connection;
  const drift = { connection_id: id, name, strategy, outcome: disabled ? 'disabled' : 'unchanged', before };
  const detail = { ...drift, error: fighting ? FIGHT : null, ...(enabled && { now: settingsOf(enabled) }) };
  await publishOutcome('drifted', outcomeDetail(current, [detail]), calls.log);
  if (fighting) calls.log.metrics('reenabled_repeatedly', { ReenabledRepeatedly: 1 }, { connection_id: id });
  return records.finishCheck(current, changed(current, disabled ? { ...drifted, drifted_at: undefined } : drifted));
}

/** Puts on record that a connection is about to be disabled; throws when the watch is over. */
async function startDisabling(record: Offboarding, before: ConnectionRecord, drifted: ConnectionRecord) {
  const current = await records.disablingAgain(record, changed(record, drifted), new Date(Date.now() + DISABLING_MS));
  // Whoever has cancelled or ended the watch before this was on record is seen here; whoever does it later waits.
  const watched = records.watchedOf(await records.recordsOf(record.organization_id));
  if (watched.some(({ offboarding_id }) => offboarding_id === record.offboarding_id)) return current;
  await records.finishCheck(current, changed(current, before));
  throw new RetryLater('The watch is over', 0);
}

const changed = ({ connections }: Offboarding, changed: ConnectionRecord) =>
  connections.map((connection) => (connection.connection_id === changed.connection_id ? changed : connection));
