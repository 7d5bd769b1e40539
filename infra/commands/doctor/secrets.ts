// Whether the stage has its credentials and a token that works. Nobody but the rotation may read a value; where this account lets
// more, it is looked at and not shown.
import {
  DescribeSecretCommand,
  type DescribeSecretCommandOutput,
  GetSecretValueCommand,
  type GetSecretValueCommandOutput,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { CLIENT_GRANT_SCOPES, CONNECTION_SCOPES, SESSION_SCOPES } from '../../../lib/auth0/scopes.ts';
import { deployStage, type Place } from './place.ts';

/** Three rotations, at one in six hours. */
const TOKEN_OLD_MS = 18 * 3_600_000;
const HOUR_MS = 3_600_000;
/** The scope without which `remaining_access` is null. */
export const GRANTS_SCOPE = CLIENT_GRANT_SCOPES.GET;

/** How a scope is granted, for those who have the Auth0 CLI. */
export const howToGrant = (scopes: string[], { stage }: Place) =>
  `Grant ${scopes.join(', ')} to the stage's application in Auth0: auth0 api get "client-grants?client_id=CLIENT_ID" shows the grant with its scopes, auth0 api patch client-grants/GRANT_ID --data '{"scope": [all of them, with ${scopes.join(', ')}]}' adds to it; then aws secretsmanager rotate-secret --secret-id org-connections/${stage}/management-token`;

/** Of the stage's parameters, those that take more scopes or a second pair of secrets. */
export interface Features {
  endsMachineAccess: boolean;
  endsSessions: boolean;
}

export async function lookAtSecrets(place: Place, { endsMachineAccess, endsSessions }: Features): Promise<void> {
  const grants = endsMachineAccess ? Object.values(CLIENT_GRANT_SCOPES) : [GRANTS_SCOPE];
  await lookAtPair(place, 'management', [...Object.values(CONNECTION_SCOPES), ...grants]);
  if (endsSessions) await lookAtPair(place, 'session', SESSION_SCOPES);
}

/** Client credentials, and the token that the rotation gets with them. */
async function lookAtPair(place: Place, pair: string, scopes: string[]): Promise<void> {
  const { stage, stack, client, findings } = place;
  const secrets = new SecretsManagerClient(client);
  const [clientId, tokenId] = [`org-connections/${stage}/${pair}-client`, `org-connections/${stage}/${pair}-token`];
  const rotate = `aws secretsmanager rotate-secret --secret-id ${tokenId}; its log says why it fails: aws logs tail /aws/lambda/${stack}-rotate-management-token`;
  const described = (id: string) =>
    findings.seen(id, secrets.send(new DescribeSecretCommand({ SecretId: id })), () =>
      findings.missing(id, 'the secret is not there', deployStage(place)),
    );
  const readValue = (id: string) => secrets.send(new GetSecretValueCommand({ SecretId: id })).catch(() => undefined);

  if (!(await lookAtClient(place, clientId, await described(clientId), await readValue(clientId)))) return;
  const rotated = await described(tokenId);
  if (!rotated) return;
  lookAtRotation(place, tokenId, rotated, rotate);
  const value = await readValue(tokenId);
  if (value) await lookAtToken(place, tokenId, value, { rotate, putBack: howToPutBack(tokenId, rotated) }, scopes);
}

/** Whether credentials are stored, of a form that the rotation takes. */
async function lookAtClient(
  { findings }: Place,
  id: string,
  described: DescribeSecretCommandOutput | undefined,
  value: GetSecretValueCommandOutput | undefined,
): Promise<boolean> {
  if (!described) return true;
  const store = `Put {"client_id": "…", "client_secret": "…"} into client.json: aws secretsmanager put-secret-value --secret-id ${id} --secret-string file://client.json && rm client.json`;
  const isStored = Object.values(described.VersionIdsToStages ?? {})
    .flat()
    .includes('AWSCURRENT');
  if (!isStored) findings.missing(id, 'no credentials are stored, and every call of Auth0 is answered 503', store);
  else if (!value) findings.ok(id, 'stored, and not for you to read; the next line says whether Auth0 takes it');
  else {
    // The functions' own reader of the secret's form.
    const { parseClientCredentials } = await import('../../../lib/auth0/client-credentials.ts');
    try {
      parseClientCredentials(value);
      findings.ok(id, 'of the right form');
    } catch (error) {
      findings.missing(id, (error as Error).message, store);
      return false;
    }
  }
  return isStored;
}

function lookAtRotation(
  { findings }: Place,
  id: string,
  { VersionIdsToStages = {}, LastRotatedDate }: DescribeSecretCommandOutput,
  rotate: string,
): void {
  const age = Date.now() - (LastRotatedDate?.getTime() ?? 0);
  const pending = Object.values(VersionIdsToStages).find(
    (labels) => labels.includes('AWSPENDING') && !labels.includes('AWSCURRENT'),
  );
  if (!LastRotatedDate) findings.missing(id, 'it was never rotated: there is no token', rotate);
  else if (pending?.includes('AWSPREVIOUS'))
    findings.missing(
      id,
      'what it holds is not from its last rotation: somebody wrote it by hand',
      howToPutBack(id, { VersionIdsToStages }) ?? rotate,
    );
  else if (pending) findings.missing(id, 'its last rotation did not end', rotate);
  else if (age > TOKEN_OLD_MS)
    findings.missing(id, `it was last rotated ${Math.round(age / HOUR_MS)} hours ago, and lives for 24`, rotate);
  else
    findings.ok(
      id,
      `rotated ${LastRotatedDate.toISOString()}, and Auth0 took it with its scopes then. It was not tried now: --organization ORG does`,
    );
}

/** The last token that a rotation made, where the present value is somebody's own; undefined where there is none to put back. */
function howToPutBack(
  id: string,
  { VersionIdsToStages = {} }: Pick<DescribeSecretCommandOutput, 'VersionIdsToStages'>,
): string | undefined {
  const versionWith = (label: string) =>
    Object.entries(VersionIdsToStages).find(([, labels]) => labels.includes(label))?.[0];
  const [previous, current] = [versionWith('AWSPREVIOUS'), versionWith('AWSCURRENT')];
  return previous && current
    ? `Put the last token back first, then rotate: aws secretsmanager update-secret-version-stage --secret-id ${id} --version-stage AWSCURRENT --move-to-version-id ${previous} --remove-from-version-id ${current} && aws secretsmanager rotate-secret --secret-id ${id}`
    : undefined;
}

/** The token's time and scopes, where whoever runs this may read it. */
async function lookAtToken(
  place: Place,
  id: string,
  value: GetSecretValueCommandOutput,
  { rotate, putBack = rotate }: { rotate: string; putBack: string | undefined },
  needed: string[],
): Promise<void> {
  const { findings } = place;
  // The module wants to know which secret it is, when it is loaded.
  process.env.MANAGEMENT_TOKEN_SECRET_ID ??= id;
  const { parseManagementToken } = await import('../../../lib/auth0/management-token.ts');
  try {
    const { expiresAt, scope } = parseManagementToken(value);
    if (expiresAt <= Date.now()) findings.missing(id, 'it has expired', rotate);
    else findings.ok(`${id}: expires`, `in ${Math.round((expiresAt - Date.now()) / HOUR_MS)} hours`);
    const lacking = needed.filter((one) => !scope.split(' ').includes(one));
    if (lacking.length === 0) findings.ok(`${id}: scopes`);
    else findings.missing(`${id}: scopes`, `it lacks ${lacking.join(', ')}`, howToGrant(lacking, place));
  } catch (error) {
    findings.missing(id, (error as Error).message, putBack);
  }
}
