// How a caller in Node signs its requests: for the operator's command, the end-to-end tests, and clients that take a `fetch`.
import { createHash, createHmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';

/** SHA-256 as the signer wants it. */
export class Sha256 {
  #hash;
  constructor(secret?: unknown) {
    this.#hash = secret ? createHmac('sha256', secret as Buffer) : createHash('sha256');
  }
  update(data: Uint8Array) {
    this.#hash.update(data);
  }
  async digest() {
    return this.#hash.digest();
  }
}

export interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

/** `fetch` with requests that are signed for API Gateway as whoever has `credentials`. */
export function signedFetchAs(credentials: Credentials | (() => Promise<object>), region = 'us-east-1') {
  const signer = new SignatureV4({
    service: 'execute-api',
    region,
    credentials: credentials as never,
    sha256: Sha256 as never,
  });
  return async (input: Request | string | URL, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    const { method, signal, redirect } = request;
    const { protocol, hostname, host, port, pathname, searchParams } = new URL(request.url);
    const body = request.body === null ? undefined : Buffer.from(await request.arrayBuffer());
    const { headers } = await signer.sign({
      protocol,
      hostname,
      ...(port && { port: Number(port) }),
      method,
      path: pathname,
      query: Object.fromEntries([...searchParams.keys()].map((name) => [name, searchParams.getAll(name)])),
      headers: { ...Object.fromEntries(request.headers), host },
      body,
    });
    return fetch(request.url, { method, headers, signal, redirect, ...(body && { body }) });
  };
}
