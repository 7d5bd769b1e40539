// What an operator's terminal asks of AWS: who it is (STS) and where the stage's API is (CloudFormation), both in the query
// protocol.
import { randomUUID } from 'node:crypto';
import type { callerOf } from './protocols.ts';
import { ACCOUNT, AwsError } from './wire.ts';

type Caller = ReturnType<typeof callerOf>;

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

export function createTerminal() {
  const apis = new Map<string, string>();

  const actions: Record<string, (query: URLSearchParams, caller: Caller) => string> = {
    GetCallerIdentity: (_, { arn, id }) =>
      `<Arn>${escaped(arn)}</Arn><UserId>${escaped(id)}</UserId><Account>${ACCOUNT}</Account>`,
    DescribeStacks(query) {
      const name = query.get('StackName') ?? '';
      const url = apis.get(name);
      if (!url) throw new AwsError('ValidationError', `Stack with id ${name} does not exist`);
      const output = (key: string, value: string) =>
        `<member><OutputKey>${key}</OutputKey><OutputValue>${escaped(value)}</OutputValue></member>`;
      const outputs = output('ApiUrl', url) + output('ReversibleApiUrl', `${url}/reversible`);
      const state = '<CreationTime>2026-11-24T09:00:00Z</CreationTime><StackStatus>UPDATE_COMPLETE</StackStatus>';
      return `<Stacks><member><StackName>${name}</StackName>${state}<Outputs>${outputs}</Outputs></member></Stacks>`;
    },
  };

  return {
    /** Where a stack has its API, as its outputs `ApiUrl` and `ReversibleApiUrl` say. */
    setApi: (stack: string, url: string) => void apis.set(stack, url),
    /** The answer to a query, as XML; undefined where it is none. */
    query(body: string, caller: Caller): string | undefined {
      const query = new URLSearchParams(body);
      const name = query.get('Action') ?? '';
      const run = actions[name];
      if (!run) return undefined;
      const metadata = `<ResponseMetadata><RequestId>${randomUUID()}</RequestId></ResponseMetadata>`;
      return `<${name}Response><${name}Result>${run(query, caller)}</${name}Result>${metadata}</${name}Response>`;
    },
  };
}
