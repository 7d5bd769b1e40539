// What the terminal shows, and what it asks.
import { Refusal } from './ending.ts';

/** Text from elsewhere, fit for a terminal: no escape, no control or formatting character, no line of its own. */
export const plain = (text: unknown) => String(text).replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cn}\u2028\u2029]/gu, ' ');

/** The same, no longer than `most` characters. */
export function short(text: unknown, most: number): string {
  const characters = [...plain(text).trim()];
  return characters.length > most ? `${characters.slice(0, most - 1).join('')}…` : characters.join('');
}

/** A word for a shell, whatever is in it. */
export const quoted = (word: string) =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${plain(word).replaceAll("'", `'\\''`)}'`;

const DATE = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeZone: 'UTC' });
const TIME = new Intl.DateTimeFormat('en-GB', { timeStyle: 'short', timeZone: 'UTC' });
const CLOCK = new Intl.DateTimeFormat('en-GB', { timeStyle: 'short' });

/** "25 December 2026"; with the time where that matters, within two days. */
export function dateOf(time: string | undefined): string {
  const date = new Date(time ?? '');
  if (Number.isNaN(date.getTime())) return plain(time ?? 'an unknown date');
  const isNear = Math.abs(date.getTime() - Date.now()) < 2 * 86_400_000;
  return isNear ? `${DATE.format(date)}, ${TIME.format(date)} UTC` : DATE.format(date);
}

/** "10:20", as the operator's clock has it. */
export const clockOf = (time: string) => CLOCK.format(new Date(time));

/** "2 min 5 s". */
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
  [...Map.groupBy(values, (value) => value)].map(([value, all]) => `${all.length} ${value}`).join(', ');

/** The message of anything that was thrown, without its full stop. */
export function reasonOf(error: unknown): string {
  const { message, cause, errors } = Object(error) as { message?: string; cause?: unknown; errors?: unknown[] };
  if (cause) return reasonOf(cause);
  const code = Object(errors?.[0] ?? error).code;
  return plain(message || code || 'unknown reason').replace(/\.$/, '');
}

/** Goes on when `answer` is typed; anything else is a no. Where nobody can be asked, `--yes` is needed. */
export async function ask(question: string, answer: string, yes: boolean | undefined): Promise<void> {
  if (yes) return;
  if (!process.stdin.isTTY || !process.stdout.isTTY)
    throw new Refusal(
      `Nobody can be asked here: --yes is needed. Nothing was started. (With npm, options come after "--".)`,
    );
  console.log(question);
  const { default: input } = await import('@inquirer/input');
  const given = await input({ message: `Type ${answer} to go on:` });
  if (given.trim() !== answer) throw new Refusal(`That was not "${answer}". Nothing was started.`);
}
