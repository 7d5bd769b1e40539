import { parseJson } from '../json.ts';

/** The claims of a JSON Web Token, unverified; empty when it is not such a token. */
export const claimsOf = (token: string): Record<string, unknown> =>
  Object(parseJson(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()));

/** The scope in a token's claims; empty where they have none. */
export const scopeOf = ({ scope }: Record<string, unknown>) => (typeof scope === 'string' ? scope : '');
