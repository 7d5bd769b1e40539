// How a caller in Node signs its request (README, "Call it").
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

const {
  AWS_REGION = 'us-east-1',
  AWS_ACCESS_KEY_ID = 'test',
  AWS_SECRET_ACCESS_KEY = 'test',
  AWS_SESSION_TOKEN,
} = process.env;
const signer = new SignatureV4({
  service: 'execute-api',
  region: AWS_REGION,
  credentials: {
    accessKeyId: AWS_ACCESS_KEY_ID,
    secretAccessKey: AWS_SECRET_ACCESS_KEY,
    ...(AWS_SESSION_TOKEN && { sessionToken: AWS_SESSION_TOKEN }),
  },
  sha256: Sha256 as never,
});

/** `fetch` with a request that is signed for API Gateway. */
export async function signedFetch(
  address: string,
  init: { method: string; headers?: Record<string, string>; body?: string; signal?: AbortSignal },
) {
  const { protocol, hostname, host, port, pathname } = new URL(address);
  const request = {
    protocol,
    hostname,
    path: pathname,
    ...(port && { port: Number(port) }),
    method: init.method,
    body: init.body,
  };
  const { headers } = (await signer.sign({ ...request, headers: { ...init.headers, host } } as never)) as unknown as {
    headers: Record<string, string>;
  };
  return fetch(address, { ...init, headers });
}
