// Two policies compared as IAM reads them: a list of one is its member, and neither has an order.

// biome-ignore lint/suspicious/noExplicitAny: a policy has no type
type Any = any;

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

/** `value` in one form of the several that mean the same. */
function canonical(value: Any): Any {
  if (Array.isArray(value) && value.length === 1) return canonical(value[0]);
  if (Array.isArray(value)) return value.map((member) => canonical(member)).sort(byText);
  // IAM writes an account as the ARN of its root.
  if (typeof value === 'string') return /^\d{12}$/.test(value) ? `arn:aws:iam::${value}:root` : value;
  if (!isObject(value)) return String(value);
  const members = Object.entries(value).map(([name, member]) => [conditionKey(name), canonical(member)]);
  return Object.fromEntries(members.sort(byText));
}
const byText = (a: unknown, b: unknown) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
/** Condition keys are the same in whatever case. */
const conditionKey = (name: string) => (name.includes(':') ? name.toLowerCase() : name);

/** The statements of a policy, each as text; a name (Sid) says nothing. Throws where the text is no JSON. */
function statementsOf(policy: unknown): string[] {
  const { Statement = [] } = typeof policy === 'string' ? JSON.parse(policy) : Object(policy);
  return [Statement].flat().map(({ Sid: _, ...statement }) => JSON.stringify(canonical(statement)));
}

export interface Differences {
  /** Statements that are there and not in the template, as text. */
  added: string[];
  /** Statements of the template that are not there. */
  lacking: string[];
}

/** How the policy that is there differs from the template's; both as JSON text or objects, undefined where there is none. */
export function policyDifferences(actual: unknown, wanted: unknown): Differences {
  const [there, meant] = [statementsOf(actual ?? {}), statementsOf(wanted ?? {})];
  return {
    added: there.filter((statement) => !meant.includes(statement)),
    lacking: meant.filter((statement) => !there.includes(statement)),
  };
}
