// How a caller in Node signs its requests (README, "Call it"): for the operator's command and the end-to-end tests.
import { createHash, createHmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';

class Sha256 {
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
  return async (
    address: string,
    init: { method: string; headers?: Record<string, string>; body?: string; signal?: AbortSignal },
  ) => {
    const { protocol, hostname, host, port, pathname, searchParams } = new URL(address);
    const request = {
      protocol,
      hostname,
      path: pathname,
      query: Object.fromEntries(searchParams),
      ...(port && { port: Number(port) }),
      method: init.method,
      body: init.body,
    };
    const { headers } = (await signer.sign({ ...request, headers: { ...init.headers, host } } as never)) as unknown as {
      headers: Record<string, string>;
    };
    return fetch(address, { ...init, headers });
  };
}
