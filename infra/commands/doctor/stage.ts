// All that the doctor looks at, one after the other.
import { operator } from '../offboard/credentials.ts';
import { lookAtAlarms, lookAtConcurrency, lookAtDeployRole } from './account.ts';
import { compareWithArchive } from './archive.ts';
import { createFindings } from './findings.ts';
import { lookAtNotifications } from './notifications.ts';
import type { Place } from './place.ts';
import { lookAtPolicies } from './policies.ts';
import { lookAtResources, lookAtTable, lookAtWorker } from './resources.ts';
import { lookAtSecrets } from './secrets.ts';
import { apiOf, lookAtRemainingAccess } from './service.ts';
import { lookAtStacks, type Stack } from './stacks.ts';

interface Given {
  stage: string;
  organization: string | undefined;
  archive: string | undefined;
  region?: string;
  profile?: string;
}

/** Prints what the stage lacks. Resolves to whether all was looked at and nothing is missing. Throws a `Refusal` without credentials. */
export async function lookAtStage({ stage, organization, archive, ...who }: Given): Promise<boolean> {
  const place = await placeOf(stage, who);
  await lookAtConcurrency(place);
  await lookAtAlarms(place);
  await lookAtDeployRole(place);
  const { service, account, all } = await lookAtStacks(place);
  if (service) await lookAtService(place, service, { organization, archive });
  if (service || account) await lookAtPolicies(place, all);
  return place.findings.end();
}

async function placeOf(stage: string, options: { region?: string; profile?: string }): Promise<Place> {
  const { arn, account, region, client } = await operator(options);
  const findings = createFindings(`org-connections-${stage}-doctor-${region}`);
  findings.ok('credentials', `${arn} in ${region}`);
  return {
    ...{ stage, account, region, client, findings },
    partition: arn.split(':')[1] || 'aws',
    stack: `org-connections-${stage}`,
    accountStack: `org-connections-account-${stage}`,
    publishersStack: `org-connections-publishers-${stage}`,
  };
}

async function lookAtService(
  place: Place,
  service: Stack,
  { organization, archive }: { organization: string | undefined; archive: string | undefined },
): Promise<void> {
  await lookAtTable(place, service);
  await lookAtResources(place, service);
  await lookAtWorker(place);
  const variables = Object.values(service.template.Resources)
    .filter(({ Type }) => Type === 'AWS::Lambda::Function')
    .map(({ Properties }) => Properties.Environment?.Variables ?? {});
  await lookAtSecrets(place, {
    endsMachineAccess: variables.some(({ MACHINE_ACCESS }) => String(MACHINE_ACCESS) === 'true'),
    endsSessions: variables.some(({ SESSION_QUEUE_URL }) => SESSION_QUEUE_URL !== undefined),
  });
  await lookAtNotifications(place, service);
  const get = apiOf(place, service);
  if (get && organization) await lookAtRemainingAccess(place, get, organization);
  if (get && archive) await compareWithArchive(place, get, archive);
}
