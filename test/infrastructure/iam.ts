// What IAM would answer to a request: the part of its evaluation logic that our policies use (IAM user guide, "Policy evaluation
// logic", "Condition operators", "Multivalued context keys", "AWS global condition context keys"). It refuses to guess what it does
// not know.

type Many<T> = T | T[];
export interface Statement {
  Effect: 'Allow' | 'Deny';
  Principal?: '*' | Record<string, Many<string>>;
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
  /** Who asks: an ARN of IAM, or the name of an AWS service that acts by itself. Left out, any principal of the resource's account. */
  principal?: string;
  /** Condition keys of the request. A key that is left out is missing in the request, too. */
  context?: Record<string, Many<string>>;
}

const list = <T>(value: Many<T>): T[] => (Array.isArray(value) ? value : [value]);
/** Few patterns are asked about many values. */
const compiled = new Map<string, RegExp>();
/** `*` is any number of characters, slashes and colons among them, `?` is one. */
function like(value: string, pattern: string): boolean {
  const known = compiled.get(pattern);
  if (known) return known.test(value);
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  compiled.set(pattern, new RegExp(`^${source}$`, 's'));
  return like(value, pattern);
}
/** Each of an ARN's six parts by itself. */
function likeArn(value: string, pattern: string): boolean {
  const parts = (arn: string) => [...arn.split(':').slice(0, 5), arn.split(':').slice(5).join(':')];
  const [found, wanted] = [parts(value), parts(pattern)];
  return wanted.every((part, index) => like(found[index] ?? '', part));
}

const OPERATORS: Record<string, (actual: string, expected: string) => boolean> = {
  StringEquals: (actual, expected) => actual === expected,
  StringLike: like,
  ArnEquals: likeArn,
  ArnLike: likeArn,
  Bool: (actual, expected) => actual.toLowerCase() === expected.toLowerCase(),
};
const NEGATED: Record<string, string> = {
  StringNotEquals: 'StringEquals',
  StringNotLike: 'StringLike',
  ArnNotEquals: 'ArnEquals',
  ArnNotLike: 'ArnLike',
};

function conditionHolds(operator: string, found: Many<string> | undefined, expected: string[]): boolean {
  // A key without a value is missing.
  const actual = found?.length === 0 ? undefined : found;
  if (expected.length === 0) throw new Error(`${operator} without a value: nobody knows what that is`);
  if (operator === 'Null') return (actual === undefined) === (expected[0] === 'true');
  const [, set, name = '', ifExists] = /^(?:(ForAnyValue|ForAllValues):)?(\w+?)(IfExists)?$/.exec(operator) ?? [];
  const negated = NEGATED[name];
  const test = OPERATORS[negated ?? name];
  if (!test) throw new Error(`No such condition operator here: ${operator}`);
  const matches = (value: string) => expected.some((one) => test(value, one)) !== (negated !== undefined);
  // Of a missing key "for any value" is false and "for all values" is true.
  if (set === 'ForAnyValue') return list(actual ?? []).some(matches);
  if (set === 'ForAllValues') return list(actual ?? []).every(matches);
  // A missing key matches a negated operator, and no other.
  if (actual === undefined) return ifExists !== undefined || negated !== undefined;
  return list(actual).every(matches);
}

const isService = (principal: string) => principal.endsWith('.amazonaws.com');
const accountIn = (arn: string) => arn.split(':')[4] ?? '';
/** The keys that AWS adds: a service that acts by itself has no ARN, and an anonymous request has none of them. */
function contextOf({ principal, context }: Request): Record<string, Many<string>> {
  if (principal === undefined) return { ...context };
  if (isService(principal)) return { 'aws:PrincipalIsAWSService': 'true', ...context };
  return { 'aws:PrincipalIsAWSService': 'false', 'aws:PrincipalArn': principal, ...context };
}

/** How a statement names who asks: not at all, by account (which leaves it to the account's own policies), or in person. */
function namedAs({ Principal }: Statement, { principal }: Request): 'nobody' | 'account' | 'person' {
  if (Principal === undefined || Principal === '*' || principal === undefined) return 'person';
  if (isService(principal)) return list(Principal.Service ?? []).includes(principal) ? 'person' : 'nobody';
  const named = list(Principal.AWS ?? []);
  if (named.includes('*') || named.includes(principal)) return 'person';
  const account = accountIn(principal);
  return named.some((one) => one === account || one.endsWith(`:iam::${account}:root`)) ? 'account' : 'nobody';
}

/** The statements of a policy that name an action: the same few actions are looked up for each resource. */
const naming = new WeakMap<Policy, Map<string, Statement[]>>();
function statementsOf(policy: Policy, action: string): Statement[] {
  const known = naming.get(policy) ?? new Map<string, Statement[]>();
  naming.set(policy, known);
  const names = ({ Action }: Statement) =>
    list(Action).some((pattern) => like(action.toLowerCase(), pattern.toLowerCase()));
  const statements = known.get(action) ?? list(policy.Statement).filter(names);
  known.set(action, statements);
  return statements;
}

function applies(statement: Statement, request: Request): boolean {
  const { Resource, Condition = {} } = statement;
  const context = contextOf(request);
  return (
    list(Resource).some((pattern) => like(request.resource, pattern)) &&
    namedAs(statement, request) !== 'nobody' &&
    Object.entries(Condition).every(([operator, keys]) =>
      Object.entries(keys).every(([key, expected]) =>
        conditionHolds(operator, context[key], list(expected).map(String)),
      ),
    )
  );
}

const applying = (policies: Policy[], request: Request) =>
  policies.flatMap((policy) => statementsOf(policy, request.action).filter((statement) => applies(statement, request)));

/**
 * Whether IAM allows it: no policy denies it, the boundary, where there is one, allows it, and the caller's own policy or the
 * resource's does; both, where the caller is of another account.
 */
export function may(
  request: Request,
  { own = [], boundary, resource = [] }: { own?: Policy[]; boundary?: Policy; resource?: Policy[] },
): boolean {
  const [mine, theirs] = [applying(own, request), applying(resource, request)];
  if ([...mine, ...theirs].some(({ Effect }) => Effect === 'Deny')) return false;
  const isWithin = !boundary || applying([boundary], request).some(({ Effect }) => Effect === 'Allow');
  const allows = ({ Effect }: Statement) => Effect === 'Allow';
  const { principal = '' } = request;
  const isGuest = principal.startsWith('arn:') && accountIn(principal) !== accountIn(request.resource);
  if (isGuest) return isWithin && mine.some(allows) && theirs.some(allows);
  const inPerson = theirs.filter((statement) => namedAs(statement, request) === 'person');
  return isWithin && (mine.some(allows) || inPerson.some(allows));
}
