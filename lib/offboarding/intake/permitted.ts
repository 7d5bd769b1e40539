import { Problem } from '../../problem.ts';
import { REFUSED, STAGE } from '../../stage-parameters.ts';
import type { Parameters } from '../model/request.ts';
import { after } from '../model/stage.ts';

type Asked = Pick<Parameters, 'action' | 'grace_period' | 'dry_run' | 'end_sessions' | 'end_machine_access'> & {
  urgent?: boolean | undefined;
};

/**
 * Throws where the stage does not do what a request says (`end_sessions_not_enabled`, `machine_access_not_enabled`), or where the
 * stage of the API that was called takes only what can be undone (`irreversible_not_permitted`): IAM tells addresses apart, not
 * bodies.
 */
export function assertPermitted(request: Asked, apiStage: string): void {
  const { action, dry_run, urgent, end_sessions, end_machine_access } = request;
  if (end_sessions && REFUSED.endSessions)
    throw new Problem('end_sessions_not_enabled', 'This stage does not end sessions');
  if (end_machine_access && REFUSED.endMachineAccess)
    throw new Problem('machine_access_not_enabled', 'This stage does not end machine access');
  if (apiStage !== 'reversible') return;
  const refuse = (what: string) => new Problem('irreversible_not_permitted', `This address takes ${what}`);
  if (urgent) throw refuse('no urgent batches: they go before all others');
  if (dry_run) return;
  if (end_sessions)
    throw refuse('no end_sessions: sessions that are ended do not come back (a dry run is always taken)');
  if (action === 'disable') return;
  const now = Date.now();
  const isLong = after(now, request.grace_period ?? STAGE.defaultGracePeriod) >= after(now, STAGE.minimumGracePeriod);
  if (action === 'disable_then_remove' && isLong) return;
  const taken = `disable, or disable_then_remove with a grace period of at least ${STAGE.minimumGracePeriod} (a dry run is always taken)`;
  throw refuse(`only what can be undone: ${taken}. Who may do more asks at the address without /reversible.`);
}
