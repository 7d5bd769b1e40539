// The service's HTTP API, as the command calls it: found, signed for, and waited for.
import { setTimeout as sleep } from 'node:timers/promises';
import { parseJson } from '../../../lib/json.ts';
import type { Operator } from './credentials.ts';
import { Failure, Refusal } from './ending.ts';
import { isCertificateFault, networkAdviceFor, networkFaultOf } from './network.ts';
import { lengthOf, plain, printError, reasonOf } from './terminal.ts';

export interface Place {
  stage?: string | undefined;
  url?: string | undefined;
  region?: string | undefined;
  profile?: string | undefined;
}

type Json = Record<string, unknown>;
interface Extras {
  body?: object;
  /** The idempotency key, and what the records are found by afterwards. */
  key?: string;
  /** A problem with one of these statuses is an answer. */
  answers?: number[];
}

export interface Service {
  /** "stage prod (eu-west-1)". */
  where: string;
  /** The operator and the place, as a sentence that is shown first. */
  who: string;
  place: Pick<Place, 'stage' | 'url'>;
  operator: Operator | undefined;
  /** How long a call may retry after transient errors, milliseconds. */
  patience: number;
  call(method: string, path: string, extras?: Extras): Promise<Json & { httpStatus: number }>;
}

/** The operator's session has ended: no call is answered until the operator has logged in again. */
export class SessionEnded extends Failure {}

/** A path with its query, encoded as a signature encodes it: what is signed is what is sent. */
export function withQuery(path: string, query: Record<string, string>): string {
  const parts = Object.entries(query).map(([name, value]) => `${name}=${encoded(value)}`);
  return parts.length > 0 ? `${path}?${parts.join('&')}` : path;
}
const encoded = (text: string) =>
  encodeURIComponent(text.toWellFormed()).replace(
    /[!'()*]/g,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
  );

/** A call that was not answered as it should be. */
export class CallFailed extends Error {
  /** Whether it may have been carried out all the same. */
  readonly isUncertain: boolean;
  readonly status: number | undefined;

  constructor(message: string, isUncertain: boolean, status?: number) {
    super(message);
    this.isUncertain = isUncertain;
    this.status = status;
  }
}

/** How long a call retries before anything is started; afterwards it is `PATIENT_MS`. */
const PATIENCE_MS = 20_000;
export const PATIENT_MS = 20 * 60_000;
/** API Gateway ends a request after 30 s. */
const ANSWER_WITHIN_MS = 35_000;
const LONGEST_PAUSE_MS = 30_000;
const SAY_AGAIN_MS = 60_000;

/** The service at a stage or an address. Sends nothing to it yet. */
export async function connect(place: Place): Promise<Service> {
  const { stage, url } = place;
  if (Boolean(stage) === Boolean(url)) throw new Refusal('Say where: either --stage or --url.');
  if (stage && !/^[a-z][a-z0-9-]{0,19}$/.test(stage))
    throw new Refusal('A stage is a word such as dev, staging or prod.');
  const address = url === undefined ? undefined : addressIn(url);
  if (address && isLoopback(address)) {
    const base = address.href.replace(/\/+$/, '');
    return {
      ...serviceAt(base, fetch, undefined),
      where: base,
      who: `This machine's ${base}, where no request is signed.`,
      place: { url: base },
    };
  }
  const region = place.region ?? /\.execute-api\.([a-z0-9-]+)\.amazonaws\.com/.exec(address?.hostname ?? '')?.[1];
  // AWS's SDK takes a second to load: it is loaded only where it is needed.
  const { operator } = await import('./credentials.ts');
  const who = await operator({ ...(region && { region }), ...(place.profile && { profile: place.profile }) });
  const base = (address?.href ?? (await addressOf(stage as string, who))).replace(/\/+$/, '');
  // The only place where requests are signed.
  const { signedFetchAs } = await import('../signed-fetch.ts');
  const send = signedFetchAs(who.client.credentials, who.region);
  const where = stage ? `stage ${stage} (${who.region})` : base;
  const said = `You are ${who.arn}, in account ${who.account}; ${where}.`;
  return { ...serviceAt(base, send as never, who), where, who: said, place: stage ? { stage } : { url: base } };
}

function addressIn(url: string): URL {
  const address = URL.canParse(url) ? new URL(url) : undefined;
  if (!address || !/^https?:$/.test(address.protocol) || address.username || address.search || address.hash)
    throw new Refusal('The --url is no address of an API, such as https://….execute-api.eu-west-1.amazonaws.com.');
  if (address.protocol === 'http:' && !isLoopback(address))
    throw new Refusal('The --url must begin with https:// (http:// is for this machine alone).');
  return address;
}

const isLoopback = ({ protocol, hostname }: URL) =>
  protocol === 'http:' && ['localhost', '127.0.0.1', '[::1]'].includes(hostname);

async function addressOf(stage: string, { client, account, region }: Operator): Promise<string> {
  const { CloudFormationClient, DescribeStacksCommand } = await import('@aws-sdk/client-cloudformation');
  const StackName = `org-connections-${stage}`;
  const query = new DescribeStacksCommand({ StackName });
  const { Stacks } = await new CloudFormationClient(client).send(query).catch((error: unknown) => {
    throw new Refusal(`The stage ${stage} was not found in ${region}, account ${account}: ${reasonOf(error)}.`);
  });
  const found = Stacks?.[0]?.Outputs?.find(({ OutputKey }) => OutputKey === 'ApiUrl')?.OutputValue;
  if (!found) throw new Refusal(`The stage ${stage} in ${region}, account ${account}, has no API.`);
  return found;
}

interface Attempt {
  base: string;
  send: typeof fetch;
  method: string;
  path: string;
  extras: Extras;
  who: Operator | undefined;
}

/** What one attempt came to: an answer, or words for a transient error with the seconds that the service wants to be left alone. */
type Outcome =
  | { answer: Json & { httpStatus: number } }
  | { words: string; isUncertain: boolean; retryAfterMs: number };

function serviceAt(
  base: string,
  send: typeof fetch,
  who: Operator | undefined,
): Omit<Service, 'where' | 'who' | 'place'> {
  let saidAt = 0;
  return {
    operator: who,
    patience: PATIENCE_MS,
    async call(method, path, extras = {}) {
      const end = Date.now() + this.patience;
      let isUncertain = false;
      for (let attempt = 1; ; attempt++) {
        const outcome = await attemptOnce({ base, send, method, path, extras, who }).catch((error: unknown) => {
          // What was sent before may have been carried out, whatever is answered now.
          if (isUncertain && error instanceof CallFailed) throw new CallFailed(error.message, true, error.status);
          if (isUncertain && error instanceof SessionEnded) throw new CallFailed(`${error.message}.`, true);
          throw error;
        });
        if ('answer' in outcome) return outcome.answer;
        const { words, retryAfterMs } = outcome;
        isUncertain ||= outcome.isUncertain;
        const backoff = 500 * 2 ** Math.min(attempt, 6) * (0.75 + Math.random() / 2);
        const wait = Math.min(LONGEST_PAUSE_MS, Math.max(retryAfterMs, backoff));
        if (Date.now() + wait > end) throw new CallFailed(`${words}.`, isUncertain);
        if (attempt > 1 && Date.now() - saidAt > SAY_AGAIN_MS) {
          saidAt = Date.now();
          printError(`${words}; trying again in ${lengthOf(wait)}`);
        }
        await sleep(wait);
      }
    },
  };
}

/** Sends the request once. Throws `CallFailed` where the answer is final, and `SessionEnded` where the credentials have expired. */
async function attemptOnce({ base, send, method, path, extras, who }: Attempt): Promise<Outcome> {
  const { body, key, answers = [] } = extras;
  const route = `${method} ${path.split('?')[0]}`;
  let response: Response;
  let text: string;
  try {
    response = await send(base + path, {
      method,
      headers: {
        ...(body && { 'content-type': 'application/json' }),
        ...(key && { 'idempotency-key': key, 'x-correlation-id': key }),
      },
      ...(body && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
      redirect: 'error',
    });
    text = await response.text();
  } catch (error) {
    return withoutAnswer(base, error, who);
  }
  const json = objectIn(text);
  const { status } = response;
  if (json && (response.ok || answers.includes(status))) return { answer: { ...json, httpStatus: status } };
  if (who && status === 403 && hasExpired(response, json)) throw sessionEnded(who);
  const words = `${route} was answered ${status}: ${wordsOf(json, status, who)}`;
  if (response.ok) throw new CallFailed(`${words}. Is ${base} an org-connections?`, true, status);
  if (status < 500 && status !== 429) throw new CallFailed(`${words}.`, false, status);
  const after = Number(response.headers.get('retry-after'));
  return { words, isUncertain: status >= 500, retryAfterMs: after > 0 ? after * 1000 : 0 };
}

function withoutAnswer(base: string, error: unknown, who: Operator | undefined): Outcome {
  const isNetwork = networkFaultOf(error) !== undefined;
  if (isCertificateFault(error))
    throw new CallFailed(`${base} was not reached: ${networkFaultOf(error)}. ${networkAdviceFor(error)}`, false);
  if (who && isAboutCredentials(error) && !isNetwork) throw sessionEnded(who, reasonOf(error));
  // Only a connection that was never there has certainly carried nothing.
  const isUncertain = !['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN'].includes(codeOf(error)) && !isAboutCredentials(error);
  return { words: `${base} was not reached or did not answer: ${reasonOf(error)}`, isUncertain, retryAfterMs: 0 };
}

function objectIn(text: string): Json | undefined {
  const json = parseJson(text);
  return json !== null && typeof json === 'object' && !Array.isArray(json) ? (json as Json) : undefined;
}

function wordsOf(json: Json | undefined, status: number, who: Operator | undefined): string {
  const { detail, message, upstream } = json ?? {};
  const auth0 = Object(upstream).message;
  const words = plain(detail ?? message ?? 'no more was said').replace(/\.$/, '');
  if (status === 403 && /signature (expired|not yet current)/i.test(words))
    return `${words} (is the clock of this machine right?)`;
  if (status === 403 && who) return `${words} (${who.arn} needs the policy of this route, see the stack's outputs)`;
  return typeof auth0 === 'string' ? `${words} (Auth0: "${plain(auth0)}")` : words;
}

/** API Gateway's refusal of credentials that have run out, or that AWS knows no more. */
function hasExpired({ headers }: Response, json: Json | undefined): boolean {
  const type = headers.get('x-amzn-errortype') ?? '';
  const words = String(json?.message ?? '');
  return /ExpiredToken|UnrecognizedClient/.test(type) || /security token.*(expired|invalid)/i.test(words);
}

function sessionEnded({ arn, advice }: Operator, why = ''): SessionEnded {
  return new SessionEnded(`The session of ${arn} has ended${why && ` (${why})`}. Please ${advice}`);
}

const codeOf = (error: unknown): string => Object(Object(error).cause).code ?? Object(error).code ?? '';
const isAboutCredentials = (error: unknown) =>
  /Credential|ExpiredToken|TokenProvider|SSO/.test(Object(error).name ?? '');
