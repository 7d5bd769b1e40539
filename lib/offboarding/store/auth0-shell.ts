import type { CallContext } from '../../auth0/call-context.ts';
import { addClientGrant, listClientGrants, removeClientGrant } from '../../auth0/client-grants.ts';
import * as connections from '../../auth0/management-api.ts';
import type { EffectOf, Operations } from '../model/effects.ts';
import type { Performer } from './shell.ts';

const CONNECTION = {
  disabled: connections.disable,
  enabled: connections.enable,
  removed: (organizationId: string, id: string, context: CallContext) =>
    connections.remove(organizationId, id, context),
};
const GRANT = {
  disabled: removeClientGrant,
  removed: removeClientGrant,
  enabled: addClientGrant,
};

/** Performs the effects at Auth0, within one unit of work: each is one call of the Management API, at the tenant's pace. */
export const auth0Effects = (context: CallContext) =>
  ({
    listConnections: ({ organization_id }) => connections.list(organization_id, context),
    listGrants: ({ organization_id }) => listClientGrants(organization_id, context),
    readName: ({ organization_id }) => connections.getOrganizationName(organization_id, context),
    change: (effect) => change(effect, context),
  }) satisfies Performer;

async function change(effect: EffectOf<'change'>, context: CallContext): Promise<Operations['change']['gives']> {
  const { organization_id, kind, id, goal, level, send_before } = effect;
  // Calls of one visit follow one another: what is set here is of this one.
  Object.assign(context, { writeBefore: send_before, unknownUntil: 0 });
  if (kind === 'client_grant') await GRANT[goal](organization_id, id, context);
  else await CONNECTION[goal](organization_id, id, context, level);
  context.log.info('connection_processed', { goal, kind, id });
  return { is_uncertain: (context.unknownUntil ?? 0) > Date.now() };
}
