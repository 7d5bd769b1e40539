// STS, CloudFormation and Lambda, as far as the operator's command calls them.
import type { IncomingMessage, ServerResponse } from 'node:http';

export interface AwsSettings {
  /** The caller. */
  arn: string;
  /** The address that the stack's output has. */
  apiUrl: string;
  /** What the dispatcher answers. */
  requeued: number;
  redriven: number;
  left: number;
}
export interface Invocation {
  name: string;
  payload: unknown;
}

/** Answers a request for one of these services, and notes invocations; false where it is for none of them. */
export function answerAsAws(
  { request, response, body }: { request: IncomingMessage; response: ServerResponse; body: string },
  { arn, apiUrl, requeued, redriven, left }: AwsSettings,
  invocations: Invocation[],
): boolean {
  if (request.url?.startsWith('/2015-03-31/functions/')) {
    const payload = JSON.parse(body);
    invocations.push({ name: request.url.split('/')[3] ?? '', payload });
    response.end(JSON.stringify('redrive' in payload ? { redriven, left } : { requeued }));
    return true;
  }
  const action = new URLSearchParams(body).get('Action');
  if (action === null) return false;
  response.setHeader('content-type', 'text/xml');
  const account = /::(\d+):/.exec(arn)?.[1];
  const results: Record<string, string> = {
    GetCallerIdentity: `<Arn>${arn}</Arn><Account>${account}</Account>`,
    DescribeStacks: `<Stacks><member><StackName>x</StackName><StackStatus>CREATE_COMPLETE</StackStatus><Outputs><member><OutputKey>ApiUrl</OutputKey><OutputValue>${apiUrl}</OutputValue></member></Outputs></member></Stacks>`,
  };
  response.end(`<${action}Response><${action}Result>${results[action]}</${action}Result></${action}Response>`);
  return true;
}
