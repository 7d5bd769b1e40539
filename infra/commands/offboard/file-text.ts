// The text of a file that somebody has saved with some editor or spreadsheet.
import { parseJson } from '../../../lib/json.ts';
import { Refusal } from './ending.ts';
import { plain, short } from './terminal.ts';

const MOST_BYTES = 50_000_000;
const ASK_FOR_UTF8 = 'save it as "CSV UTF-8"';

/** UTF-8 or UTF-16 by its mark, without the mark; nothing is replaced. Throws a `Refusal` for anything else. */
export function decode(bytes: Uint8Array): string {
  if (bytes.length > MOST_BYTES) throw new Refusal('The file is larger than 50 MB: it is no list of organizations.');
  const [a, b, c, d] = bytes;
  if (a === 0x50 && b === 0x4b && c === 3 && d === 4)
    throw new Refusal(`The file is a workbook or an archive, no CSV: ${ASK_FOR_UTF8}.`);
  const encoding = a === 0xff && b === 0xfe ? 'utf-16le' : a === 0xfe && b === 0xff ? 'utf-16be' : 'utf-8';
  let text: string;
  try {
    text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    throw new Refusal(`The file is not ${encoding.toUpperCase()}: ${ASK_FOR_UTF8}.`);
  }
  if (text.includes('\0'))
    throw new Refusal(`The file has NUL characters (UTF-16 without its mark?): ${ASK_FOR_UTF8}.`);
  return text;
}

const INVISIBLE = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Z}\u115f\u1160\u3164\uffa0]/u;

/** Text in quotes, with the code point of the first character that cannot be seen in it: `"org_a b" (with the invisible U+200B)`. */
export function shownValue(text: string): string {
  const hidden = INVISIBLE.exec(text.replaceAll(' ', ''))?.[0];
  const point = hidden?.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0');
  return `"${short(text, 60)}"${point ? ` (with the invisible character U+${point})` : ''}`;
}

/** Throws a `Refusal` where the text is JSON: what to do depends on what it is. */
export function refuseJson(text: string): void {
  if (!/^\s*[[{]/.test(text)) return;
  const json = parseJson(text);
  if (json === undefined) return;
  const format = String(Object(json).format ?? '');
  if (format.startsWith('org-connections plan'))
    throw new Refusal(`The file is JSON, a plan that was made before: "apply" does what it says (${plain(format)}).`);
  const [first] = Array.isArray(json) ? json : [];
  const path = typeof first === 'string' ? '.[]' : '.[].organization_id';
  throw new Refusal(
    `The file is JSON: "plan" reads CSV, or one id a line. For a list of organizations: jq -r '${path}' FILE > list.txt.`,
  );
}
