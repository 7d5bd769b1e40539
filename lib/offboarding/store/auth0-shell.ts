import type { CallContext } from '../../auth0/call-context.ts';
import { addClientGrant, listClientGrants, removeClientGrant } from '../../auth0/client-grants.ts';
import * as connections from '../../auth0/management-api.ts';
import type { EffectOf, Operations } from '../model/effects.ts';
import type { Goal, Kind } from '../model/organization.ts';
import type { Performer } from './shell.ts';

type Calls = Record<
  Goal,
  (organization_id: string, id: string, context: CallContext, level?: string) => Promise<unknown>
>;
const { disable, enable, remove } = connections;
const CALLS: Record<Kind, Calls> = {
  connection: { disabled: disable, enabled: enable, removed: remove },
  client_grant: { disabled: removeClientGrant, enabled: addClientGrant, removed: removeClientGrant },
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
  await CALLS[kind][goal](organization_id, id, context, level);
  context.log.info('connection_processed', { goal, kind, id });
  return { is_uncertain: (context.unknownUntil ?? 0) > Date.now() };
}
