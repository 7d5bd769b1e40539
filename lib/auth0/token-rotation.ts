import * as secrets from '../aws/secrets-manager.ts';
import { retry } from '../deadline.ts';
import { auth0Tenant, required } from '../environment.ts';
import { parseJson } from '../json.ts';
import type { Log } from '../log.ts';
import { auth0ErrorOf, lacksScope } from './api-response.ts';
import { ClientCredentialsError, parseClientCredentials, requestToken } from './client-credentials.ts';
import { type Response, send } from './http-client.ts';
import { parseManagementToken } from './management-token.ts';
import { MANAGEMENT_SCOPES, SESSION_SCOPES } from './scopes.ts';
import { claimsOf, scopeOf } from './token-claims.ts';

const { origin, audience } = auth0Tenant();

/** No tenant has this organization: a call about it proves a token and reads nothing. */
const NO_ORGANIZATION = '/api/v2/organizations/org_0000000000000000';

/**
 * A client and its token. The variables `{name}_TOKEN_SECRET_ID` and `{name}_CLIENT_SECRET_ID` name the secrets that hold the token
 * and the client's credentials. A token without a `required` scope is refused, without a `wanted` one taken with a warning; `known`
 * ones need none. `proof` is a call that needs no other scope than a required one.
 */
const pairOf = (name: string, scopes: Record<'required' | 'wanted' | 'known', string[]>, proof: string) => ({
  ...{ name, ...scopes, proof: `${NO_ORGANIZATION}/${proof}` },
  tokenSecret: required(`${name.toUpperCase()}_TOKEN_SECRET_ID`),
  clientSecret: required(`${name.toUpperCase()}_CLIENT_SECRET_ID`),
});
const PAIRS = [pairOf('management', MANAGEMENT_SCOPES, 'connections')];
// The client that ends sessions is there where the stage has that switched on.
if (process.env.SESSION_TOKEN_SECRET_ID)
  PAIRS.push(pairOf('session', { required: SESSION_SCOPES, wanted: [], known: [] }, 'members?take=1'));

const MARGIN_MS = 1000;
/** What one call of Auth0 may take. */
const ATTEMPT_MS = 5000;

/** What a step is about: the pair, the version and the one that is current; when the step must be done, and its log. */
type Rotation = NonNullable<Awaited<ReturnType<typeof findPair>>> & { deadline: number; log: Log };

// The token is good at Auth0 from the moment that it is issued: there is nothing to set.
const setSecret = async () => {};
const STEPS = new Map(Object.entries({ createSecret, setSecret, testSecret, finishSecret }));

/**
 * A step of the rotation of the token that the secret `SecretId` holds ("Rotation function", Secrets Manager user guide); it may be done
 * twice, or be cut off at any point. Returns which client's token that is; undefined where its version is current already. Throws
 * `ClientCredentialsError` where Auth0 gives no token that is good, and what Secrets Manager says; the current token then stays.
 */
export async function rotate(step: string, SecretId: string, versionId: string, deadline: number, log: Log) {
  const run = STEPS.get(step);
  if (!run) throw new Error('The rotation has no such step');
  const found = await findPair(SecretId, versionId);
  if (found) await run({ ...found, deadline: deadline - MARGIN_MS, log });
  return found?.pair.name;
}

/**
 * The pair whose version waits to become current, and the version that is; undefined when it is current already. Throws when it must
 * not be rotated.
 */
async function findPair(SecretId: string, versionId: string) {
  const secret = await secrets.describeSecret({ SecretId });
  // Secrets Manager names the secret by its ARN, the configuration may by its name.
  const pair = PAIRS.find(({ tokenSecret }) => [SecretId, secret.ARN, secret.Name].includes(tokenSecret));
  if (!pair) throw new Error('The secret is not the management token');
  if (!secret.RotationEnabled) throw new Error('The secret is not set up for rotation');
  const { VersionIdsToStages = {} } = secret;
  const currentId = Object.keys(VersionIdsToStages).find((id) => VersionIdsToStages[id]?.includes('AWSCURRENT'));
  if (currentId === versionId) return undefined;
  if (!VersionIdsToStages[versionId]?.includes('AWSPENDING')) throw new Error('The version is not staged for rotation');
  return { pair, SecretId, versionId, currentId };
}

/** Asks Auth0 for a token and stores it as the pending version, unless that holds one already. */
async function createSecret(rotation: Rotation): Promise<void> {
  const { pair, SecretId, versionId, deadline } = rotation;
  await reportCurrentToken(rotation);
  const pending = await readToken(SecretId, 'AWSPENDING', versionId).catch(() => undefined);
  if (pending && pending.expiresAt > Date.now()) return;
  if (pending) await discard(rotation, 'other', 'The pending token has expired');
  const stored = await secrets.getSecretValue({ SecretId: pair.clientSecret });
  const { value, expiresAt, scope } = await requestToken(origin, audience, parseClientCredentials(stored), deadline);
  const secret = { access_token: value, expires_at: new Date(expiresAt).toISOString(), scope };
  const put = { SecretId, ClientRequestToken: versionId, VersionStages: ['AWSPENDING'] };
  await secrets.putSecretValue({ ...put, SecretString: JSON.stringify(secret) });
}

/** Proves the pending token; warns of a scope that is wanted and was not granted, and of one that was granted and is not needed. */
async function testSecret(rotation: Rotation): Promise<void> {
  const { pair, log } = rotation;
  const { granted } = await provePending(rotation);
  const wanted = lacking(pair.wanted, granted);
  if (wanted.length > 0) log.warn('scopes_wanted', { pair: pair.name, scopes: wanted });
  const needed = [...pair.required, ...pair.wanted, ...pair.known, ''];
  const more = granted.filter((one) => !needed.includes(one));
  if (more.length > 0) log.warn('scopes_not_needed', { pair: pair.name, scopes: more });
}

/**
 * Proves that Auth0 takes the pending token and that it carries every required scope; returns when
 * it expires (Unix ms) and what it was granted. Throws where there is none, with the scopes that are missing, and where Auth0 does
 * not take it.
 */
async function provePending(rotation: Rotation) {
  const { SecretId, versionId, deadline } = rotation;
  const { value, expiresAt, scope } = await readToken(SecretId, 'AWSPENDING', versionId);
  // The token's own claims go before what is written beside it.
  const granted = (scopeOf(claimsOf(value)) || scope).split(' ');
  if (expiresAt <= Date.now()) await discard(rotation, 'other', 'The pending token has expired');
  const missing = lacking(rotation.pair.required, granted);
  if (missing.length > 0)
    await discard(rotation, 'scope_missing', `The new token lacks the scopes ${missing.join(', ')}`);
  const proven = async () => {
    const { verdict, status, cause } = await prove(rotation, value);
    if (verdict === 'scope_missing') await discard(rotation, verdict, 'The new token lacks a scope of its first call');
    if (verdict === 'rejected') await discard(rotation, 'token_rejected', `Auth0 rejected the new token (${status})`);
    if (verdict === 'unknown') throw new Error(`Auth0 answered ${status} to the new token`, { cause });
  };
  await retry(proven, (error) => !(error instanceof ClientCredentialsError), deadline);
  return { expiresAt, granted };
}

/** Which of `scopes` were not granted; none where nobody says what was granted: later calls show it. */
const lacking = (scopes: string[], granted: string[]) =>
  granted[0] ? scopes.filter((one) => !granted.includes(one)) : [];

/** What Auth0 makes of a token; `unknown` where the response says nothing of it. */
async function prove({ pair, deadline }: Rotation, token: string) {
  const timeout = Math.min(ATTEMPT_MS, deadline - Date.now());
  const headers = { authorization: `Bearer ${token}` };
  const response = await send({ method: 'GET', origin, path: pair.proof, headers, timeout });
  return { verdict: verdictOf(response), status: response.status, cause: response.failure?.cause };
}

function verdictOf(response: Response) {
  const { status, body } = response;
  const error = auth0ErrorOf(response);
  // Not found, or found after all, is the response of an Auth0 that has taken the token.
  if (status === 200 ? parseJson(body) !== undefined : status === 404 && error) return 'taken';
  // A 401 or a 403 of somebody in front of Auth0 says nothing of the token.
  if (!error || (status !== 401 && status !== 403)) return 'unknown';
  return lacksScope(error) ? 'scope_missing' : 'rejected';
}

/**
 * Gives up a pending token that will never be good, and throws why. A version's value cannot be replaced, and Secrets
 * Manager attempts a rotation again with the same version: without this it would fail for ever, also after its cause is repaired.
 */
async function discard({ SecretId, versionId }: Rotation, reason: string, why: string): Promise<never> {
  const label = { SecretId, VersionStage: 'AWSPENDING', RemoveFromVersionId: versionId };
  await secrets.updateSecretVersionStage(label);
  throw new ClientCredentialsError(reason, why);
}

/**
 * Makes the pending version the current one, once it is proven again: whoever may call this step alone, or may write the pending
 * version after its test, makes nothing current that Auth0 does not take.
 */
async function finishSecret(rotation: Rotation): Promise<void> {
  const { SecretId, versionId, currentId } = rotation;
  const { expiresAt } = await provePending(rotation);
  const move = { SecretId, VersionStage: 'AWSCURRENT', MoveToVersionId: versionId, RemoveFromVersionId: currentId };
  await secrets.updateSecretVersionStage(move);
  reportTimeToExpiry(rotation, expiresAt, 'taken');
}

const readToken = async (SecretId: string, VersionStage: string, VersionId?: string) =>
  parseManagementToken(await secrets.getSecretValue({ SecretId, VersionStage, VersionId }));

/**
 * How long the current token has still to live. One that Auth0 rejects (revoked, or signed with a key that is no more) has no time
 * left, whatever it says of itself.
 */
async function reportCurrentToken(rotation: Rotation): Promise<void> {
  const token = await readToken(rotation.SecretId, 'AWSCURRENT').catch(() => undefined);
  const verdict = token && (await prove(rotation, token.value)).verdict;
  reportTimeToExpiry(rotation, verdict === 'rejected' ? 0 : (token?.expiresAt ?? 0), verdict);
}

/** The time that is left until `expiresAt` (Unix ms) as a metric; its alarm warns when several rotations in a row have failed. */
function reportTimeToExpiry({ pair: { name }, log }: Rotation, expiresAt: number, verdict: string | undefined): void {
  const metrics = { TokenTimeToExpiry: Math.max(0, (expiresAt - Date.now()) / 1000) };
  const dimension: [string, string] | undefined = name === 'management' ? undefined : ['pair', name];
  log.metrics('token_time_to_expiry', metrics, { pair: name, verdict }, dimension);
}
