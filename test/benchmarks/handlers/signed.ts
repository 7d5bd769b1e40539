// Calls over Node's own modules, and AWS's signed by hand (Signature Version 4).
import * as crypto from 'node:crypto';
import * as http from 'node:http';
import * as https from 'node:https';

const agents = { http: new http.Agent({ keepAlive: true }), https: new https.Agent({ keepAlive: true }) };

export function send(
  address: string,
  method: string,
  headers: Record<string, string>,
  body?: string,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const secure = address.startsWith('https:');
    const options = { agent: secure ? agents.https : agents.http, method, headers };
    const request = (secure ? https : http).request(address, options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** One call of an AWS service that speaks JSON; throws what it answers with an error. */
// biome-ignore lint/suspicious/noExplicitAny: each operation's own answer
export async function callAws(service: string, target: string, version: string, input: object): Promise<any> {
  const { AWS_ENDPOINT_URL = '', AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = process.env;
  const body = JSON.stringify(input);
  const hash = (text: string) => crypto.createHash('sha256').update(text).digest('hex');
  const hmac = (key: string | Buffer, text: string) => crypto.createHmac('sha256', key).update(text).digest();
  const time = `${new Date().toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;
  const day = time.slice(0, 8);
  const { host } = new URL(AWS_ENDPOINT_URL);
  const canonical = `POST\n/\n\nhost:${host}\nx-amz-date:${time}\nx-amz-target:${target}\n\nhost;x-amz-date;x-amz-target\n${hash(body)}`;
  const scope = `${day}/${AWS_REGION}/${service}/aws4_request`;
  const key = [AWS_REGION ?? '', service, 'aws4_request'].reduce<Buffer>(
    (k, part) => hmac(k, part),
    hmac(`AWS4${AWS_SECRET_ACCESS_KEY}`, day),
  );
  const signature = hmac(key, `AWS4-HMAC-SHA256\n${time}\n${scope}\n${hash(canonical)}`).toString('hex');
  const { status, text } = await send(
    AWS_ENDPOINT_URL,
    'POST',
    {
      'content-type': `application/x-amz-json-${version}`,
      'x-amz-date': time,
      'x-amz-target': target,
      authorization: `AWS4-HMAC-SHA256 Credential=${AWS_ACCESS_KEY_ID}/${scope}, SignedHeaders=host;x-amz-date;x-amz-target, Signature=${signature}`,
    },
    body,
  );
  if (status !== 200) throw new Error(`${target} answered ${status}: ${text}`);
  return JSON.parse(text);
}
