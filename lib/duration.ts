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
