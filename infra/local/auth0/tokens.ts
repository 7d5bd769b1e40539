// The tokens of the stand-in tenant: issued by /oauth/token to its clients, and checked with each call.
import { createHmac, createPublicKey, randomBytes, verify } from 'node:crypto';
import { parse, type Reply } from './reply.ts';

export interface Client {
  client_secret?: string;
  /** PEM; the client authenticates by a signed assertion. */
  public_key?: string;
  scope: string;
}

/** `origin` tells where the tenant is, once it is there. */
export function createTokens(origin: () => string, lifetime: number) {
  const signingKey = randomBytes(32);
  const clients = new Map<string, Client>();
  let [issued, revokedBefore, clock] = [0, 0, 0];
  const sign = (text: string) => createHmac('sha256', signingKey).update(text).digest('base64url');
  const decode = (part = '') => Buffer.from(part, 'base64url').toString();

  function issueToken(scope: string, seconds = lifetime): string {
    issued += 1;
    const now = Math.floor(Date.now() / 1000);
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
    const claims = {
      aud: `${origin()}/api/v2/`,
      gty: 'client-credentials',
      scope,
      iat: now,
      exp: now + seconds,
      n: issued,
    };
    const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
    return `${signed}.${sign(signed)}`;
  }

  function assertionHolds(
    assertion: string,
    claims: Record<string, unknown> | '' | undefined,
    client: Client,
  ): boolean {
    const [header = '', payload = '', signature = ''] = assertion.split('.');
    const now = (Date.now() + clock) / 1000;
    return Boolean(
      client.public_key &&
        claims &&
        parse(decode(header))?.alg === 'RS256' &&
        claims.iss === claims.sub &&
        // The official SDK always names the tenant by https.
        [`${origin()}/`, `${origin().replace('http:', 'https:')}/`].includes(String(claims.aud)) &&
        claims.jti &&
        Number(claims.iat) <= now &&
        Number(claims.exp) > now &&
        Number(claims.exp) - Number(claims.iat) <= 300 &&
        verify(
          'RSA-SHA256',
          Buffer.from(`${header}.${payload}`),
          createPublicKey(client.public_key),
          Buffer.from(signature, 'base64url'),
        ),
    );
  }

  return {
    control: {
      setClient(id: string, client: Client) {
        clients.set(id, client);
      },
      /** Every token issued until now is refused from now on, but for the newest `keep`. */
      revokeTokens(keep = 0) {
        revokedBefore = issued - keep;
      },
      /** A token as /oauth/token gives it out. The lifetime is in seconds. */
      issueToken,
      tokensIssued: () => issued,
      /** Sets the tenant's clock this many milliseconds ahead of the machine's. */
      setClock(ahead: number) {
        clock = ahead;
      },
    },

    /** The scopes of a token that is good, or why it is not. */
    scopesOf(authorization = ''): string[] | string {
      const [, header, claims, signature] = authorization.match(/^Bearer ([\w-]+)\.([\w-]+)\.([\w-]+)$/) ?? [];
      if (!header || !claims) return 'Invalid token';
      if (signature !== sign(`${header}.${claims}`)) return 'Invalid signature received for JSON Web Token validation';
      const { exp, n, scope } = JSON.parse(decode(claims));
      if (exp * 1000 <= Date.now()) return 'Expired token received for JSON Web Token validation';
      if (n <= revokedBefore) return 'Invalid token';
      return scope.split(' ');
    },

    /** What /oauth/token answers. */
    oauthToken(body: string, type = ''): Reply {
      const form = type.includes('json') ? parse(body) : Object.fromEntries(new URLSearchParams(body));
      const oauthError = (status: number, name: string, description: string): Reply => ({
        status,
        body: { error: name, error_description: description },
      });
      const assertion = typeof form?.client_assertion === 'string' ? form.client_assertion : undefined;
      const claims = assertion && parse(decode(assertion.split('.')[1]));
      const client = clients.get(String((claims ? claims.sub : undefined) ?? form?.client_id ?? ''));
      if (form?.grant_type !== 'client_credentials')
        return oauthError(403, 'unauthorized_client', 'Grant type not allowed for the client');
      const proven =
        client &&
        (assertion
          ? assertionHolds(assertion, claims, client)
          : client.client_secret && form.client_secret === client.client_secret);
      if (!proven) return oauthError(401, 'access_denied', 'Unauthorized');
      if (form.audience !== `${origin()}/api/v2/`)
        return oauthError(403, 'access_denied', `Service not enabled within domain: ${form.audience}`);
      const { scope } = client;
      const granted = { access_token: issueToken(scope), scope, expires_in: lifetime, token_type: 'Bearer' };
      return { status: 200, body: granted };
    },
  };
}
