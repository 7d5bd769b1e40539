// What the stage's own API says, signed as whoever runs the doctor (the policy org-connections-{stage}-read-{region}).
import { signedFetchAs } from '../signed-fetch.ts';
import type { Place } from './place.ts';
import { GRANTS_SCOPE, howToGrant } from './secrets.ts';
import type { Stack } from './stacks.ts';

type Json = Record<string, unknown>;
/** The JSON that `path` answers; rejects with a sentence for anything but 200. */
export type Get = (path: string) => Promise<Json>;

const ANSWER_WITHIN_MS = 35_000;
const TOKEN_ENTRIES = 'See "Token rejected" and "Token not rotated" in docs/runbook.md';

/** Undefined where the stack has no API. */
export function apiOf({ client, region }: Place, { outputs }: Stack): Get | undefined {
  const base = outputs.get('ApiUrl')?.replace(/\/+$/, '');
  if (!base) return undefined;
  const send = signedFetchAs(client.credentials, region);
  return async (path) => {
    const response = await send(base + path, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`GET ${path.split('?')[0]} was answered ${response.status}: ${text}`);
    return JSON.parse(text);
  };
}

/**
 * Whether the service sees an organization's remaining access: it is null where the token lacks the scope. Auth0 is asked with the
 * token for that, so it is tried, too.
 */
export async function lookAtRemainingAccess(place: Place, get: Get, organization: string): Promise<void> {
  const { findings } = place;
  const what = 'remaining access';
  try {
    const { remaining_access, connections_source } = await get(`/organizations/${organization}/offboarding`);
    if (Array.isArray(remaining_access))
      findings.ok(what, `${remaining_access.length} client grants of ${organization}`);
    else if (connections_source === 'record') findings.unknown(what, 'Auth0 does not answer the service now');
    else
      findings.missing(
        what,
        `the token lacks ${GRANTS_SCOPE}, so that nobody sees the machines of a customer that is offboarded`,
        howToGrant([GRANTS_SCOPE], place),
      );
  } catch (error) {
    const { message } = error as Error;
    if (/"code":"management_token_/.test(message)) findings.missing('management token', message, TOKEN_ENTRIES);
    else findings.unknown(what, message);
  }
}
