import * as v from 'valibot';

/** `text` as JSON, whatever byte order mark it has; undefined when it is none. The parser's own message is never shown: it quotes its input. */
export function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse((text ?? '').replace(/^\uFEFF/, ''));
  } catch {
    return undefined;
  }
}

/** What is wrong with a value, member by member, in words and without quoting it; `whole` names the value itself. At most 500 characters. */
export function describeIssues(issues: v.BaseIssue<unknown>[], whole: string): string {
  const wrong = issues.slice(0, 5).map((issue) => `${v.getDotPath(issue) ?? whole}: ${inWords(issue)}`);
  return wrong.join('; ').slice(0, 500);
}

function inWords({ type, expected, received, message }: v.BaseIssue<unknown>): string {
  if (type === 'strict_object' && expected === 'never') return 'is not taken here';
  if (received === 'undefined') return 'is missing';
  // What a schema has no words of its own for.
  return message.startsWith('Invalid ') ? `must be ${String(expected).toLowerCase()}` : message;
}

/**
 * The value of a secret as its operator stored it: text or bytes (UTF-8, or UTF-16 as Windows writes it), JSON or JSON inside a
 * JSON string. Undefined when it is no JSON.
 */
export function parseSecret(secret: { SecretString?: string | undefined; SecretBinary?: Uint8Array | undefined }) {
  const bytes = Buffer.from(secret.SecretBinary ?? []);
  const encoding = bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf16le' : 'utf8';
  const value = parseJson(secret.SecretString ?? bytes.toString(encoding));
  return typeof value === 'string' ? parseJson(value) : value;
}

/** The claims of a JSON Web Token, unverified; undefined when it is none. */
export function claimsOf(token: string): Record<string, unknown> | undefined {
  const claims = parseJson(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
  return v.is(v.record(v.string(), v.unknown()), claims) ? claims : undefined;
}
