// What the words of the command line name: a plan, batches, or an organization.
import { existsSync } from 'node:fs';
import { Refusal } from './ending.ts';
import { type Plan, readPlan } from './plan-file.ts';
import { ORGANIZATION_ID, UUID } from './records.ts';
import { connect, type Place, type Service } from './service.ts';
import { startedBatches } from './started.ts';
import { plain, print, quoted } from './terminal.ts';

/** A plan or batches, with the service that has them. */
export interface Target {
  service: Service;
  plan: Plan | undefined;
  batches: string[];
  /** What the command line named them by, and the options that find the same place again; both for a shell. */
  named: string;
  where: string;
}

/** What `names` are: one plan, or batches. */
export async function targetOf(names: string[], options: Place): Promise<Target> {
  const [first = ''] = names;
  const named = names.map(quoted).join(' ');
  const where = placeOptions(options);
  if (names.every((name) => UUID.test(name)))
    return { service: await connect(options), plan: undefined, batches: names, named, where };
  if (names.length > 1) throw new Refusal('Name one plan, or batch ids.');
  if (!existsSync(first))
    throw new Refusal(`"${plain(first)}" is neither a plan on this machine, nor a batch id, nor an organization.`);
  const plan = readPlan(first);
  const service = await connectTo(plan, options);
  const started = await startedBatches(service, plan);
  const batches = [...started.values()].map(({ batch_id }) => batch_id);
  if (batches.length < plan.keys.length)
    print(
      `${batches.length} of ${plan.keys.length} batches of the plan ${batches.length === 1 ? 'is' : 'are'} on record.`,
    );
  return { service, plan, batches, named, where };
}

/** The organization, and the offboarding of it, that `names` are; undefined where they are something else. Throws a `Refusal`. */
export function organizationIn(names: string[]): { organization_id: string; offboarding_id?: string } | undefined {
  const [organization_id = '', offboarding_id, ...more] = names;
  if (!ORGANIZATION_ID.test(organization_id)) return undefined;
  if (more.length > 0 || (offboarding_id !== undefined && !UUID.test(offboarding_id)))
    throw new Refusal('Name one organization, and after it, if you like, one offboarding id.');
  return { organization_id, ...(offboarding_id && { offboarding_id }) };
}

/** The service that a plan is for; another account is another service. */
export async function connectTo(plan: Plan, options: Place): Promise<Service> {
  if (options.stage !== undefined || options.url !== undefined)
    throw new Refusal('The plan says where: --stage and --url are for "plan".');
  const service = await connect({ ...plan, region: options.region ?? plan.region, profile: options.profile });
  const account = service.operator?.account ?? null;
  if (account !== plan.account)
    throw new Refusal(
      `The plan is for account ${plan.account}, and you are in account ${account}: say another --profile, or plan anew.`,
    );
  return service;
}

/** The options that find the same place again. */
export const placeOptions = ({ stage, url, region, profile }: Place) =>
  Object.entries({ stage, url, region, profile })
    .map(([name, value]) => (value ? ` --${name} ${quoted(value)}` : ''))
    .join('');
