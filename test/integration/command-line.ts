// The AWS CLI's and the Auth0 CLI's words as calls, as far as the pages have them: neither comes with npm.
import { readFileSync } from 'node:fs';

const TARGETS: Record<string, string> = { sqs: 'AmazonSQS', secretsmanager: 'secretsmanager', events: 'AWSEvents' };
type Environment = Record<string, string>;

/** `--queue-url x --visibility-timeout 0` by their names; `--enabled` and `--no-enabled` have no value. */
function optionsIn(rest: string[]): Record<string, string> {
  const options: Record<string, string> = {};
  for (let at = 0; at < rest.length; at += 2) {
    const name = rest[at] ?? '';
    const [, no] = /^--(no-)?enabled$/.exec(name) ?? [];
    if (name.endsWith('enabled')) {
      options.enabled = String(no === undefined);
      at--;
      continue;
    }
    if (!name.startsWith('--') || rest[at + 1] === undefined)
      throw new Error(`No value, or none that is meant: ${name}`);
    options[name.slice(2)] = rest[at + 1] ?? '';
  }
  return options;
}

const pascal = (word: string) => word.replace(/(^|-)(\w)/g, (_, __, letter: string) => letter.toUpperCase());
/** "A=x,B=y", as the CLI's shorthand has it. */
const shorthand = (text: string) => Object.fromEntries(text.split(',').map((part) => part.split(/=(.*)/s).slice(0, 2)));

function inputOf(name: string, text: string): unknown {
  if (text.startsWith('file://')) return readFileSync(text.slice(7), 'utf8');
  if (['entries', 'attributes'].includes(name)) return JSON.parse(text);
  if (name === 'targets') return [shorthand(text)];
  if (name === 'message-attribute-names') return [text];
  if (['visibility-timeout', 'max-number-of-messages'].includes(name)) return Number(text);
  if (name.endsWith('-time')) return Date.parse(text) / 1000;
  if (name !== 'destination') return text;
  const { Arn, FilterArns } = shorthand(text);
  return { Arn, FilterArns: [FilterArns] };
}

/** JMESPath: a member, one of a list's first, or a member of those of a list that have something in a list of their own. */
function queried(answer: Record<string, unknown>, query: string): unknown {
  if (/^\w+$/.test(query)) return answer[query];
  const [, first, name] = /^(\w+)\[0\]\.(\w+)$/.exec(query) ?? [];
  if (first && name) return Object((answer[first] as unknown[] | undefined)?.[0])[name];
  const [, list, inside, value, member] = /^(\w+)\[\?contains\((\w+),'(\w+)'\)\]\.(\w+)$/.exec(query) ?? [];
  if (!list || !inside || !member) throw new Error(`Not played: ${query}`);
  const found = (answer[list] as Record<string, string[]>[]).filter((one) => one[inside]?.includes(value ?? ''));
  return found.map((one) => one[member]).join('\t');
}

/** Lambda's operations, which go by method and path. */
async function lambda(
  endpoint: string,
  operation: string,
  options: Record<string, string>,
): Promise<Record<string, unknown>> {
  const { 'function-name': functionName = '', uuid = '', enabled, 'recursive-loop': RecursiveLoop } = options;
  const mappings = '/2015-03-31/event-source-mappings';
  const calls: Record<string, [method: string, path: string, body?: object]> = {
    'list-event-source-mappings': ['GET', `${mappings}/?FunctionName=${functionName}`],
    'update-event-source-mapping': ['PUT', `${mappings}/${uuid}`, { Enabled: enabled === 'true' }],
    'put-function-recursion-config': [
      'PUT',
      `/2024-08-31/functions/${functionName}/recursion-config`,
      { RecursiveLoop },
    ],
  };
  const [method, path, body] = calls[operation] ?? [];
  if (!method) throw new Error(`aws lambda ${operation} is not played`);
  const response = await fetch(endpoint + path, { method, ...(body && { body: JSON.stringify(body) }) });
  const answer = (await response.json()) as Record<string, unknown>;
  if (!response.ok) throw new Error(String(answer.message));
  return answer;
}

/** What `aws` prints for its words. Throws what it says where it fails. */
export async function aws(words: string[], { AWS_ENDPOINT_URL = '' }: Environment): Promise<string> {
  const [service = '', operation = '', ...rest] = words;
  const { query, output: _, ...options } = optionsIn(rest);
  const show = (answer: Record<string, unknown>) => (query ? String(queried(answer, query)) : JSON.stringify(answer));
  if (service === 'lambda') return show(await lambda(AWS_ENDPOINT_URL, operation, options));
  const target = TARGETS[service];
  if (!target) throw new Error(`aws ${service} is not played`);
  const input = Object.entries(options).map(([name, text]) => [pascal(name), inputOf(name, text)]);
  const response = await fetch(AWS_ENDPOINT_URL, {
    method: 'POST',
    headers: { 'x-amz-target': `${target}.${pascal(operation)}` },
    body: JSON.stringify(Object.fromEntries(input)),
  });
  const answer = (await response.json()) as Record<string, unknown>;
  if (!response.ok) throw new Error(`An error occurred when calling ${pascal(operation)}: ${answer.message}`);
  return show(answer);
}

/** What `auth0` prints for its words. Throws what it says where it fails. */
export async function auth0(words: string[], { TENANT, AUTH0_TOKEN }: Environment): Promise<string> {
  const [first, method = '', path, ...rest] = words;
  if (first !== 'api') throw new Error(`auth0 ${first} is not played`);
  const { data } = optionsIn(rest);
  const response = await fetch(`${TENANT}/api/v2/${path}`, {
    method: method.toUpperCase(),
    headers: { authorization: `Bearer ${AUTH0_TOKEN}`, 'content-type': 'application/json' },
    ...(data && { body: data }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return text;
}
