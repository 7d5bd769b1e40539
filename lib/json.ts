import * as v from 'valibot';

/** `text` as JSON, whatever byte order mark it has; undefined when it is none. The parser's own message is never shown: it quotes its input. */
export function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse((text ?? '').replace(/^\uFEFF/, ''));
  } catch {
    return undefined;
  }
}

/** A member that may be left out, null or something new without the job being the worse for it: undefined then. */
export const lenient = <S extends v.GenericSchema>(schema: S) => v.fallback(v.optional(schema), undefined);

/** `value` as `schema` reads it; undefined when it is something else. */
export const parseAs = <S extends v.GenericSchema>(schema: S, value: unknown): v.InferOutput<S> | undefined =>
  v.parse(lenient(schema), value);

/** `value` as `schema` reads it; throws `wrong` of what is wrong with it. `whole` names the value itself. */
export function parseOr<S extends v.GenericSchema>(schema: S, value: unknown, whole: string, wrong: Wrong) {
  const parsed = v.safeParse(schema, value);
  if (!parsed.success) throw wrong(describeIssues(parsed.issues, whole));
  return parsed.output;
}
/** Makes an error of what is wrong with a value. */
export type Wrong = (what: string) => Error;

/** What is wrong with a value, member by member, in words and without quoting it; `whole` names the value itself. At most 500 characters. */
export function describeIssues(issues: v.BaseIssue<unknown>[], whole: string): string {
  const wrong = issues.map((issue) => `${v.getDotPath(issue) ?? whole}: ${inWords(issue)}`);
  return wrong.slice(0, 5).join('; ').slice(0, 500);
}

function inWords({ type, expected, received, message }: v.BaseIssue<unknown>): string {
  if (type === 'strict_object' && expected === 'never') return 'is not taken here';
  if (received === 'undefined') return 'is missing';
  // What a schema has no words of its own for.
  return message.startsWith('Invalid ') ? `must be ${String(expected).toLowerCase()}` : message;
}

/** `items` in groups of `size`. */
export const chunksOf = <T>(items: T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));

/** Of `value` the members that `names` names, with blanks between them: a new member is not shown by itself. */
export function pick(value: object | undefined, names: string): Record<string, unknown> {
  const all = Object.entries(value ?? {});
  return Object.fromEntries(names.split(' ').flatMap((name) => all.filter(([known]) => known === name)));
}
