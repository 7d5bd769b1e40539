// `cancel`: cancels a plan, batches or single organizations, after a question that says what that does and what it can't do.
import { cancelOrganizations } from './cancel-organizations.ts';
import { Failure, onInterrupt, Refusal } from './ending.ts';
import { linesOf } from './lines.ts';
import { ask } from './question.ts';
import { type Offboarding, ORGANIZATION_ID, PENDING, recordsOf, SETTLED } from './records.ts';
import { connect, PATIENT_MS, type Place, type Service, withQuery } from './service.ts';
import { show, summarize } from './summary.ts';
import { placeOptions, targetOf } from './target.ts';
import { many, plain, print, quoted, reasonOf, tally } from './terminal.ts';
import { follow } from './watching.ts';

export interface CancelOptions extends Place {
  yes?: true;
  reason?: string;
  requestedBy?: string;
}

/** Cancels what `names` name, after a question, and watches it. Resolves to the exit status: 1 where something was not cancelled. */
export async function cancel(names: string[], options: CancelOptions): Promise<number> {
  const organizations = [...new Set(names)].filter((name) => ORGANIZATION_ID.test(name));
  if (organizations.length > 0 && organizations.length < new Set(names).size)
    throw new Refusal('Name organizations, or batches, or one plan: not several kinds at once.');
  const who = {
    ...(options.reason && { reason: options.reason }),
    ...(options.requestedBy && { requested_by: options.requestedBy }),
  };
  const again = `npm run offboard -- cancel ${names.map(quoted).join(' ')}${placeOptions(options)}`;
  if (organizations.length > 0) {
    const service = await connect(options);
    return cancelOrganizations(service, organizations, {
      who,
      again,
      permit: (all) => question(service, all, options.yes),
    });
  }
  return cancelBatches(names, { ...options, who, again });
}

async function cancelBatches(
  names: string[],
  { who, again, ...options }: CancelOptions & { who: Record<string, string>; again: string },
) {
  const { service, batches, plan, named, where } = await targetOf(names, options);
  if (batches.length === 0) throw new Refusal('The plan was not applied: there is nothing to cancel.');
  if (plan && batches.length < plan.keys.length)
    print('! If "apply" is still running somewhere, stop it first: it goes on with the other batches.');
  await question(service, await recordsOf(service, batches), options.yes);
  service.patience = PATIENT_MS;
  onInterrupt({ words: () => `Stopped; something may have been cancelled. To go on: ${again}`, exitStatus: 1 });
  for (const batch_id of batches) {
    const answer = await service
      .call('DELETE', withQuery('/offboardings', { batch_id, ...who }))
      .catch((error: unknown) => {
        throw new Failure(`${reasonOf(error)}. Something may have been cancelled; to go on: ${again}`);
      });
    print(
      `Batch ${batch_id}: ${plain(answer.cancelling)} are being cancelled, ${plain(answer.not_pending)} were not pending. From now on nothing of it begins to be removed.`,
    );
  }
  const stopped = `The watching has stopped; the cancellation goes on by itself. To watch it again:\n  npm run offboard -- status ${named} --watch${where}`;
  await follow({ service, batches, settled: SETTLED.ended, stopped });
  const lines = linesOf(plan, await recordsOf(service, batches));
  show(lines);
  summarize(lines);
  return lines.some(({ record }) => record?.status === 'failed') ? 1 : 0;
}

/** Says what will be enabled and what can't be, and asks. Throws a `Refusal` for a no. */
async function question(service: Service, all: Offboarding[], yes: boolean | undefined): Promise<void> {
  const real = all.filter(({ dry_run }) => !dry_run);
  const disabledByUs = (record: Offboarding) => record.connections.filter((one) => one.disabled_by_offboarding);
  const cancellable = real.filter(({ status }) => PENDING.includes(status) || status === 'failed');
  const willEnable = cancellable.flatMap(disabledByUs);
  const grants = cancellable
    .flatMap(({ client_grants = [] }) => client_grants)
    .filter(({ outcome }) => outcome === 'removed');
  const of = (status: string) => real.filter((record) => record.status === status);
  const removed = real.flatMap(({ connections }) => connections.filter(({ outcome }) => outcome === 'removed'));
  print(service.who);
  print(`On record: ${tally(real.map(({ status }) => status)) || 'nothing'}`);
  print(
    `Will be enabled again: ${many(willEnable.length, 'connection')} that this disabled (and what is being disabled right now).`,
  );
  if (grants.length > 0) print(`Will be restored: ${many(grants.length, 'client grant')}.`);
  if (of('completed').length > 0)
    print(
      `! Not enabled: what is completed (${of('completed').length}) stays as it is, and stays watched. "restore" prints the calls that put it back; "cancel" of the organization itself ends its watch.`,
    );
  if (removed.length > 0) print(`! Removed already, not put back: ${many(removed.length, 'connection')}.`);
  if (of('removing').length > 0)
    print(`! Being removed right now, too late: ${many(of('removing').length, 'organization')}.`);
  await ask({
    question: `Cancel this in ${service.where}?`,
    answer: 'cancel',
    yes,
    otherwise: 'Nothing was cancelled.',
  });
}
