// Event patterns (EventBridge user guide, "Comparison operators for use in event patterns"), as far as the template has them.

type Json = Record<string, unknown>;
type Scalar = string | number | boolean | null;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whether `event` matches `pattern`. Throws on an operator that it does not know, rather than matching by chance. */
export function matches(pattern: Json, event: unknown): boolean {
  return Object.entries(pattern).every(([name, wanted]) => {
    const value = isObject(event) ? event[name] : undefined;
    return Array.isArray(wanted) ? wanted.some((one) => matchesLeaf(one, value)) : matches(wanted as Json, value);
  });
}

function matchesLeaf(wanted: unknown, found: unknown): boolean {
  // Only leaves are looked at, and of an array one element is enough.
  const values = (Array.isArray(found) ? found : [found]).filter((value) => value !== undefined && !isObject(value));
  if (!isObject(wanted)) return values.includes(wanted);
  const [[operator, operand] = []] = Object.entries(wanted);
  if (operator === 'exists') return values.length > 0 === operand;
  return values.some((value) => holds(operator, operand, value as Scalar));
}

function holds(operator: string | undefined, operand: unknown, value: Scalar): boolean {
  const name = String(value);
  if (operator === 'prefix') return typeof value === 'string' && name.startsWith(String(operand));
  if (operator === 'anything-but') {
    if (isObject(operand)) return Object.entries(operand).every(([inner, of]) => !holds(inner, of, value));
    return ![operand].flat().includes(value);
  }
  throw new Error(`The event pattern operator ${operator} is not played here`);
}
