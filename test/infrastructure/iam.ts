// What IAM would answer to a request: the part of its evaluation logic that our policies use (IAM user guide, "Policy evaluation
// logic", "IAM JSON policy elements: Condition operators"). What it does not know it refuses to guess.

type Many<T> = T | T[];
export interface Statement {
  Effect: 'Allow' | 'Deny';
  Principal?: unknown;
  Action: Many<string>;
  Resource: Many<string>;
  Condition?: Record<string, Record<string, Many<string>>>;
}
export interface Policy {
  Statement: Many<Statement>;
}
export interface Request {
  action: string;
  resource: string;
  /** Condition keys of the request; what is left out is not there. */
  context?: Record<string, Many<string>>;
}

const list = <T>(value: Many<T>): T[] => [value].flat() as T[];
/** `*` is any number of characters, slashes and colons among them, `?` is one. */
function like(value: string, pattern: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's').test(value);
}

const OPERATORS: Record<string, (actual: string, expected: string) => boolean> = {
  StringEquals: (actual, expected) => actual === expected,
  StringLike: like,
  ArnEquals: like,
  ArnLike: like,
  Bool: (actual, expected) => actual.toLowerCase() === expected.toLowerCase(),
};
const NEGATED: Record<string, string> = {
  StringNotEquals: 'StringEquals',
  StringNotLike: 'StringLike',
  ArnNotEquals: 'ArnEquals',
  ArnNotLike: 'ArnLike',
};

function conditionHolds(operator: string, actual: Many<string> | undefined, expected: string[]): boolean {
  if (operator === 'Null') return (actual === undefined) === (expected[0] === 'true');
  const [, set, name = '', ifExists] = /^(?:(ForAnyValue|ForAllValues):)?(\w+?)(IfExists)?$/.exec(operator) ?? [];
  const negated = NEGATED[name];
  const test = OPERATORS[negated ?? name];
  if (!test) throw new Error(`No such condition operator here: ${operator}`);
  const matches = (value: string) => expected.some((one) => test(value, one)) !== (negated !== undefined);
  if (set === 'ForAnyValue') return list(actual ?? []).some(matches);
  if (set === 'ForAllValues') return list(actual ?? []).every(matches);
  if (actual === undefined) return ifExists !== undefined || negated !== undefined;
  return list(actual).every(matches);
}

function applies(
  { Action, Resource, Condition = {} }: Statement,
  { action, resource, context = {} }: Request,
): boolean {
  return (
    list(Action).some((pattern) => like(action.toLowerCase(), pattern.toLowerCase())) &&
    list(Resource).some((pattern) => like(resource, pattern)) &&
    Object.entries(Condition).every(([operator, keys]) =>
      Object.entries(keys).every(([key, expected]) =>
        conditionHolds(operator, context[key], list(expected).map(String)),
      ),
    )
  );
}

type Verdict = 'allowed' | 'denied' | 'silent';
/** What `policies` together say of `request`; a denial goes before everything. */
function verdict(policies: Policy[], request: Request): Verdict {
  const effects = policies
    .flatMap(({ Statement }) => list(Statement))
    .filter((statement) => applies(statement, request))
    .map(({ Effect }) => Effect);
  if (effects.includes('Deny')) return 'denied';
  return effects.includes('Allow') ? 'allowed' : 'silent';
}

/**
 * Whether somebody of the resource's own account may do it: not denied by any policy, allowed by their own or by the resource's,
 * and by the boundary where there is one.
 */
export function may(
  request: Request,
  { own = [], boundary, resource = [] }: { own?: Policy[]; boundary?: Policy; resource?: Policy[] },
): boolean {
  const verdicts = [
    verdict(own, request),
    verdict(resource, request),
    boundary ? verdict([boundary], request) : 'allowed',
  ];
  return !verdicts.includes('denied') && verdicts.slice(0, 2).includes('allowed') && verdicts[2] === 'allowed';
}
