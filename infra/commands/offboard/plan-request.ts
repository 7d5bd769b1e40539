// The options of `plan` as the request that is sent.
import { Refusal } from './ending.ts';
import type { Plan } from './plan-file.ts';
import { CONNECTION_ID } from './records.ts';
import type { Place } from './service.ts';
import { plain } from './terminal.ts';

export interface PlanOptions extends Place {
  action?: Plan['request']['action'];
  reason?: string;
  gracePeriod?: string;
  onReenable?: string;
  requestedBy?: string;
  column?: string;
  connection?: string[];
  allConnections?: true;
  endSessions?: true;
  endMachineAccess?: true;
  urgent?: true;
  out?: string;
  report?: string;
}

/** Throws a `Refusal` for what the service would not take. */
export async function requestOf(options: PlanOptions): Promise<Plan['request']> {
  const { action, reason = '', gracePeriod, onReenable, requestedBy, connection = [] } = options;
  if (!action || reason.trim() === '') throw new Refusal('Say what to do and why: --action and --reason.');
  if (reason.trim().length > 1000) throw new Refusal('The --reason is longer than 1,000 characters.');
  if (requestedBy !== undefined && (requestedBy.trim() === '' || requestedBy.trim().length > 200))
    throw new Refusal('The --requested-by is blank or longer than 200 characters.');
  refuseConnections(options);
  if (gracePeriod !== undefined) await refuseGracePeriod(action, gracePeriod);
  return {
    action,
    reason: reason.trim(),
    ...(gracePeriod && { grace_period: gracePeriod }),
    ...(onReenable && { on_reenable: onReenable }),
    ...(requestedBy && { requested_by: requestedBy.trim() }),
    ...(connection.length > 0 && { connection_ids: [...new Set(connection)] }),
    ...(options.urgent && { urgent: true }),
    ...(options.endSessions && { end_sessions: true }),
    ...(options.endMachineAccess && { end_machine_access: true }),
  };
}

function refuseConnections({ connection = [], endMachineAccess, allConnections }: PlanOptions): void {
  const wrong = connection.find((id) => !CONNECTION_ID.test(id));
  if (wrong !== undefined)
    throw new Refusal(`The --connection "${plain(wrong)}" is no connection id (con_ and letters and digits).`);
  if (connection.length > 50) throw new Refusal('At most 50 --connection can be named.');
  if (connection.length > 0 && allConnections) throw new Refusal('Say --connection or --all-connections, not both.');
  if (connection.length > 0 && endMachineAccess)
    throw new Refusal('--end-machine-access is for a whole organization: leave out --connection.');
}

async function refuseGracePeriod(action: string, gracePeriod: string): Promise<void> {
  if (action !== 'disable_then_remove') throw new Refusal('--grace-period is for --action disable_then_remove alone.');
  const { addDuration } = await import('../../../lib/duration.ts');
  const now = new Date();
  const length = (addDuration(now, gracePeriod)?.getTime() ?? 0) - now.getTime();
  if (length < 60_000 || length > 366 * 86_400_000)
    throw new Refusal('The --grace-period is no ISO 8601 duration from a minute to a year, such as P30D.');
}
