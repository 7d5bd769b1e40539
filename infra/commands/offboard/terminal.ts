// Text for the terminal. Everything that the command shows goes through `print` or `printError`.

const UNSAFE = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\u2028\u2029]/gu;

/** Text from elsewhere in one line, without control or formatting characters. */
export const plain = (text: unknown) => String(text).replace(UNSAFE, ' ');

/** The same, no longer than `most` characters. */
export function short(text: unknown, most: number): string {
  const characters = [...plain(text).trim()];
  return characters.length > most ? `${characters.slice(0, most - 1).join('')}…` : characters.join('');
}

/** Lines that a terminal can show: only line ends remain of the control characters. */
export const printable = (text: string) => text.split('\n').map(plain).join('\n');

/** Writes a line (or several) to standard output. */
export const print = (line = '') => process.stdout.write(`${printable(line)}\n`);

/** Writes a line (or several) to standard error. */
export const printError = (line: string) => process.stderr.write(`${printable(line)}\n`);

/** Writes JSON in which every character that is unsafe in a terminal is escaped. */
export function printJson(value: unknown): void {
  const escaped = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  const safe = JSON.stringify(value, null, 2).replace(UNSAFE, (one) =>
    one === '\n' ? one : one.split('').map(escaped).join(''),
  );
  process.stdout.write(`${safe}\n`);
}

/** A word for a POSIX shell, whatever is in it. */
export const quoted = (word: string) =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${plain(word).replaceAll("'", `'\\''`)}'`;

const DATE = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeZone: 'UTC' });
const TIME = new Intl.DateTimeFormat('en-GB', { timeStyle: 'short', timeZone: 'UTC' });
const CLOCK = new Intl.DateTimeFormat('en-GB', { timeStyle: 'short' });

/** "25 December 2026"; with the time where that matters, within two days. */
export function dateOf(time: string | null | undefined): string {
  const date = new Date(time ?? '');
  if (Number.isNaN(date.getTime())) return plain(time ?? 'an unknown date');
  const isNear = Math.abs(date.getTime() - Date.now()) < 2 * 86_400_000;
  return isNear ? `${DATE.format(date)}, ${TIME.format(date)} UTC` : DATE.format(date);
}

/** "25 December 2026", without the time. */
export const dayOf = (time: string) => dateOf(time).replace(/,.*/, '');

/** "10:20", by the operator's clock. */
export const clockOf = (time: string) => {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? plain(time) : CLOCK.format(date);
};

/** "2 min 5 s"; `ms` are milliseconds. */
export function lengthOf(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** "1 organization", "1,204 organizations". */
export const many = (count: number, word: string) =>
  `${count.toLocaleString('en')} ${word}${count === 1 ? '' : word.endsWith('ch') ? 'es' : 's'}`;

/** How often each value is there: "3 removed, 1 failed". */
export const tally = (values: string[]) =>
  [...Map.groupBy(values, (value) => value)].map(([value, all]) => `${all.length} ${plain(value)}`).join(', ');

/** The message of anything that was thrown, without its full stop. */
export function reasonOf(error: unknown): string {
  const { message, cause, errors } = Object(error) as { message?: string; cause?: unknown; errors?: unknown[] };
  if (cause) return reasonOf(cause);
  const code = Object(errors?.[0] ?? error).code;
  return plain(message || code || 'unknown reason').replace(/\.$/, '');
}
