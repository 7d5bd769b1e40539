// Its other entry loads Intl's formats for text in UTC, which nobody reads here: 10 ms of a cold start.
import { UTCDateMini } from '@date-fns/utc/date/mini';
import { add } from 'date-fns';

const DURATION =
  /^P(?:(?<weeks>\d{1,4})W|(?=\d|T\d)(?:(?<years>\d{1,4})Y)?(?:(?<months>\d{1,4})M)?(?:(?<days>\d{1,4})D)?(?:T(?=\d)(?:(?<hours>\d{1,5})H)?(?:(?<minutes>\d{1,6})M)?(?:(?<seconds>\d{1,8})S)?)?)$/;

/** `from` plus an ISO 8601 duration, by the calendar in UTC: a month after the 31st is the next month's last day. Undefined when it is not one. */
export function addDuration(from: Date, duration: string): Date | undefined {
  const units = DURATION.exec(duration)?.groups;
  if (!units) return undefined;
  const numbers = Object.entries(units).map(([unit, number]) => [unit, Number(number ?? 0)]);
  return new Date(add(new UTCDateMini(from), Object.fromEntries(numbers)).getTime());
}

/** The stage's durations, by environment variable. */
const DEFAULTS = {
  DEFAULT_GRACE_PERIOD: 'P30D',
  MINIMUM_GRACE_PERIOD: 'P1D',
  REMOVAL_NOTICE: 'P3D',
  GIVE_UP_AFTER: 'P7D',
  WATCH_INTERVAL: 'P1D',
  WATCH_FOR: 'P400D',
};

/** `from` plus the stage's duration `name`; throws with its name when it is not one. */
export function addStageDuration(from: Date, name: keyof typeof DEFAULTS): Date {
  const end = addDuration(from, process.env[name] || DEFAULTS[name]);
  if (!end) throw new Error(`Environment variable ${name} is not an ISO 8601 duration`);
  return end;
}
