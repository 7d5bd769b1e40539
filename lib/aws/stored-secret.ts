import type { GetSecretValueCommandOutput } from '@aws-sdk/client-secrets-manager';
import type * as v from 'valibot';
import { parseJson, parseOr, type Wrong } from '../json.ts';

/**
 * The value of a secret as `schema` reads it, in whatever form its operator stored it: text or bytes (UTF-8, or UTF-16 as
 * Windows writes it), JSON or JSON inside a JSON string. Throws `wrong` with the fault, which quotes nothing.
 */
export function parseSecret<S extends v.GenericSchema>(secret: GetSecretValueCommandOutput, schema: S, wrong: Wrong) {
  const { SecretString, SecretBinary = new Uint8Array() } = secret;
  const encoding = SecretBinary[0] === 0xff && SecretBinary[1] === 0xfe ? 'utf16le' : 'utf8';
  const value = parseJson(SecretString ?? Buffer.from(SecretBinary).toString(encoding));
  const json = typeof value === 'string' ? parseJson(value) : value;
  if (json === undefined) throw wrong('is not JSON');
  return parseOr(schema, json, 'value', (what) => wrong(`is malformed: ${what}`));
}
