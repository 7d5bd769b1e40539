// Makes the resources of a template in the stand-ins, as CloudFormation makes them in AWS.
import type { Aws } from '../aws.ts';
import { compilePattern } from './pattern.ts';
import type { Statement } from './queue-policy.ts';
import { millisecondsOf } from './rate.ts';
import { type Resources, resolveReferences } from './template.ts';
import type { Invoke, Json } from './wire.ts';

export interface DeployedFunction {
  /** Its name without those of the service and the stage. */
  name: string;
  functionName: string;
  arn: string;
  /** Milliseconds. */
  timeout: number;
  environment: Record<string, string>;
}

export interface DeployedMapping {
  functionName: string;
  queue: string;
  /** As many containers as Lambda runs at most. */
  concurrency: number;
  batchSize: number;
  reportsFailures: boolean;
  allowsLoops: () => boolean;
  /** Whether the queue invokes the function now. */
  isEnabled: () => boolean;
}

interface Options {
  /** Calls a function by its name in the template. */
  invoke: (functionName: string) => Invoke;
  /** Milliseconds, in place of every queue's own. */
  visibilityTimeout?: number | undefined;
  /** Whether rules with a schedule run. */
  schedules?: boolean;
}

const shortName = (functionName: string) => functionName.replace(/^org-connections-local-/, '');

function rateOf(expression: string): number {
  const every = millisecondsOf(expression);
  if (every === undefined) throw new Error(`The schedule ${expression} is not played here`);
  return every;
}

/** Deploys the template's queues, rules, schedules, table and secrets; tells the functions, and which queue invokes which. */
export async function deployStack(
  aws: Aws,
  template: { Resources: Resources },
  { invoke, visibilityTimeout, schedules = true }: Options,
) {
  const resources = resolveReferences(template.Resources, aws.url);
  const ofType = (type: string) =>
    Object.values(resources)
      .filter(({ Type }) => Type === type)
      .map(({ Properties }) => Properties);
  const nameIn = (arn: string) => arn.split(':').at(-1) as string;

  for (const queue of ofType('AWS::SQS::Queue')) {
    const { deadLetterTargetArn, maxReceiveCount } = queue.RedrivePolicy ?? {};
    const policies = ofType('AWS::SQS::QueuePolicy').filter(({ Queues }) =>
      Queues.some((url: string) => url.endsWith(`/${queue.QueueName}`)),
    );
    aws.createQueue(queue.QueueName, {
      visibilityTimeout: visibilityTimeout ?? (queue.VisibilityTimeout ?? 30) * 1000,
      retention: (queue.MessageRetentionPeriod ?? 345_600) * 1000,
      contentBasedDeduplication: queue.ContentBasedDeduplication === true,
      redrive: deadLetterTargetArn && { deadLetterQueue: nameIn(deadLetterTargetArn), maxReceiveCount },
      // A queue has one policy: of several, the last.
      policy: (policies.at(-1)?.PolicyDocument.Statement ?? []) as Statement[],
    });
  }

  const deployed: DeployedFunction[] = ofType('AWS::Lambda::Function').map((one) => ({
    name: shortName(one.FunctionName),
    functionName: one.FunctionName,
    arn: `arn:aws:lambda:us-east-1:000000000000:function:${one.FunctionName}`,
    timeout: one.Timeout * 1000,
    environment: Object.fromEntries(
      Object.entries(one.Environment?.Variables ?? {}).map(([name, value]) => [name, String(value)]),
    ),
  }));
  for (const { FunctionName, RecursiveLoop } of ofType('AWS::Lambda::Function'))
    aws.lambda.addFunction(FunctionName, {
      invoke: invoke(shortName(FunctionName)),
      allowsLoops: RecursiveLoop === 'Allow',
    });
  for (const one of deployed) {
    const permissions = ofType('AWS::Lambda::Permission').filter(
      ({ FunctionName, Principal }) =>
        [one.arn, one.functionName].includes(FunctionName) && Principal === 'events.amazonaws.com',
    );
    const sourceArns = permissions.map(({ SourceArn }) => SourceArn as string);
    aws.eventBridge.addFunction(one.arn, { invoke: invoke(one.name), sourceArns });
  }

  for (const { Name } of ofType('AWS::Events::EventBus')) aws.eventBridge.addBus(Name);
  for (const { ArchiveName, SourceArn, EventPattern } of ofType('AWS::Events::Archive'))
    aws.eventBridge.addArchive(ArchiveName, SourceArn.split('event-bus/')[1], EventPattern);
  for (const rule of ofType('AWS::Events::Rule')) {
    const targets = rule.Targets.map((target: Record<string, Json & string>) => ({
      id: target.Id,
      arn: target.Arn,
      messageGroupId: target.SqsParameters?.MessageGroupId,
      retryPolicy: target.RetryPolicy,
      deadLetterArn: target.DeadLetterConfig?.Arn,
    }));
    const { EventPattern, EventBusName: bus = 'default', ScheduleExpression: expression } = rule;
    if (EventPattern) aws.eventBridge.addRule({ name: rule.Name, bus, takes: compilePattern(EventPattern), targets });
    if (expression) aws.eventBridge.addSchedule(rule.Name, rateOf(expression), targets, schedules);
  }

  for (const { Name } of ofType('AWS::Scheduler::ScheduleGroup')) aws.createScheduleGroup(Name);
  for (const role of ofType('AWS::IAM::Role')) {
    const [trust] = role.AssumeRolePolicyDocument.Statement;
    if (trust.Principal.Service !== 'scheduler.amazonaws.com') continue;
    const sourceArns = [trust.Condition?.StringEquals?.['aws:SourceArn'] ?? []].flat();
    const statements = role.Policies.flatMap(
      ({ PolicyDocument }: { PolicyDocument: Json }) => PolicyDocument.Statement,
    );
    aws.scheduler.addRole(`arn:aws:iam::000000000000:role/${role.RoleName}`, { sourceArns, statements });
  }

  for (const { Name, ...schedule } of ofType('AWS::Scheduler::Schedule')) {
    rateOf(schedule.ScheduleExpression);
    aws.scheduler.addSchedule(Name, schedule, schedules);
  }
  for (const { FilterName, LogGroupName, FilterPattern, DestinationArn } of ofType('AWS::Logs::SubscriptionFilter')) {
    const isPermitted = ofType('AWS::Lambda::Permission').some(
      ({ FunctionName, Principal, SourceArn }) =>
        FunctionName === DestinationArn &&
        Principal === 'logs.amazonaws.com' &&
        SourceArn.endsWith(`log-group:${LogGroupName}:*`),
    );
    if (!isPermitted) throw new Error(`CloudWatch Logs may not invoke ${DestinationArn} for ${LogGroupName}`);
    const one = deployed.find(({ arn }) => arn === DestinationArn);
    const config = ofType('AWS::Lambda::EventInvokeConfig').find(({ FunctionName }) =>
      [one?.functionName, one?.arn].includes(FunctionName),
    );
    const destination = config?.DestinationConfig?.OnFailure?.Destination;
    const onFailure = destination && aws.destination(one?.arn ?? '', nameIn(destination));
    aws.logs.add(FilterName, LogGroupName, FilterPattern, invoke(one?.name ?? ''), onFailure);
  }

  for (const table of ofType('AWS::DynamoDB::Table')) {
    const { TableName, AttributeDefinitions, KeySchema, GlobalSecondaryIndexes } = table;
    await aws.dynamoDb.create({
      TableName,
      AttributeDefinitions,
      KeySchema,
      GlobalSecondaryIndexes,
      BillingMode: 'PAY_PER_REQUEST',
    });
  }
  for (const { Name } of ofType('AWS::SecretsManager::Secret')) aws.createSecret(Name);
  const rotations = ofType('AWS::SecretsManager::RotationSchedule').map(({ SecretId, RotationLambdaARN }) => ({
    secret: SecretId as string,
    functionName: deployed.find(({ arn }) => arn === RotationLambdaARN)?.name ?? '',
  }));
  for (const { secret, functionName } of rotations) aws.setRotation(secret, invoke(functionName));

  const mappings: DeployedMapping[] = ofType('AWS::Lambda::EventSourceMapping').map((mapping) => {
    const one = deployed.find(({ arn, functionName }) => [arn, functionName].includes(mapping.FunctionName));
    const [queue, batchSize] = [nameIn(mapping.EventSourceArn), mapping.BatchSize ?? 10];
    return {
      functionName: one?.name ?? '',
      queue,
      concurrency: mapping.ScalingConfig?.MaximumConcurrency ?? 3,
      batchSize,
      reportsFailures: mapping.FunctionResponseTypes?.includes('ReportBatchItemFailures') ?? false,
      allowsLoops: () => aws.lambda.allowsLoops(one?.functionName ?? ''),
      isEnabled: aws.lambda.addMapping({
        functionName: one?.functionName ?? '',
        queueArn: mapping.EventSourceArn,
        batchSize,
        onEnabled: () => aws.wake(queue),
      }),
    };
  });
  return { functions: deployed, mappings };
}
