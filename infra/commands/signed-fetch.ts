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

/** As a signature has it (RFC 3986): a blank is `%20`. */
const encoded = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);

/**
 * `fetch` with requests that are signed for API Gateway as whoever has `credentials` (AWS Signature Version 4). The query is sent
 * exactly as it is signed: API Gateway takes a `+` for a plus, and refuses what was signed as a blank.
 */
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
    const address = new URL(request.url);
    const { protocol, hostname, host, port, pathname, searchParams } = address;
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
    address.search = [...searchParams].map((pair) => pair.map(encoded).join('=')).join('&');
    return fetch(address, { method, headers, signal, redirect, ...(body && { body }) });
  };
}
