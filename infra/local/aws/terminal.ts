// What an operator's terminal asks of AWS: who it is (STS) and where the stage's API is (CloudFormation), both in the query
// protocol.
import { randomUUID } from 'node:crypto';
import { ACCOUNT, AwsError } from './wire.ts';

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

export function createTerminal() {
  const apis = new Map<string, string>();

  const actions: Record<string, (query: URLSearchParams) => string> = {
    GetCallerIdentity: () =>
      `<Arn>arn:aws:sts::${ACCOUNT}:assumed-role/on-call/you</Arn><UserId>AROALOCAL:you</UserId><Account>${ACCOUNT}</Account>`,
    DescribeStacks(query) {
      const name = query.get('StackName') ?? '';
      const url = apis.get(name);
      if (!url) throw new AwsError('ValidationError', `Stack with id ${name} does not exist`);
      const output = `<member><OutputKey>ApiUrl</OutputKey><OutputValue>${escaped(url)}</OutputValue></member>`;
      const state = '<CreationTime>2026-11-24T09:00:00Z</CreationTime><StackStatus>UPDATE_COMPLETE</StackStatus>';
      return `<Stacks><member><StackName>${name}</StackName>${state}<Outputs>${output}</Outputs></member></Stacks>`;
    },
  };

  return {
    /** Where a stack has its API, as its output `ApiUrl` says. */
    setApi: (stack: string, url: string) => void apis.set(stack, url),
    /** The answer to a query, as XML; undefined where it is none. */
    query(body: string): string | undefined {
      const query = new URLSearchParams(body);
      const name = query.get('Action') ?? '';
      const run = actions[name];
      if (!run) return undefined;
      const metadata = `<ResponseMetadata><RequestId>${randomUUID()}</RequestId></ResponseMetadata>`;
      return `<${name}Response><${name}Result>${run(query)}</${name}Result>${metadata}</${name}Response>`;
    },
  };
}
