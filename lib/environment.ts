/** Reads the environment variable `name`; throws with its name when it is missing or empty, so that a function that is set up wrongly fails at its start. */
export function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`Environment variable ${name} is missing`);
  return value;
}

const LOOPBACK_ORIGIN = /^https?:\/\/(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/;
const HOSTNAME = /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$/i;

/**
 * Where the tenant is and what its tokens are for, from `AUTH0_DOMAIN` and `AUTH0_AUDIENCE`.
 *
 * A domain is a bare host name and is called over https. An origin with a scheme is taken for loopback hosts alone, so
 * that a mistyped variable cannot send the token over plain text or to a path of somebody's choosing.
 * The audience is always the tenant's canonical domain, also when calls go to a custom one, hence a variable of its own.
 */
export function auth0Tenant(): { origin: URL; audience: string } {
  const domain = required('AUTH0_DOMAIN');
  const url = HOSTNAME.test(domain) ? `https://${domain}` : domain;
  if (!URL.canParse(url) || (url === domain && !LOOPBACK_ORIGIN.test(domain)))
    throw new Error('Environment variable AUTH0_DOMAIN is neither a host name nor the origin of a loopback host');
  const origin = new URL(url);
  return { origin, audience: process.env.AUTH0_AUDIENCE || `${origin.origin}/api/v2/` };
}
