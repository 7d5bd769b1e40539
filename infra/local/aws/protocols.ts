// Which operation a request asks for and in which protocol, and an error in that protocol: the SDK and the AWS CLI read an error's
// name only from the form that its service uses (Smithy, "AWS JSON 1.1", "AWS query", "AWS restJson1", "AWS restXml").
import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { ACCOUNT, type AwsError } from './wire.ts';

type Protocol = 'json' | 'query' | 'rest-json' | 'rest-xml';

export interface AskedFor {
  protocol: Protocol;
  /** As the header names it, such as `AmazonSQS`; empty where only the path says what is asked for. */
  service: string;
  /** `StartQuery`; where only the path says it, `s3 GET /`. */
  operation: string;
}

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
const scopeOf = ({ authorization = '' }: IncomingHttpHeaders) =>
  /Credential=([^/,\s]+)\/\d+\/[^/]+\/([\w-]+)\/aws4_request/.exec(authorization) ?? [];

/** Whoever signed, as IAM names a user of the access key's name: the API and STS say the same. */
export function callerOf(headers: IncomingHttpHeaders): { arn: string; id: string; accessKey: string } {
  const [, accessKey = 'local'] = /Credential=([^/,\s]+)\//.exec(headers.authorization ?? '') ?? [];
  return { arn: `arn:aws:iam::${ACCOUNT}:user/${accessKey}`, id: `AIDA${accessKey}`, accessKey };
}

export function askedFor(method: string, pathname: string, headers: IncomingHttpHeaders, body: string): AskedFor {
  const target = headers['x-amz-target'];
  if (typeof target === 'string') {
    const [service = '', operation = ''] = target.split('.');
    return { protocol: 'json', service, operation };
  }
  const action = pathname === '/' && method === 'POST' ? new URLSearchParams(body).get('Action') : null;
  if (action !== null) return { protocol: 'query', service: '', operation: action };
  const [, , scope = ''] = scopeOf(headers);
  const operation = `${scope} ${method} ${pathname}`.trim();
  return { protocol: scope === 's3' ? 'rest-xml' : 'rest-json', service: '', operation };
}

/** Headers and body of an answer that says `error`. */
export function errorAnswer(protocol: Protocol, { type, status, message }: AwsError) {
  const code = escaped(type.split('#').at(-1) ?? '');
  const text = `<Code>${code}</Code><Message>${escaped(message)}</Message>`;
  const id = `<RequestId>${randomUUID()}</RequestId>`;
  if (protocol === 'rest-xml')
    return { headers: { 'content-type': 'application/xml' }, body: `<Error>${text}${id}</Error>` };
  if (protocol === 'query') {
    const kind = `<Type>${status < 500 ? 'Sender' : 'Receiver'}</Type>`;
    const body = `<ErrorResponse><Error>${kind}${text}</Error>${id}</ErrorResponse>`;
    return { headers: { 'content-type': 'text/xml' }, body };
  }
  return { headers: { 'x-amzn-errortype': type }, body: JSON.stringify({ __type: type, message, Message: message }) };
}
