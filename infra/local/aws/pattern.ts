// Event patterns ("Creating EventBridge event patterns", user guide), as EventBridge's own matcher decides them: a pattern names
// fields by their paths, and of lists of objects all fields must be of the same object. test/local/event-patterns holds it.
import { compileLeaf, isObject, type Matcher, PatternError, RESERVED, type Scalar } from './pattern-operators.ts';

export { PatternError } from './pattern-operators.ts';

type Json = Record<string, unknown>;

/** What one alternative of a pattern asks for: a path and what its value may be. `$or` makes several alternatives. */
type Alternative = Map<string, Matcher[]>;

/** A value of the event, and its place in each list that it is in. */
interface Field {
  path: string;
  value: Scalar;
  places: Map<object, number>;
}

const under = (path: string, name: string) => (path === '' ? name : `${path}.${name}`);

/** `$or` is a list of at least two objects that name fields; anything else of that name is a field. */
const isOr = (name: string, value: unknown): value is Json[] =>
  name === '$or' &&
  Array.isArray(value) &&
  value.length > 1 &&
  value.every(
    (one) => isObject(one) && Object.keys(one).length > 0 && !Object.keys(one).some((key) => RESERVED.has(key)),
  );

/** Adds what `pattern` asks for to each of `before`. Of one path that is named twice, the later one counts. */
function alternativesOf(pattern: Json, path: string, before: Alternative[]): Alternative[] {
  const entries = Object.entries(pattern);
  if (entries.length === 0) throw new PatternError('An event pattern has no empty object');
  let found = before;
  for (const [name, value] of entries) {
    const inner = under(path, name);
    if (isOr(name, value)) found = value.flatMap((option) => alternativesOf(option, path, copyOf(found)));
    else if (Array.isArray(value)) {
      if (value.length === 0) throw new PatternError(`The list of ${inner} is empty`);
      const matchers = value.map(compileLeaf);
      for (const alternative of found) alternative.set(inner, matchers);
    } else if (isObject(value)) found = alternativesOf(value, inner, found);
    else throw new PatternError(`${inner} must be an object or a list`);
  }
  return found;
}
const copyOf = (alternatives: Alternative[]) => alternatives.map((one) => new Map(one));

/** All values of the event that are neither objects nor lists. */
function fieldsOf(value: unknown, path: string, places: Map<object, number>): Field[] {
  if (Array.isArray(value))
    return value.flatMap((one, index) => fieldsOf(one, path, new Map([...places, [value, index]])));
  if (isObject(value))
    return Object.entries(value).flatMap(([name, inner]) => fieldsOf(inner, under(path, name), places));
  return [{ path, value: value as Scalar, places }];
}

/** Whether fields can be found for all that is wanted, each in the same objects of lists as those before it. */
function fits(wanted: [path: string, matchers: Matcher[]][], fields: Field[], places: Map<object, number>): boolean {
  const [[path, matchers] = [], ...rest] = wanted;
  if (path === undefined || matchers === undefined) return true;
  const found = fields.filter((field) => field.path === path);
  if (found.length === 0) return matchers.some((matcher) => matcher(undefined)) && fits(rest, fields, places);
  return found.some(
    (field) =>
      matchers.some((matcher) => matcher(field.value)) &&
      [...field.places].every(([list, index]) => (places.get(list) ?? index) === index) &&
      fits(rest, fields, new Map([...places, ...field.places])),
  );
}

/** Whether an event matches the pattern. Throws a `PatternError` where EventBridge refuses the pattern, or it is not played. */
export function compilePattern(pattern: unknown): (event: object) => boolean {
  if (!isObject(pattern)) throw new PatternError('An event pattern is an object');
  const alternatives = alternativesOf(pattern, '', [new Map()]).map((one) => [...one]);
  return (event) => {
    const fields = fieldsOf(event, '', new Map());
    return alternatives.some((wanted) => fits(wanted, fields, new Map()));
  };
}
