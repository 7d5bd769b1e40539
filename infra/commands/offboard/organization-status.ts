// How one organization stands: its connections in Auth0 now, what is pending, and what was done.
import { Refusal } from './ending.ts';
import { linesOf } from './lines.ts';
import { grantOf, type Offboarding, type RemainingAccess, records } from './records.ts';
import { writeReport } from './report.ts';
import { connect, type Place, type Service } from './service.ts';
import { leftEnabled, standingOf } from './standing.ts';
import { hasFailed, show } from './summary.ts';
import { placeOptions } from './target.ts';
import { dateOf, plain, print } from './terminal.ts';

interface Options extends Place {
  watch?: true;
  report?: string;
}
/** The answer of GET /organizations/{organization_id}/offboarding. */
interface Current {
  organization_name?: string | null;
  offboarding_id: string | null;
  status: string | null;
  connections_source: string;
  connections: {
    connection_id: string;
    name: string | null;
    strategy: string | null;
    is_enabled: boolean | null;
    removal_pending?: boolean;
    disabled_by_offboarding?: boolean;
  }[];
  remaining_access?: RemainingAccess[] | null;
  watch?: string | null;
  last_drift_check_at?: string | null;
  next_drift_check_at?: string | null;
  drift_count?: number;
}

const MOST_SHOWN = 20;

/** Shows the organization, or one offboarding of it. Throws a `Refusal` where there is no such offboarding. */
export async function organizationStatus(
  { organization_id, offboarding_id }: { organization_id: string; offboarding_id?: string },
  options: Options,
): Promise<number> {
  if (options.watch) throw new Refusal('--watch is for a plan or batches.');
  const service = await connect(options);
  const query = { organization_id, ...(offboarding_id && { offboarding_id }) };
  const all: Offboarding[] = [];
  for await (const record of records(service, query)) if (!record.dry_run || offboarding_id) all.push(record);
  if (offboarding_id && all.length === 0)
    throw new Refusal(`${organization_id} has no offboarding ${offboarding_id} in ${service.where}.`);
  if (!offboarding_id) await showCurrent(service, organization_id);
  if (all.length === 0) print('Nothing is on record.');
  for (const record of all.slice(0, MOST_SHOWN)) showOffboarding(record, placeOptions(service.place));
  if (all.length > MOST_SHOWN) print(`… and ${all.length - MOST_SHOWN} earlier ones; --report has them all.`);
  writeReport(options.report, linesOf(undefined, all), {
    title: `Offboardings of ${organization_id}`,
    where: service.where,
  });
  const newest = all[0];
  return newest && hasFailed([newest]) && newest.status !== 'cancelled' ? 1 : 0;
}

async function showCurrent(service: Service, organization_id: string): Promise<void> {
  const current = (await service.call('GET', `/organizations/${organization_id}/offboarding`)) as unknown as Current;
  const { connections, remaining_access, status } = current;
  const source =
    current.connections_source === 'auth0' ? 'as Auth0 has them now' : 'from the record: Auth0 did not answer';
  print(
    `${organization_id}${current.organization_name ? `  ${plain(current.organization_name)}` : ''}: ${plain(status ?? 'nothing is pending or done')}`,
  );
  const isKnown = current.connections_source === 'auth0' || connections.length > 0;
  print(`Connections, ${source}:${connections.length > 0 ? '' : isKnown ? ' none' : ' not known'}`);
  for (const one of connections) {
    const state = one.is_enabled === null ? 'not known' : one.is_enabled ? 'ENABLED' : 'disabled';
    const ours = one.disabled_by_offboarding ? ' (by an offboarding: "cancel" enables it)' : '';
    const strategy = one.strategy ? ` (${plain(one.strategy)})` : '';
    print(
      `  ${plain(one.name ?? one.connection_id)}${strategy} ${one.connection_id}: ${state}${ours}${one.removal_pending ? ', removal pending' : ''}`,
    );
  }
  if (!remaining_access) print('Client grants: not known.');
  else
    for (const access of remaining_access)
      print(`! Remaining: ${grantOf(access)}: machines of the customer still get in.`);
  if (current.watch === 'on')
    print(
      `Drift checks: last ${current.last_drift_check_at ? dateOf(current.last_drift_check_at) : 'not made yet'}, next ${current.next_drift_check_at ? dateOf(current.next_drift_check_at) : 'not planned'}; drift found ${timesOf(current.drift_count ?? 0)}.`,
    );
}

const timesOf = (count: number) => (count === 1 ? 'once' : `${count} times`);

/** One offboarding with its dates and people. */
export function showOffboarding(record: Offboarding, where: string): void {
  const due =
    record.removal_due_at && record.status === 'scheduled' ? `, removal on ${dateOf(record.removal_due_at)}` : '';
  print(
    `\n${dateOf(record.requested_at)}: ${plain(record.action)}${record.dry_run ? ' (dry run)' : ''}${due}\n  by ${plain(record.requested_by)}: ${plain(record.reason)}\n  offboarding ${plain(record.offboarding_id)}`,
  );
  if (record.cancelled) {
    const { at, requested_by, caller, reason } = record.cancelled;
    print(`  cancelled on ${dateOf(at)} by ${plain(requested_by ?? caller)}${reason ? `: ${plain(reason)}` : ''}`);
  }
  for (const line of [...standingOf(record, where), ...leftEnabled(record)]) print(`  ${line}`);
  show(linesOf(undefined, [record]));
}
