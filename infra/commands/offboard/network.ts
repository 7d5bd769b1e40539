// The network of a company: proxies, its own certificates, and how a missing network shows.
import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { Refusal } from './ending.ts';
import { plain, reasonOf } from './terminal.ts';

/** No proxy reaches this machine. */
const NEVER_BY_PROXY = ['localhost', '127.0.0.1', '[::1]'];

interface Proxy {
  httpProxy: string;
  httpsProxy: string;
  noProxy: string;
}

/** The proxies that the environment names, in capitals or not. Throws a `Refusal` for a kind that is not supported. */
function proxyOf(env: NodeJS.ProcessEnv): Proxy | undefined {
  const value = (name: string) => env[name.toLowerCase()] || env[name];
  const named = ['HTTPS_PROXY', 'HTTP_PROXY'].filter((name) => value(name));
  for (const name of named) {
    const address = value(name) as string;
    if (!URL.canParse(address) || !/^https?:$/.test(new URL(address).protocol))
      throw new Refusal(
        `${name} is no address that begins with http:// or https://; no other kind of proxy is supported.`,
      );
  }
  if (named.length === 0 && value('ALL_PROXY'))
    throw new Refusal('ALL_PROXY is not supported: set HTTPS_PROXY, or unset it.');
  if (named.length === 0) return undefined;
  return {
    httpProxy: value('HTTP_PROXY') ?? '',
    httpsProxy: value('HTTPS_PROXY') ?? '',
    noProxy: [value('NO_PROXY'), ...NEVER_BY_PROXY].filter(Boolean).join(','),
  };
}

/**
 * Has every `fetch` of this process use HTTPS_PROXY, HTTP_PROXY, NO_PROXY, AWS_CA_BUNDLE and NODE_EXTRA_CA_CERTS; AWS's SDK
 * fetches, too (`credentials.ts`). Node's own support for proxies is not in every version that runs this. Throws a `Refusal` for
 * a value that cannot be used.
 */
export async function useCompanyNetwork(): Promise<void> {
  const named = ['AWS_CA_BUNDLE', 'NODE_EXTRA_CA_CERTS'].filter((name) => process.env[name]);
  const own = named.map(certificatesIn);
  const proxy = proxyOf(process.env);
  if (!proxy && own.length === 0) return;
  const connect = { ca: [...rootCertificates, ...own] };
  const { EnvHttpProxyAgent, setGlobalDispatcher } = await import('undici');
  setGlobalDispatcher(new EnvHttpProxyAgent({ ...proxy, connect, requestTls: connect, proxyTls: connect }));
}

function certificatesIn(variable: string): string {
  try {
    return readFileSync(process.env[variable] as string, 'utf8');
  } catch (error) {
    throw new Refusal(`${variable} cannot be read: ${reasonOf(error)}.`);
  }
}

const NO_NETWORK =
  /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|UND_ERR_|HTTP Tunneling|other side closed|Connection timed out/;
const STRANGE_CERTIFICATE = /SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|CERT_|self-signed certificate/;

/** Why the network did not carry a request, if that is why `error` was thrown: "getaddrinfo ENOTFOUND sts…". */
export const networkFaultOf = (error: unknown): string | undefined =>
  textIn(error, STRANGE_CERTIFICATE) ?? textIn(error, NO_NETWORK);

/** Whether the network is there, and shows a certificate that is not trusted: another try does not help. */
export const isCertificateFault = (error: unknown) => textIn(error, STRANGE_CERTIFICATE) !== undefined;

/** What to do about a fault of the network, as a sentence. */
export const networkAdviceFor = (error: unknown): string =>
  isCertificateFault(error)
    ? 'If the network inspects TLS, name its certificates in AWS_CA_BUNDLE.'
    : 'Is there a network, a VPN to start, or a proxy to name in HTTPS_PROXY?';

function textIn(error: unknown, pattern: RegExp): string | undefined {
  for (let one = error; one; one = Object(one).cause) {
    const { code, message, errors } = Object(one);
    const inner = Object(errors?.[0]).code;
    if (pattern.test([code, inner, message].filter(Boolean).join(' ')))
      return plain(message || code || inner).replace(/\.$/, '');
  }
  return undefined;
}
