// `cancel`: calls off a plan, batches or single organizations, after a question that says what that does and what it can't do.

import { setTimeout as sleep } from 'node:timers/promises';
import pMap from 'p-map';
import { placeOptions, recordsOf } from './apply.ts';
import { Failure, onInterrupt, Refusal } from './ending.ts';
import { type Offboarding, ORGANIZATION_ID, PENDING, records } from './records.ts';
import { linesOf, show, summarize } from './report.ts';
import { connect, PATIENT_MS, type Place, type Service } from './service.ts';
import { targetOf } from './status.ts';
import { ask, many, plain, quoted, reasonOf, tally } from './terminal.ts';
import { follow } from './watching.ts';

export interface CancelOptions extends Place {
  yes?: true;
  reason?: string;
  requestedBy?: string;
}

const AT_ONCE = 3;
const POLL_MS = 2000;
const SETTLED = ['completed', 'failed', 'cancelled', 'superseded'];

export async function cancel(names: string[], options: CancelOptions): Promise<number> {
  const organizations = [...new Set(names)].filter((name) => ORGANIZATION_ID.test(name));
  if (organizations.length > 0 && organizations.length < new Set(names).size)
    throw new Refusal('Name organizations, or batches, or one plan: not several kinds at once.');
  const who = {
    ...(options.reason && { reason: options.reason }),
    ...(options.requestedBy && { requested_by: options.requestedBy }),
  };
  const again = `npm run offboard -- cancel ${names.map(quoted).join(' ')}${placeOptions(options)}`;
  if (organizations.length > 0)
    return cancelOrganizations(await connect(options), organizations, who, { ...options, again });
  const { service, batches, plan } = await targetOf(names, options);
  if (batches.length === 0) throw new Refusal('The plan was not applied: there is nothing to call off.');
  if (plan && batches.length < plan.keys.length)
    console.log('! If "apply" is still running somewhere, stop it first: it goes on with the other batches.');
  await preview(service, await recordsOf(service, batches), options.yes);
  service.patience = PATIENT_MS;
  onInterrupt(() => `\nStopped; something may have been called off. To go on: ${again}`, 1);
  for (const batch_id of batches) {
    const answer = await service
      .call('DELETE', `/offboardings?${new URLSearchParams({ batch_id, ...who })}`)
      .catch((error: unknown) => {
        throw new Failure(`${reasonOf(error)}. Something may have been called off; to go on: ${again}`);
      });
    console.log(
      `Batch ${batch_id}: ${answer.cancelling} called off, ${answer.not_pending} not pending. Nothing of it is removed from now on.`,
    );
  }
  const stopped = `The watching has stopped; the calling off goes on by itself. See: npm run offboard -- status ${names.map(quoted).join(' ')} --watch${placeOptions(options)}`;
  await follow({ service, batches, settled: SETTLED, stopped });
  const lines = linesOf(plan, await recordsOf(service, batches));
  show(lines);
  summarize(lines);
  return lines.some(({ record }) => record?.status === 'failed') ? 1 : 0;
}

/** Says what will be enabled and what can't be, and asks. */
async function preview(service: Service, all: Offboarding[], yes: boolean | undefined): Promise<void> {
  const real = all.filter(({ dry_run }) => !dry_run);
  const holds = (record: Offboarding) => record.connections.filter((one) => one.disabled_by_offboarding);
  const willEnable = real.filter(({ status }) => PENDING.includes(status) || status === 'failed').flatMap(holds);
  const of = (status: string) => real.filter((record) => record.status === status);
  const removed = real.flatMap(({ connections }) => connections.filter(({ outcome }) => outcome === 'removed'));
  console.log(service.who);
  console.log(`On record: ${tally(real.map(({ status }) => status)) || 'nothing'}`);
  console.log(
    `Will be enabled again: ${many(willEnable.length, 'connection')} that this disabled (and what is being disabled right now).`,
  );
  if (of('completed').length > 0)
    console.log(
      `! Not enabled: what is completed (${of('completed').length}) stays as it is; its watch may end. "restore" prints the calls that put it back.`,
    );
  if (removed.length > 0) console.log(`! Removed already, not put back: ${many(removed.length, 'connection')}.`);
  if (of('removing').length > 0)
    console.log(`! Being removed right now, too late: ${many(of('removing').length, 'organization')}.`);
  await ask(`Call this off in ${service.where}?`, 'cancel', yes);
}

async function cancelOrganizations(
  service: Service,
  organizations: string[],
  who: Record<string, string>,
  { yes, again }: CancelOptions & { again: string },
): Promise<number> {
  const current: Offboarding[] = [];
  for (const organization_id of organizations)
    for await (const record of records(service, { organization_id, limit: '20' })) {
      if (PENDING.includes(record.status) || record.status === 'failed' || record.watch === 'on') current.push(record);
      if (current.length > organizations.length * 20) break;
    }
  await preview(service, current, yes);
  service.patience = PATIENT_MS;
  onInterrupt(() => `\nStopped; something may have been called off. To go on: ${again}`, 1);
  const query = Object.keys(who).length > 0 ? `?${new URLSearchParams(who)}` : '';
  let failed = false;
  const accepted: { organization_id: string; offboarding_id: string }[] = [];
  const one = async (organization_id: string) => {
    const path = `/organizations/${organization_id}/offboarding${query}`;
    try {
      const answer = await service.call('DELETE', path, { answers: [404, 409] });
      const { status, watch, detail } = answer;
      const connections = (answer.connections ?? []) as {
        name: string | null;
        connection_id: string;
        outcome: string | null;
      }[];
      const words = connections.map(
        ({ name, connection_id, outcome }) => `${plain(name ?? connection_id)} ${plain(outcome ?? 'not known yet')}`,
      );
      if (answer.httpStatus >= 400) {
        failed = true;
        console.log(`${organization_id}: not called off: ${plain(detail ?? 'no more was said')}`);
      } else if (status === 'cancelling') {
        accepted.push({ organization_id, offboarding_id: String(answer.offboarding_id) });
        console.log(`${organization_id}: accepted; nothing is removed any more, and what it disabled is being enabled`);
      } else if (status === 'completed') {
        console.log(
          `${organization_id}: ${watch === 'ended' ? 'not watched any more' : 'completed'}; NOTHING was enabled: it stays as it is ("restore ${organization_id}" prints the calls that put it back)`,
        );
      } else console.log(`${organization_id}: ${plain(status)}. ${words.join(', ') || 'Nothing had been disabled'}`);
    } catch (error) {
      failed = true;
      console.log(`${organization_id}: not known whether it was called off: ${reasonOf(error)}. Once more: ${again}`);
    }
  };
  await pMap(organizations, one, { concurrency: AT_ONCE });
  for (const { organization_id, offboarding_id } of accepted) {
    onInterrupt(() => '\nThe watching has stopped; the calling off goes on by itself.', 1);
    for (;;) {
      let record: Offboarding | undefined;
      try {
        for await (const found of records(service, { organization_id }))
          if (found.offboarding_id === offboarding_id) {
            record = found;
            break;
          }
      } catch (error) {
        console.log(`Not seen for now: ${reasonOf(error)}`);
      }
      if (record && !PENDING.includes(record.status)) {
        show(linesOf(undefined, [record]));
        failed ||= record.status === 'failed';
        break;
      }
      await sleep(POLL_MS);
    }
  }
  return failed ? 1 : 0;
}
