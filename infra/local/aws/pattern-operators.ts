// The leaves of event patterns: a value that a field must have, or an operator ("Comparison operators for use in event patterns",
// EventBridge user guide). What is none, or is none that is played here, is refused by name when the pattern is compiled.

export type Scalar = string | number | boolean | null;
/** Whether a value of the event fits; undefined stands for a field that the event does not have. */
export type Matcher = (value: Scalar | undefined) => boolean;

/** A pattern that EventBridge refuses, or that is not played here. */
export class PatternError extends Error {}

type Json = Record<string, unknown>;
export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const ofText =
  (fits: (text: string) => boolean): Matcher =>
  (value) =>
    typeof value === 'string' && fits(value);
const lower = (text: string) => text.toLowerCase();

function textOf(operator: string, operand: unknown): string {
  if (typeof operand !== 'string') throw new PatternError(`${operator} takes a string`);
  return operand;
}

/** `prefix` and `suffix`: a text, or one whose case does not matter. */
function atEnd(operator: 'prefix' | 'suffix', operand: unknown): Matcher {
  const method = operator === 'prefix' ? 'startsWith' : 'endsWith';
  if (!isObject(operand)) {
    const wanted = textOf(operator, operand);
    return ofText((text) => text[method](wanted));
  }
  const [name, inner] = onlyEntryOf(operand);
  if (name !== 'equals-ignore-case') throw new PatternError(`${operator} takes no ${name}`);
  const wanted = lower(textOf(name, inner));
  return ofText((text) => lower(text)[method](wanted));
}

function equalsIgnoreCase(operand: unknown): Matcher {
  const wanted = lower(textOf('equals-ignore-case', operand));
  return ofText((text) => lower(text) === wanted);
}

/** `*` stands for any characters; `\*` and `\\` for themselves. */
function wildcard(operand: unknown): Matcher {
  const parts = textOf('wildcard', operand).match(/\\?[\s\S]/g) ?? [];
  const source = parts.map((part, index) => {
    if (part === '*' && parts[index - 1] === '*') throw new PatternError('wildcard takes no two * in a row');
    if (part === '*') return '[\\s\\S]*';
    if (part.startsWith('\\') && part !== '\\*' && part !== '\\\\')
      throw new PatternError(`wildcard does not know the escape ${part}`);
    return (part.startsWith('\\') ? part.slice(1) : part).replace(/[\\^$.*+?()[\]{}|/]/, '\\$&');
  });
  const expression = new RegExp(`^${source.join('')}$`);
  return ofText((text) => expression.test(text));
}

/** `["=", n]`, or one bound, or a lower and then an upper one. */
function numeric(operand: unknown): Matcher {
  const list = Array.isArray(operand) ? operand : [];
  const [first, a, second, b, ...rest] = list;
  const isNumber = (value: unknown) => typeof value === 'number';
  const isRange = /^>=?$/.test(first) && /^<=?$/.test(second) && isNumber(b) && a < b;
  const isRight = isNumber(a) && (list.length === 2 ? /^([<>]=?|=)$/.test(first) : isRange);
  if (!isRight || rest.length > 0)
    throw new PatternError('numeric takes ["=", n], one bound, or a lower and then a higher upper bound');
  const holds = (value: number, operator: string, bound: number) =>
    (operator.includes('=') && value === bound) ||
    (operator.includes('<') && value < bound) ||
    (operator.includes('>') && value > bound);
  return (value) =>
    typeof value === 'number' && holds(value, first, a) && (second === undefined || holds(value, second, b));
}

/** Any value but these, or but those that an operator takes; the field must be there. */
function anythingBut(operand: unknown): Matcher {
  const values = isObject(operand) ? [] : [operand].flat();
  const isOneOf = (type: string) => values.length > 0 && values.every((value) => typeof value === type);
  if (!isObject(operand) && !isOneOf('string') && !isOneOf('number'))
    throw new PatternError('anything-but takes strings, or numbers, or an operator');
  const matchers = isObject(operand) ? innerMatchers(operand) : values.map(equalTo);
  return (value) => value !== undefined && !matchers.some((matcher) => matcher(value));
}

function innerMatchers(operand: Json): Matcher[] {
  const [name, inner] = onlyEntryOf(operand);
  const make = OPERATORS[name];
  if (!make || !['prefix', 'suffix', 'equals-ignore-case', 'wildcard'].includes(name))
    throw new PatternError(`anything-but takes no ${name}`);
  return [inner].flat().map((one) => {
    if (one === '' && name !== 'equals-ignore-case') throw new PatternError(`anything-but takes no empty ${name}`);
    return make(textOf(name, one));
  });
}

function exists(operand: unknown): Matcher {
  if (typeof operand !== 'boolean') throw new PatternError('exists takes true or false');
  return (value) => (value !== undefined) === operand;
}

const OPERATORS: Record<string, (operand: unknown) => Matcher> = {
  prefix: (operand) => atEnd('prefix', operand),
  suffix: (operand) => atEnd('suffix', operand),
  'equals-ignore-case': equalsIgnoreCase,
  'anything-but': anythingBut,
  wildcard,
  numeric,
  exists,
};
const NOT_PLAYED = ['cidr'];
/** Names that stand for operators, and so for no field beside `$or`. */
export const RESERVED = new Set([...Object.keys(OPERATORS), ...NOT_PLAYED]);

function onlyEntryOf(object: Json): [name: string, operand: unknown] {
  const [entry, ...more] = Object.entries(object);
  if (!entry || more.length > 0) throw new PatternError('an operator stands alone in its object');
  return entry;
}

function equalTo(wanted: unknown): Matcher {
  if (Array.isArray(wanted)) throw new PatternError('a list of values has no list in it');
  return (value) => value === wanted;
}

/** The matcher of one element of a pattern's list. Throws a `PatternError` that names what is wrong. */
export function compileLeaf(wanted: unknown): Matcher {
  if (!isObject(wanted)) return equalTo(wanted);
  const [name, operand] = onlyEntryOf(wanted);
  if (NOT_PLAYED.includes(name)) throw new PatternError(`The event pattern operator ${name} is not played here`);
  const make = OPERATORS[name];
  if (!make) throw new PatternError(`${name} is no event pattern operator`);
  return make(operand);
}
