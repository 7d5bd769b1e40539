// What API Gateway does with IAM authorization, on this machine: whose request is not signed as it should be gets a 403. For
// callers who want to try their signing (`npm start -- --check-signatures`).
import { createHash, timingSafeEqual } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import { type Credentials, Sha256 } from '../commands/signed-fetch.ts';
import { type Check, type IncomingRequest, startFront } from './front.ts';

/** How far a signature's time may be off, as AWS has it, milliseconds. */
const MAX_SKEW_MS = 5 * 60_000;
const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=([^/,\s]+)\/(\d{8})\/([a-z0-9-]+)\/([a-z0-9-]+)\/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$/;

/**
 * What is wrong with the signature of a request (AWS Signature Version 4, service execute-api) for whoever has one of
 * `credentials`; undefined when nothing is. The request is signed once more, with what its signature says that it covers.
 */
export async function wrongSignature(
  { method, url, headers, body }: IncomingRequest,
  credentials: Credentials[],
): Promise<string | undefined> {
  const [, keyId, day, region = '', service, names = '', signature = ''] =
    AUTHORIZATION.exec(headers.authorization ?? '') ?? [];
  if (!keyId) return 'there is no Authorization of AWS4-HMAC-SHA256';
  if (service !== 'execute-api') return `it is signed for the service ${service}`;
  const known = credentials.find(({ accessKeyId }) => accessKeyId === keyId);
  if (!known) return 'nobody has that access key';
  const time = String(headers['x-amz-date'] ?? '').replace(
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/,
    '$1-$2-$3T$4:$5:$6Z',
  );
  const signingDate = new Date(time);
  if (Number.isNaN(signingDate.getTime())) return 'x-amz-date is missing or no time';
  if (Math.abs(signingDate.getTime() - Date.now()) > MAX_SKEW_MS) return 'it was signed more than five minutes ago';
  if (!time.replaceAll('-', '').startsWith(day ?? '')) return 'the day of its scope is not that of x-amz-date';
  if (known.sessionToken && headers['x-amz-security-token'] !== known.sessionToken)
    return 'x-amz-security-token is missing or wrong';
  const signed = names.split(';');
  for (const name of ['host', 'x-amz-date']) if (!signed.includes(name)) return `the signature does not cover ${name}`;
  const unsent = signed.find((name) => headers[name] === undefined);
  if (unsent) return `the signature covers the header ${unsent}, which was not sent`;
  const hash = headers['x-amz-content-sha256'];
  if (hash !== undefined && hash !== createHash('sha256').update(body).digest('hex'))
    return 'x-amz-content-sha256 is not that of the body';

  // A plus is a plus for API Gateway, and no blank.
  const { pathname, searchParams } = new URL(url.replaceAll('+', '%2B'), 'http://localhost');
  const { accessKeyId, secretAccessKey } = known;
  const signer = new SignatureV4({
    service,
    region,
    credentials: { accessKeyId, secretAccessKey },
    sha256: Sha256 as never,
    applyChecksum: false,
  });
  const request = {
    protocol: 'http:',
    hostname: 'localhost',
    method,
    path: pathname,
    query: Object.fromEntries([...searchParams.keys()].map((name) => [name, searchParams.getAll(name)])),
    headers: Object.fromEntries(signed.map((name) => [name, String(headers[name])])),
    body,
  };
  const again = await signer.sign(request, { signingDate, signableHeaders: new Set(signed) });
  const right = AUTHORIZATION.exec(again.headers.authorization ?? '')?.[6] ?? '';
  const isRight = right.length === signature.length && timingSafeEqual(Buffer.from(right), Buffer.from(signature));
  return isRight ? undefined : 'the signature is not that of this request with that secret key';
}

/** Refuses what is not signed as one of `credentials`, as API Gateway does. */
export const createSignatureCheck =
  (credentials: Credentials[]): Check =>
  async (request) => {
    const reason = await wrongSignature(request, credentials);
    return reason === undefined ? undefined : { status: 403, message: 'Forbidden', reason };
  };

/** A front that lets through to `target` what is signed as one of `credentials`. */
export const startSignatureCheck = (options: {
  port: number;
  target: string;
  credentials: Credentials[];
  onRefused?: (reason: string) => void;
}) => startFront({ ...options, checks: [createSignatureCheck(options.credentials)] });
