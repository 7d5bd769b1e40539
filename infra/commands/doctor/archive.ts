// A restored table against what the service has said since: outcome events, which a replay of the archive has put into a queue, and
// Auth0's present state.
import { parseJson } from '../../../lib/json.ts';
import { HIDDEN_S, type Replayed, replayedEvents } from './archive-queue.ts';
import type { Place } from './place.ts';
import type { Get } from './service.ts';

type Json = Record<string, unknown>;
interface Outcome {
  organization_id: string;
  offboarding_id: string;
  /** The status that the record had at least when the service said this. */
  status: string;
  /** Of the event, ISO 8601. */
  time: string;
}

/** A record goes from a smaller number to a greater one, and never back. */
const ORDER: Record<string, number> = {
  ...{ requested: 0, working: 1, scheduled: 2, removing: 3, cancelling: 3 },
  ...{ superseded: 4, completed: 5, failed: 5, cancelled: 5 },
};
const PREFIX = 'organization.offboarding.';
/** A request by event that fails with one of these was never accepted, and has no record. */
const REFUSED = ['invalid_message', 'idempotency_key_reused'];
const ORGANIZATION_ID = /^org_[A-Za-z0-9]{1,50}$/;
const SHOWN = 50;
const SHOWN_CHARACTERS = 200;
const WHAT = 'records and the archive';

/** Compares every offboarding of the archive's outcomes, and every pending one with Auth0. Each difference is a finding. */
export async function compareWithArchive(place: Place, get: Get, queue: string): Promise<void> {
  const { findings } = place;
  const replayed = await findings.seen(`queue ${queue}`, replayedEvents(place, queue), () =>
    findings.missing(`queue ${queue}`, 'it is not there', 'Replay the archive into it first (docs/runbook.md)'),
  );
  if (!replayed) return;
  const { outcomes, malformed } = outcomesOf(replayed.bodies);
  const isWhole = sayWhatIsLacking(place, queue, replayed, outcomes.length);
  for (const one of malformed.slice(0, SHOWN))
    findings.unknown(`queue ${queue}`, `a malformed event was left out: ${one}. Look up by hand what it is about`);
  if (malformed.length > SHOWN)
    findings.unknown(`queue ${queue}`, `and ${malformed.length - SHOWN} more are malformed`);
  const { older, unread } = await compareEach(get, outcomes);
  if (unread.length > 0) findings.unknown(WHAT, `${unread.length} offboardings were not compared. ${unread[0]}`);
  const isCompared = isWhole && malformed.length + unread.length === 0;
  report(place, WHAT, isCompared ? `${outcomes.length} offboardings` : undefined, older);
  const enabled = await enabledInAuth0(get).catch((error: Error) =>
    findings.unknown('records and Auth0', error.message),
  );
  if (enabled) report(place, 'records and Auth0', 'all that are scheduled', enabled);
}

/** Whether the queue gave all that is needed for a comparison to mean something; what it lacks is a finding. */
function sayWhatIsLacking({ findings }: Place, queue: string, { inFlight, ...replayed }: Replayed, outcomes: number) {
  const what = `queue ${queue}`;
  const minutes = HIDDEN_S / 60;
  if (inFlight > 0)
    findings.missing(
      what,
      `${inFlight} messages are in flight: somebody else reads them, or a run that was cut off, and they are not compared`,
      `Wait ${minutes} minutes, then run this again`,
    );
  else if (replayed.bodies.length === 0)
    findings.missing(
      what,
      'it gave no events, so nothing was compared',
      'Wait until the replay is COMPLETED (aws events describe-replay), or replay from an earlier time, so that at least one event comes (docs/runbook.md)',
    );
  else if (outcomes === 0)
    findings.missing(
      what,
      `none of its ${replayed.bodies.length} events says how an offboarding stands, so nothing was compared`,
      'Replay from an earlier time (docs/runbook.md)',
    );
  if (replayed.notReleased !== undefined)
    findings.unknown(
      what,
      `what was read stays hidden for ${minutes} minutes (${replayed.notReleased}). Wait so long before you run this again`,
    );
  return inFlight === 0 && outcomes > 0;
}

/** Outcomes whose record is older, and those whose record could not be read; a sentence each. */
async function compareEach(get: Get, outcomes: Outcome[]) {
  const [older, unread]: [string[], string[]] = [[], []];
  for (const outcome of outcomes) {
    const { organization_id, offboarding_id } = outcome;
    const query = new URLSearchParams({ organization_id, offboarding_id });
    try {
      const { offboardings } = await get(`/offboardings?${query}`);
      const difference = differenceOf(outcome, Object([offboardings].flat()[0]));
      if (difference) older.push(`${organization_id}: ${difference}`);
    } catch (error) {
      unread.push(`${organization_id}: ${(error as Error).message}`);
    }
  }
  return { older, unread };
}

/** In what a record is older than an outcome; undefined where it is not. */
export function differenceOf({ offboarding_id, status, time }: Outcome, record: Json): string | undefined {
  const said = `the service said ${status} of ${offboarding_id} at ${time}`;
  if (record.offboarding_id !== offboarding_id) return `${said}, and the table does not know it`;
  const now = String(record.status);
  return (ORDER[now] ?? 0) < (ORDER[status] ?? 0) ? `${said}, and the table says ${now}` : undefined;
}

/** `all` says what agrees where nothing was found; undefined where not all was compared. */
function report({ findings, stage }: Place, what: string, all: string | undefined, found: string[]): void {
  if (found.length === 0 && all !== undefined) findings.ok(what, `${all} agree`);
  for (const one of found.slice(0, SHOWN))
    findings.missing(
      what,
      one,
      `Before the worker goes on: npm run offboard -- cancel ${one.split(':')[0]} --stage ${stage}, or request it anew`,
    );
  if (found.length > SHOWN) findings.missing(what, `and ${found.length - SHOWN} more`, 'Mend these, then run it again');
}

/** The last outcome of each offboarding, and the events that should say something of one and do not. */
export function outcomesOf(bodies: string[]) {
  const last = new Map<string, Outcome>();
  const malformed: string[] = [];
  for (const body of bodies) {
    const outcome = outcomeOf(eventIn(body));
    if (outcome === 'malformed') malformed.push(body.slice(0, SHOWN_CHARACTERS));
    else if (outcome) {
      const known = last.get(outcome.offboarding_id);
      if (!known || known.time <= outcome.time) last.set(outcome.offboarding_id, outcome);
    }
  }
  return { outcomes: [...last.values()], malformed };
}

function eventIn(body: string): Json | undefined {
  const value = parseJson(body);
  return typeof value === 'object' && value !== null ? (value as Json) : undefined;
}

/** What an event of the bus says of an offboarding's record; undefined where it says nothing of one. */
export function outcomeOf(event: Json | undefined): Outcome | 'malformed' | undefined {
  if (event === undefined) return 'malformed';
  const { 'detail-type': type, source, time, detail } = event;
  const status = String(type).replace(PREFIX, '');
  if (source !== 'org-connections' || !Object.hasOwn(ORDER, status)) return undefined;
  const { organization_id, offboarding_id, dry_run, error } = Object(detail);
  if (dry_run === true || offboarding_id === null || REFUSED.includes(Object(error).code)) return undefined;
  const isText = typeof offboarding_id === 'string' && offboarding_id !== '' && typeof time === 'string';
  return isText && ORGANIZATION_ID.test(organization_id)
    ? { organization_id, offboarding_id, status, time }
    : 'malformed';
}

/** Organizations with a scheduled removal of which Auth0 shows a connection enabled that the offboarding had disabled. */
async function enabledInAuth0(get: Get): Promise<string[]> {
  const found: string[] = [];
  for (let cursor: unknown = ''; cursor !== null && cursor !== undefined; ) {
    const query = new URLSearchParams({ status: 'scheduled', ...(cursor !== '' && { cursor: String(cursor) }) });
    const page = await get(`/offboardings?${query}`);
    for (const { organization_id } of [page.offboardings].flat() as Json[]) {
      const { connections } = await get(`/organizations/${organization_id}/offboarding`);
      const enabled = ([connections].flat() as Json[]).filter(
        (one) => one?.is_enabled === true && one.disabled_by_offboarding === true,
      );
      if (enabled.length > 0)
        found.push(`${organization_id}: Auth0 shows ${enabled.map((one) => one.connection_id).join(', ')} enabled`);
    }
    cursor = page.cursor;
  }
  return found;
}
