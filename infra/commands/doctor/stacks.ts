// The stage's stacks as CloudFormation has them: outputs, and the template with what it was deployed with.
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import {
  CloudFormationClient,
  DescribeStacksCommand,
  GetTemplateCommand,
  paginateListStackResources,
} from '@aws-sdk/client-cloudformation';
import { deployAccountStack, deployStage, type Place } from './place.ts';
import { parseTemplate, resolverOf, type Template } from './template.ts';

export interface Stack {
  name: string;
  outputs: Map<string, string>;
  template: Template;
  physicalIds: Record<string, string>;
  resolver: ReturnType<typeof resolverOf>;
}

/** The stack of that name; undefined, and said, where it is not there. A stack that is `optional` may be absent. */
export async function stackNamed(
  place: Place,
  name: string,
  how: string,
  optional = false,
): Promise<Stack | undefined> {
  const { client, findings, account, region, partition } = place;
  const cloudFormation = new CloudFormationClient(client);
  const look = cloudFormation.send(new DescribeStacksCommand({ StackName: name }));
  const found = await findings.seen(`stack ${name}`, look, () => {
    if (!optional) findings.note(`${name} is not deployed in ${region}: ${how}`);
  });
  if (!found) return undefined;
  const { StackStatus = '', Outputs = [], Parameters = [] } = found.Stacks?.[0] ?? {};
  if (/^(CREATE|UPDATE)_COMPLETE$/.test(StackStatus)) findings.ok('stack', `${name} ${StackStatus}`);
  else
    findings.missing(
      'stack',
      `${name} is ${StackStatus}`,
      `aws cloudformation describe-stack-events --stack-name ${name}`,
    );
  const read = Promise.all([
    cloudFormation.send(new GetTemplateCommand({ StackName: name, TemplateStage: 'Original' })),
    physicalIdsOf(cloudFormation, name),
  ]);
  const [body, physicalIds = {}] = (await findings.seen(`template of ${name}`, read, () => {})) ?? [];
  const template = parseTemplate(body?.TemplateBody || '{"Resources": {}}');
  const parameters = Object.fromEntries(
    Parameters.map(({ ParameterKey = '', ParameterValue = '' }) => [ParameterKey, ParameterValue]),
  );
  return {
    name,
    outputs: new Map(Outputs.map(({ OutputKey = '', OutputValue = '' }) => [OutputKey, OutputValue])),
    template,
    physicalIds,
    resolver: resolverOf(template, { parameters, physicalIds, account, region, partition }),
  };
}

async function physicalIdsOf(client: CloudFormationClient, StackName: string): Promise<Record<string, string>> {
  const ids: Record<string, string> = {};
  for await (const { StackResourceSummaries = [] } of paginateListStackResources({ client }, { StackName }))
    for (const { LogicalResourceId = '', PhysicalResourceId } of StackResourceSummaries)
      if (PhysicalResourceId !== undefined) ids[LogicalResourceId] = PhysicalResourceId;
  return ids;
}

/** All stacks of the stage that are there. */
export async function lookAtStacks(place: Place) {
  const service = await stackNamed(place, place.stack, deployStage(place));
  const account = await stackNamed(place, place.accountStack, deployAccountStack(place));
  const publishers = await stackNamed(place, place.publishersStack, '', true);
  if (account && Object.keys(account.template.Resources).length > 0) compareWithCheckout(place, account);
  const all = [service, account, publishers].filter((one) => one !== undefined);
  return { service, account, all };
}

/** What is deployed may be older than what lies here. */
function compareWithCheckout(place: Place, { name, template }: Stack): void {
  const file = 'infra/account/stage-access.yml';
  const here = parseTemplate(readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8'));
  if (isDeepStrictEqual(here, template)) place.findings.ok(`template of ${name}`, `that of ${file}`);
  else
    place.findings.missing(
      `template of ${name}`,
      `it is not ${file} of this checkout: rights may be missing, or still be there`,
      `${deployAccountStack(place)} (parameters that are left out keep their value)`,
    );
}
