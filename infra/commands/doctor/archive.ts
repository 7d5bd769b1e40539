// A restored table against what the service has said since: outcome events, which a replay of the archive has put into a queue, and
// Auth0's present state. It reads messages and leaves them there.
import { setTimeout as sleep } from 'node:timers/promises';
import { GetQueueUrlCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
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
/** A message that was read is not handed out again for as long. */
const HIDDEN_S = 600;
const READS_WITHOUT_ANY = 3;
const SHOWN = 50;

/** Compares every offboarding of the archive's outcomes, and every pending one with Auth0. Each difference is a finding. */
export async function compareWithArchive(place: Place, get: Get, queue: string): Promise<void> {
  const { findings } = place;
  const outcomes = await findings.seen(`queue ${queue}`, outcomesIn(place, queue), () =>
    findings.missing(`queue ${queue}`, 'it is not there', 'Replay the archive into it first (docs/runbook.md)'),
  );
  if (!outcomes) return;
  const older: string[] = [];
  for (const outcome of outcomes) {
    const { organization_id, offboarding_id } = outcome;
    const query = new URLSearchParams({ organization_id, offboarding_id });
    const { offboardings } = await get(`/offboardings?${query}`);
    const difference = differenceOf(outcome, Object([offboardings].flat()[0]));
    if (difference) older.push(`${organization_id}: ${difference}`);
  }
  report(place, 'records and the archive', `${outcomes.length} offboardings`, older);
  report(place, 'records and Auth0', 'all that are scheduled', await enabledInAuth0(get));
}

/** In what a record is older than an outcome; undefined where it is not. */
export function differenceOf({ offboarding_id, status, time }: Outcome, record: Json): string | undefined {
  const said = `the service said ${status} of ${offboarding_id} at ${time}`;
  if (record.offboarding_id !== offboarding_id) return `${said}, and the table does not know it`;
  const now = String(record.status);
  return (ORDER[now] ?? 0) < (ORDER[status] ?? 0) ? `${said}, and the table says ${now}` : undefined;
}

function report({ findings, stage }: Place, what: string, all: string, found: string[]): void {
  if (found.length === 0) findings.ok(what, `${all} agree`);
  for (const one of found.slice(0, SHOWN))
    findings.missing(
      what,
      one,
      `Before the worker goes on: npm run offboard -- cancel ${one.split(':')[0]} --stage ${stage}, or request it anew`,
    );
  if (found.length > SHOWN) findings.missing(what, `and ${found.length - SHOWN} more`, 'Mend these, then run it again');
}

/** The last outcome of each offboarding, of the events in the queue. */
async function outcomesIn({ client }: Place, QueueName: string): Promise<Outcome[]> {
  const sqs = new SQSClient({ ...client, useQueueUrlAsEndpoint: false });
  const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName }));
  const last = new Map<string, Outcome>();
  for (let empty = 0; empty < READS_WITHOUT_ANY; ) {
    const query = { QueueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: HIDDEN_S, WaitTimeSeconds: 1 };
    const { Messages = [] } = await sqs.send(new ReceiveMessageCommand(query));
    empty = Messages.length > 0 ? 0 : empty + 1;
    if (Messages.length === 0) await sleep(200);
    for (const { Body = '' } of Messages) {
      const outcome = outcomeOf(JSON.parse(Body));
      const known = outcome && last.get(outcome.offboarding_id);
      if (outcome && (!known || known.time <= outcome.time)) last.set(outcome.offboarding_id, outcome);
    }
  }
  return [...last.values()];
}

/** What an event of the bus says of an offboarding's record; undefined where it says nothing. */
export function outcomeOf(event: Json): Outcome | undefined {
  const { 'detail-type': type, source, time, detail } = event;
  const { organization_id, offboarding_id, dry_run } = Object(detail);
  const status = String(type).replace(PREFIX, '');
  if (source !== 'org-connections' || dry_run === true || !offboarding_id || !(status in ORDER)) return undefined;
  return { organization_id, offboarding_id, status, time: String(time) };
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
