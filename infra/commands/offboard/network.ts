// The network of a company: proxies, its own certificates, and how a missing network shows.
import { readFileSync } from 'node:fs';
import { setGlobalProxyFromEnv } from 'node:http';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { Refusal } from './ending.ts';
import { plain, reasonOf } from './terminal.ts';

/** This machine, and where AWS's machines and containers get their credentials: no proxy reaches them. */
const NEVER_BY_PROXY = ['localhost', '127.0.0.1', '[::1]', '169.254.169.254', '169.254.170.2', '169.254.170.23'];

/** What the environment says about proxies, in capitals or not, as Node takes it. Throws a `Refusal` for a kind that it does not. */
export function proxyOf(env: NodeJS.ProcessEnv): Record<string, string> | undefined {
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
  const NO_PROXY = [value('NO_PROXY'), ...NEVER_BY_PROXY].filter(Boolean).join(',');
  return { ...Object.fromEntries(named.map((name) => [name, value(name) as string])), NO_PROXY };
}

/** Has all requests of this process use HTTPS_PROXY, HTTP_PROXY, NO_PROXY and AWS_CA_BUNDLE. Throws a `Refusal` for bad ones. */
export function useCompanyNetwork(): void {
  const { AWS_CA_BUNDLE: bundle } = process.env;
  if (bundle) setDefaultCACertificates([...getCACertificates('default'), certificatesIn(bundle)]);
  const proxy = proxyOf(process.env);
  if (proxy) setGlobalProxyFromEnv(proxy);
}

function certificatesIn(bundle: string): string {
  try {
    return readFileSync(bundle, 'utf8');
  } catch (error) {
    throw new Refusal(`AWS_CA_BUNDLE can not be read: ${reasonOf(error)}.`);
  }
}

const NO_NETWORK =
  /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_PROXY_TUNNEL|socket hang up|Connection timed out/;
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
