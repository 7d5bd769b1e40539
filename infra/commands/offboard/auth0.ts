// The organizations that have a connection. The Management API has no call that lists them by connection (its SDK 7.1 knows
// clients, keys, users and provisioning of a connection, no organizations), so the tenant's organizations are gone through,
// at a pace that leaves the tenant's limits to others, with the operator's own token.
import { setTimeout as sleep } from 'node:timers/promises';
import { Refusal } from './ending.ts';
import type { Row } from './files.ts';
import { ORGANIZATION_ID } from './records.ts';
import { lengthOf, plain, printError, reasonOf } from './terminal.ts';

type Json = Record<string, unknown>;
/** Where the answer does not say how much of the limit is left: half of the scarcest bucket, 100 reads a minute. */
const PAUSE_MS = 1200;
const ANSWER_WITHIN_MS = 30_000;
const MOST_ATTEMPTS = 8;
const LONGEST_WAIT_MS = 120_000;

/** The organizations of the tenant at AUTH0_DOMAIN that have `connectionId`, with their names. */
export async function organizationsWith(
  connectionId: string,
  isUrgent: boolean,
): Promise<{ columns: string[]; rows: Row[] }> {
  const { get, pause } = managementApi(isUrgent);
  const found: Row[] = [];
  let [from, seen, gone] = ['', 0, 0];
  const started = Date.now();
  do {
    const page = await get(`/organizations?take=100${from && `&from=${encodeURIComponent(from)}`}`);
    const organizations = (Array.isArray(page) ? page : (page as Json).organizations) as Json[] | undefined;
    for (const { id, name, display_name } of organizations ?? []) {
      if (typeof id !== 'string' || !ORGANIZATION_ID.test(id)) continue;
      seen++;
      // The list, as a 404 of the organization connection alone could mean many things; an organization has ten connections at most.
      const list = await get(`/organizations/${id}/connections?include_totals=true&page=0&per_page=50`, true);
      if (list === undefined) gone++;
      if (connectionsIn(list).some(({ connection_id }) => connection_id === connectionId))
        found.push({
          organization_id: id,
          line: found.length + 1,
          cells: [id, String(name ?? ''), String(display_name ?? '')],
        });
      if (seen % 50 === 0)
        printError(`${seen} organizations read, ${found.length} have it, ${lengthOf(Date.now() - started)}`);
      await pause();
    }
    from = Array.isArray(page) ? '' : String((page as Json).next ?? '');
  } while (from);
  if (gone > 0) printError(`! ${gone} of ${seen} organizations could not be read: Auth0 answered 404 for them`);
  if (found.length === 0)
    throw new Refusal(`None of the tenant's ${seen} organizations has ${connectionId}. Nothing was started.`);
  return { columns: ['organization_id', 'name', 'display_name'], rows: found };
}

const connectionsIn = (list: unknown): Json[] => {
  const connections = Array.isArray(list) ? list : Object(list).connections;
  return Array.isArray(connections) ? connections : [];
};

interface ManagementApi {
  /** JSON, or undefined for a 404 where `mayBeGone`. Throws a `Refusal`. */
  get(path: string, mayBeGone?: boolean): Promise<unknown>;
  /** The pause that leaves half of the tenant's limit to others, or all but the last call of it in a hurry. */
  pause(): Promise<void> | undefined;
}

/** The tenant's Management API, with the operator's own token from the environment. Throws a `Refusal`. */
function managementApi(isUrgent: boolean): ManagementApi {
  const { base, token } = fromEnvironment();
  let isScarce = true;
  const send = async (path: string) => {
    const response = await fetch(`${base}/api/v2${path}`, {
      headers: { authorization: `Bearer ${token}`, accept: 'application/json' },
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
      redirect: 'error',
    });
    const [left, limit] = ['remaining', 'limit'].map((one) => Number(response.headers.get(`x-ratelimit-${one}`) ?? 0));
    isScarce = (left as number) <= (isUrgent ? 1 : (limit as number) / 2);
    return { response, json: (await response.json().catch(() => undefined)) as Json | undefined };
  };
  const get = async (path: string, mayBeGone = false): Promise<unknown> => {
    for (let attempt = 1; ; attempt++) {
      let [problem, wait] = ['', 1000 * 2 ** Math.min(attempt, 5)];
      try {
        const { response, json } = await send(path);
        if (response.ok && json) return json;
        const isFinal = json !== undefined && response.status < 500 && response.status !== 429;
        // A 404 of Auth0's own: deleted since it was listed.
        if (isFinal && response.status === 404 && mayBeGone) return undefined;
        problem = `Auth0 answered ${response.status}${json ? `: ${plain(json.message ?? json.error)}` : ''}`;
        if (isFinal) throw new Refusal(`${problem}. Nothing was started.`);
        // No wait is ever zero, and repeated refusals wait longer.
        wait = Math.max(wait, Math.min(resetAfter(response), LONGEST_WAIT_MS));
      } catch (error) {
        if (error instanceof Refusal) throw error;
        problem = `Auth0 was not reached: ${reasonOf(error)}`;
      }
      if (attempt === MOST_ATTEMPTS) throw new Refusal(`${problem}. Nothing was started.`);
      await sleep(wait);
    }
  };
  return { get, pause: () => (isScarce ? sleep(PAUSE_MS) : undefined) };
}

/** Milliseconds until Auth0 has room again, as far as it says. */
const resetAfter = ({ headers }: Response): number =>
  Number(headers.get('retry-after')) * 1000 || Number(headers.get('x-ratelimit-reset')) * 1000 - Date.now() || 0;

function fromEnvironment(): { base: string; token: string } {
  const { AUTH0_DOMAIN: domain, AUTH0_TOKEN: token } = process.env;
  if (!domain || !token)
    throw new Refusal(
      'To find the organizations of a connection, set AUTH0_DOMAIN, and AUTH0_TOKEN to a Management API token with read:organizations and read:organization_connections; or name a file.',
    );
  const base = /^(http:\/\/(localhost|127\.0\.0\.1):\d+|https:\/\/[a-z0-9.-]+)$/.test(domain)
    ? domain
    : `https://${domain}`;
  if (!URL.canParse(base) || new URL(base).pathname !== '/' || /[\s\p{Cc}]/u.test(token))
    throw new Refusal('AUTH0_DOMAIN is no domain such as travel0.us.auth0.com, or AUTH0_TOKEN is no token.');
  return { base, token };
}
