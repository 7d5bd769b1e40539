// Cancels the offboardings of single organizations, and tells what came of each.
import { setTimeout as sleep } from 'node:timers/promises';
import pMap from 'p-map';
import { Failure, onInterrupt } from './ending.ts';
import { linesOf } from './lines.ts';
import { type Offboarding, PENDING, records, recordsOfOrganization } from './records.ts';
import { PATIENT_MS, type Service, SessionEnded, withQuery } from './service.ts';
import { show } from './summary.ts';
import { plain, print, reasonOf } from './terminal.ts';

const AT_ONCE = 3;
const POLL_MS = 2000;

interface Cancellation {
  /** `reason` and `requested_by`, where they are given. */
  who: Record<string, string>;
  /** The command that does it once more. */
  again: string;
  permit: (current: Offboarding[]) => Promise<void>;
}
/** What one `DELETE` came to. */
interface Cancelled {
  organization_id: string;
  /** A cancellation that was accepted and goes on by itself. */
  offboarding_id?: string;
  hasFailed?: true;
}

/** Resolves to the exit status: 1 where something was not cancelled. */
export async function cancelOrganizations(
  service: Service,
  organizations: string[],
  { who, again, permit }: Cancellation,
) {
  await permit(await currentOnes(service, organizations));
  service.patience = PATIENT_MS;
  onInterrupt({ words: () => `Stopped; something may have been cancelled. To go on: ${again}`, exitStatus: 1 });
  const one = (organization_id: string) =>
    cancelOne(service, organization_id, who).catch((error: unknown): Cancelled => {
      print(`${organization_id}: nobody knows whether it was cancelled: ${reasonOf(error)}. Once more: ${again}`);
      return { organization_id, hasFailed: true };
    });
  const all = await pMap(organizations, one, { concurrency: AT_ONCE });
  let hasFailed = all.some((cancelled) => cancelled.hasFailed);
  for (const { organization_id, offboarding_id } of all) {
    if (offboarding_id === undefined) continue;
    const record = await watchCancellation(service, organization_id, offboarding_id);
    show(linesOf(undefined, [record]));
    hasFailed ||= record.status === 'failed';
  }
  return hasFailed ? 1 : 0;
}

async function currentOnes(service: Service, organizations: string[]): Promise<Offboarding[]> {
  const current: Offboarding[] = [];
  for (const organization_id of organizations) {
    const isCurrent = ({ status, watch }: Offboarding) =>
      PENDING.includes(status) || status === 'failed' || watch === 'on';
    current.push(...(await recordsOfOrganization(service, organization_id)).filter(isCurrent));
  }
  return current;
}

async function cancelOne(service: Service, organization_id: string, who: Record<string, string>): Promise<Cancelled> {
  const path = withQuery(`/organizations/${organization_id}/offboarding`, who);
  const answer = await service.call('DELETE', path, { answers: [404, 409] });
  const { status, watch, detail } = answer;
  if (answer.httpStatus === 404) {
    print(
      `${organization_id}: nothing to cancel: ${plain(detail ?? 'no more was said')}. Requests from before now that arrive later are cancelled, too.`,
    );
    return { organization_id, hasFailed: true };
  }
  if (answer.httpStatus >= 400) {
    print(`${organization_id}: not cancelled: ${plain(detail ?? 'no more was said')}`);
    return { organization_id, hasFailed: true };
  }
  if (status === 'cancelling') {
    print(`${organization_id}: accepted; nothing is removed any more, and what it disabled is being enabled`);
    return { organization_id, offboarding_id: String(answer.offboarding_id) };
  }
  if (status === 'completed')
    print(
      `${organization_id}: ${watch === 'ended' ? 'not watched any more' : 'completed'}; NOTHING was enabled: it stays as it is ("restore ${organization_id}" prints the calls that put it back)`,
    );
  else print(`${organization_id}: ${plain(status)}. ${wordsOf(answer.connections) || 'Nothing had been disabled'}`);
  return { organization_id };
}

const wordsOf = (connections: unknown) =>
  ((connections ?? []) as Offboarding['connections'])
    .map(({ name, connection_id, outcome }) => `${plain(name ?? connection_id)} ${plain(outcome ?? 'not known yet')}`)
    .join(', ');

/** Resolves to the record when the cancellation has ended. No transient error ends the watching. */
async function watchCancellation(
  service: Service,
  organization_id: string,
  offboarding_id: string,
): Promise<Offboarding> {
  const stopped = 'The watching has stopped; the cancellation goes on by itself.';
  onInterrupt({ words: () => stopped, exitStatus: 1 });
  for (;;) {
    try {
      for await (const record of records(service, { organization_id, offboarding_id }))
        if (!PENDING.includes(record.status)) return record;
    } catch (error) {
      if (error instanceof SessionEnded) throw new Failure(`${error.message}. ${stopped}`);
      print(`Not seen for now: ${reasonOf(error)}`);
    }
    await sleep(POLL_MS);
  }
}
