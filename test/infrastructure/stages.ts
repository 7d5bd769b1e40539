// The policies of infra/account/stage-access.yml and of the stages' own templates, with every reference in them resolved.
import { deployed, type Place, type Resolved, readTemplate, type Template } from './cloudformation.ts';
import { packaged, STAGES } from './compiled.ts';
import type { Policy, Statement } from './iam.ts';

export const PLACE: Place = { account: '111122223333', region: 'eu-central-1' };
export const API = 'a1b2c3d4e5';
/** Of the stages the local one alone ends sessions. */
export const endsSessions = (Stage: string) => Stage === 'local';
export const stage = (Stage: string, more: Record<string, unknown> = {}) =>
  deployed(readTemplate('stage-access.yml'), PLACE, {
    Stage,
    Repository: 'repo:travel0/org-connections',
    EndSessions: String(endsSessions(Stage)),
    SmokeOrganization: 'org_Smoke',
    ApiId: API,
    ...more,
  });
export const compiled = new Map(STAGES.map((name) => [name, packaged(name).template]));
export const stack = (name: string) => deployed(compiled.get(name as (typeof STAGES)[number]) as Template, PLACE);
export const role = (name: string) => `arn:aws:iam::${PLACE.account}:role/${name}-${PLACE.region}`;
export const policyOf = ({ Resources }: Resolved, id: string): Policy => Resources[id]?.Properties.PolicyDocument;
export const deployPolicies = (resolved: Resolved) =>
  resolved.Resources.DeployRole?.Properties.ManagedPolicyArns.map(
    (arn: string) => Object.values(resolved.Resources).find((one) => one.arn === arn)?.Properties.PolicyDocument,
  ) as Policy[];
export const statements = (policies: Policy[]) =>
  policies.flatMap(({ Statement }) => [Statement].flat() as Statement[]);
export const boundary = (name: string) =>
  `arn:aws:iam::${PLACE.account}:policy/org-connections-boundary-${name}-${PLACE.region}`;
export const lambda = (name: string) => `arn:aws:lambda:${PLACE.region}:${PLACE.account}:function:${name}`;
export const arn = (service: string, rest: string) => `arn:aws:${service}:${PLACE.region}:${PLACE.account}:${rest}`;
/** Allowed everything by their own policies: what others' policies deny is left. */
export const EVERYTHING: Policy[] = [{ Statement: { Effect: 'Allow', Action: '*', Resource: '*' } }];
/** An administrator of the account, and somebody whose role has a name like ours. */
export const STRANGERS = [
  `arn:aws:iam::${PLACE.account}:role/Admin`,
  `arn:aws:iam::${PLACE.account}:user/maria`,
  `arn:aws:iam::${PLACE.account}:root`,
  role('org-connections-other-offboard-organization'),
  'arn:aws:iam::444455556666:role/crm',
];
