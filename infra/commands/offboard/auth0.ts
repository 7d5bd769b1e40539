// The organizations that have a connection. The Management API has no call that lists them by connection (its SDK 7.1 knows
// clients, keys, users and provisioning of a connection, no organizations), so the tenant's organizations are gone through,
// at a pace that leaves the tenant's limits to others, with the operator's own token.
import { setTimeout as sleep } from 'node:timers/promises';
import * as v from 'valibot';
import { pageOf } from '../../../lib/auth0/pages.ts';
import { lenient, parseAs } from '../../../lib/json.ts';
import { Refusal } from './ending.ts';
import type { Row } from './files.ts';
import { ORGANIZATION_ID } from './records.ts';
import { lengthOf, plain, printError, reasonOf } from './terminal.ts';

const Organization = v.object({
  id: v.pipe(v.string(), v.regex(ORGANIZATION_ID)),
  name: lenient(v.string()),
  display_name: lenient(v.string()),
});
type Organization = v.InferOutput<typeof Organization>;
/** Where a page goes on is said in a way that can be followed, or not at all. */
const isReadable = (next: unknown) => next == null || (typeof next === 'string' && next.length <= 1000);
const Organizations = v.pipe(
  v.unknown(),
  v.check((page) => isReadable(Object(page).next)),
  pageOf('organizations', Organization),
);
const PAGE = 100;
/** An organization has ten connections at most: one page has them all, or it is not Auth0's. */
const MOST_CONNECTIONS = 50;
const Connections = v.pipe(
  pageOf('connections', v.object({ connection_id: v.string() })),
  v.check(({ items, total = 0 }) => items.length < MOST_CONNECTIONS && items.length >= total),
);

/** Where the answer does not say how much of the limit is left: half of the scarcest bucket, 100 reads a minute. */
const PAUSE_MS = 1200;
const ANSWER_WITHIN_MS = 30_000;
const MOST_ATTEMPTS = 8;
const LONGEST_WAIT_MS = 120_000;

/** The organizations of the tenant at AUTH0_DOMAIN that have `connectionId`, with their names. Throws a `Refusal`. */
export async function organizationsWith(
  connectionId: string,
  isUrgent: boolean,
): Promise<{ columns: string[]; rows: Row[] }> {
  const api = managementApi(isUrgent);
  const all = await allOrganizations(api);
  const found: Row[] = [];
  let gone = 0;
  const started = Date.now();
  for (const [index, { id, name = '', display_name = '' }] of all.entries()) {
    // The list, as a 404 of the organization connection alone could mean many things.
    const path = `/organizations/${id}/connections?include_totals=true&page=0&per_page=${MOST_CONNECTIONS}`;
    const list = await api.get(path, Connections, true);
    if (list === undefined) gone++;
    else if (list.items.some(({ connection_id }) => connection_id === connectionId))
      found.push({ organization_id: id, line: found.length + 1, cells: [id, name, display_name] });
    if ((index + 1) % 50 === 0)
      printError(
        `${index + 1} of ${all.length} organizations read, ${found.length} have it, ${lengthOf(Date.now() - started)}`,
      );
    await api.pause();
  }
  if (gone > 0) printError(`! ${gone} of ${all.length} organizations could not be read: Auth0 answered 404 for them`);
  if (found.length === 0)
    throw new Refusal(`None of the tenant's ${all.length} organizations has ${connectionId}. Nothing was started.`);
  return { columns: ['organization_id', 'name', 'display_name'], rows: found };
}

/** All organizations of the tenant, and never a part of them ("Pagination", Management API). Throws a `Refusal`. */
async function allOrganizations({ get, pause }: ManagementApi): Promise<Organization[]> {
  const all = new Map<string, Organization>();
  let query = `take=${PAGE}`;
  for (;;) {
    const page = await get(`/organizations?${query}`, Organizations);
    const before = all.size;
    for (const one of page?.items ?? []) all.set(one.id, one);
    await pause();
    if (page?.next === undefined) {
      // The last page is seldom full. Where it is, Auth0 has to say that there are no more.
      const isFull = (page?.items.length ?? 0) >= PAGE;
      const total = page?.total ?? (isFull ? await totalOf(get) : 0);
      if (total !== undefined && all.size >= total) return [...all.values()];
      throw incomplete(all.size, total);
    }
    if (all.size === before) throw incomplete(all.size, page.total);
    query = `take=${PAGE}&from=${encodeURIComponent(page.next)}`;
  }
}

const totalOf = async (get: ManagementApi['get']) =>
  (await get('/organizations?include_totals=true&page=0&per_page=1', Organizations))?.total;

const incomplete = (seen: number, total: number | undefined) =>
  new Refusal(
    `Auth0 lists ${seen}${total === undefined ? '' : ` of ${total}`} organizations and does not name the rest: name a file with the organizations. Nothing was started.`,
  );

interface ManagementApi {
  /** JSON as `schema` reads it, or undefined for a 404 where `mayBeGone`. Throws a `Refusal`. */
  get<S extends v.GenericSchema>(path: string, schema: S, mayBeGone?: boolean): Promise<v.InferOutput<S> | undefined>;
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
    return { response, json: (await response.json().catch(() => undefined)) as unknown };
  };
  const get: ManagementApi['get'] = async (path, schema, mayBeGone = false) => {
    for (let attempt = 1; ; attempt++) {
      let [problem, wait] = ['', 1000 * 2 ** Math.min(attempt, 5)];
      try {
        const { response, json } = await send(path);
        const parsed = response.ok ? parseAs(schema, json) : undefined;
        if (parsed !== undefined) return parsed;
        const isFinal = !response.ok && json !== undefined && response.status < 500 && response.status !== 429;
        // A 404 of Auth0's own: deleted since it was listed.
        if (isFinal && response.status === 404 && mayBeGone) return undefined;
        problem = response.ok
          ? `Auth0's answer to GET ${path.split('?')[0]} is no whole list`
          : wordsOf(response, json);
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

function wordsOf({ status }: Response, json: unknown): string {
  const { message, error } = Object(json);
  return `Auth0 answered ${status}${message || error ? `: ${plain(message ?? error)}` : ''}`;
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
