import * as v from 'valibot';

/** `text` as JSON; undefined when it is none. The parser's own message is never shown: it quotes a piece of its input. */
export function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}

/** What is wrong with a value, member by member, without quoting it; `whole` names the value itself. At most 500 characters. */
export function describeIssues(issues: v.BaseIssue<unknown>[], whole: string): string {
  const wrong = issues.slice(0, 5).map((issue) => `${v.getDotPath(issue) ?? whole}: ${issue.message}`);
  return wrong.join('; ').slice(0, 500);
}
