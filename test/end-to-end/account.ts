// Parts of the end-to-end run: the account on the emulator, what is deployed to it and how, and who is in it.
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  CloudFormationClient,
  CreateStackCommand,
  DescribeStacksCommand,
  UpdateStackCommand,
} from '@aws-sdk/client-cloudformation';
import { AttachRolePolicyCommand, CreateRoleCommand, IAMClient } from '@aws-sdk/client-iam';
import { PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import type { Credentials } from '../../infra/commands/signed-fetch.ts';
import { programOf, programOptions } from '../programs/program.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Whoever has the account. */
export const root = {
  endpoint: process.env.AWS_ENDPOINT_URL ?? '',
  region: 'us-east-1',
  credentials: { accessKeyId: 'test', secretAccessKey: 'test' } as Credentials,
};
export const BUCKET = 'org-connections-local-artifacts';
export const ACCOUNT_STACK = 'org-connections-account-local';
export const SMOKE = 'org_bCE84ZIRjtX58FeO';
export const STACK = 'org-connections-local';
/** Resources that the emulator's CloudFormation refuses, each with what that leaves unproven. */
export const LEFT_OUT: Record<string, string> = {
  ApiErrors: 'the alarm on the rate of errors, which is metric math',
  EventArchive: 'the archive of events',
  SessionTokenRotation: "its rotation schedule, which is the management token's",
  ManagementTokenRotation: 'the rotation schedule; its four steps are driven one by one instead',
};

/** Changes to the emulator's copy of the template, each with what that leaves unproven. */
export const CHANGED = [
  "the secrets' ARNs in the roles in place of their Ref, which is a name there: that the Ref is the ARN",
  'schedule/default/* in the roles in place of the group: that the roles are confined to their own group',
  "without the condition on an event's source, a key that it does not know: that functions publish in the service's name alone",
  'with sqs:SendMessageBatch beside sqs:SendMessage, an action that IAM does not know: that the latter is enough for a batch',
  'without the "TLS only" statements, as the emulator is plain HTTP: that plain HTTP is refused',
];

/** A program of infra/commands/, as whoever has `credentials`; its exit code and what it wrote. */
export async function run(
  program: string,
  credentials: Credentials,
  more: Record<string, string>,
  ...parameters: string[]
) {
  const { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY, sessionToken } = credentials;
  const signed = {
    AWS_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY,
    AWS_REGION: 'us-east-1',
    ...(sessionToken && { AWS_SESSION_TOKEN: sessionToken }),
  };
  const env = {
    PATH: process.env.PATH,
    NODE_OPTIONS: programOptions,
    AWS_ENDPOINT_URL: root.endpoint,
    ...signed,
    ...more,
  };
  return promisify(execFile)(process.execPath, [programOf(`infra/commands/${program}`), ...parameters], { env }).then(
    ({ stdout }) => ({ code: 0, stdout }),
    ({ code, stdout }) => ({ code, stdout }),
  );
}

/** Creates a stack and waits for it; its outputs. */
export async function deploy(
  client: typeof root,
  StackName: string,
  TemplateBody: string,
  parameters: Record<string, string>,
  s3?: S3Client,
  update = false,
): Promise<Record<string, string>> {
  const cloudFormation = new CloudFormationClient(client);
  if (s3) await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'template.json', Body: TemplateBody }));
  const stack = {
    StackName,
    ...(s3 ? { TemplateURL: `${client.endpoint}/${BUCKET}/template.json` } : { TemplateBody }),
    Capabilities: ['CAPABILITY_NAMED_IAM' as const],
    Parameters: Object.entries(parameters).map(([ParameterKey, ParameterValue]) => ({ ParameterKey, ParameterValue })),
  };
  if (update) await cloudFormation.send(new UpdateStackCommand(stack));
  else await cloudFormation.send(new CreateStackCommand(stack));
  for (const end = Date.now() + 90_000; ; await sleep(200)) {
    const { Stacks } = await cloudFormation.send(new DescribeStacksCommand({ StackName }));
    const { StackStatus, StackStatusReason, Outputs = [] } = Stacks?.[0] ?? {};
    if (/^(CREATE|UPDATE)_COMPLETE$/.test(StackStatus ?? ''))
      return Object.fromEntries(Outputs.map(({ OutputKey, OutputValue }) => [OutputKey, OutputValue ?? '']));
    if (/FAILED|ROLLBACK/.test(StackStatus ?? '') || Date.now() > end)
      throw new Error(`The stack ${StackName} is ${StackStatus}: ${StackStatusReason}`);
  }
}

export async function assume(RoleArn: string): Promise<Credentials> {
  const { Credentials: found } = await new STSClient(root).send(
    new AssumeRoleCommand({ RoleArn, RoleSessionName: 'end-to-end' }),
  );
  const { AccessKeyId = '', SecretAccessKey = '', SessionToken = '' } = found ?? {};
  return { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken };
}

/** A role that has one managed policy of the stage and nothing else; its ARN. */
export async function roleWith(RoleName: string, policy: string): Promise<string> {
  const iam = new IAMClient(root);
  const Statement = [
    { Effect: 'Allow', Principal: { AWS: 'arn:aws:iam::000000000000:root' }, Action: 'sts:AssumeRole' },
  ];
  const AssumeRolePolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement });
  const { Role } = await iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument }));
  await iam.send(new AttachRolePolicyCommand({ RoleName, PolicyArn: `arn:aws:iam::000000000000:policy/${policy}` }));
  return Role?.Arn ?? '';
}

/** A resource's properties as the emulator can take them (`CHANGED`). */
export function forEmulator(value: unknown, type: string): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const actions = value.includes('sqs:SendMessage') ? [...value, 'sqs:SendMessageBatch'] : value;
    return actions
      .filter((member) => !JSON.stringify(member?.Condition ?? {}).includes('aws:SecureTransport'))
      .map((member) => forEmulator(member, type));
  }
  if (JSON.stringify(Object(value).Condition ?? {}).includes('events:source')) {
    const { Condition: _, ...unconditional } = value as { Condition?: object };
    return forEmulator(unconditional, type);
  }
  const { Action } = value as { Action?: unknown };
  if (Action === 'sqs:SendMessage') return forEmulator({ ...value, Action: [Action] }, type);
  const { Ref, 'Fn::Sub': text } = value as { Ref?: string; 'Fn::Sub'?: string };
  if (type === 'AWS::IAM::Role' && /^Management(Token|Client)Secret$/.test(Ref ?? ''))
    return {
      'Fn::Sub': `arn:aws:secretsmanager:us-east-1:000000000000:secret:org-connections/local/management-${Ref?.includes('Token') ? 'token' : 'client'}*`,
    };
  if (type === 'AWS::IAM::Role' && text?.includes(':schedule/'))
    return { 'Fn::Sub': text.replace(/\$\{RemovalScheduleGroup\}/, 'default') };
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, forEmulator(member, type)]));
}
