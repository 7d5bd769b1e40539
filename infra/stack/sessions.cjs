// Where a stage ends sessions (`endSessions`): the queue, the second pair of secrets, the one function that uses it, and the alarms.
// Elsewhere none of it exists. Who may read the secrets: infra/account/stage-access.yml.

const alarm = require('./alarm.cjs');
const { SESSION_PERMISSIONS } = require('./permissions.cjs');
const { roleIdOf, roleOf } = require('./roles.cjs');

const sub = (text) => ({ 'Fn::Sub': text });
const arnOf = (resource) => ({ 'Fn::GetAtt': [resource, 'Arn'] });

const STAGE = 'org-connections-${sls:stage}';
const NAME = `${STAGE}-end-sessions`;
const SECRETS = 'org-connections/${sls:stage}';
const token = { Ref: 'SessionTokenSecret' };
const rotation = arnOf('RotateDashmanagementDashtokenLambdaFunction');
/** Seconds: a delivery goes from page to page for as long as Lambda allows, and SQS counts deliveries. */
const TIMEOUT = 900;

const policy = (Statement) => ({ Version: '2012-10-17', Statement });
/** More for the role of a function that is there in any case. */
const grant = (name) => ({
  Type: 'AWS::IAM::Policy',
  Properties: {
    PolicyName: 'end-sessions',
    Roles: [{ Ref: roleIdOf(name) }],
    PolicyDocument: policy(SESSION_PERMISSIONS[name]),
  },
});

const queue = (suffix, properties) => ({
  Type: 'AWS::SQS::Queue',
  Properties: {
    QueueName: `${STAGE}-${suffix}.fifo`,
    FifoQueue: true,
    MessageRetentionPeriod: 1209600,
    SqsManagedSseEnabled: true,
    ...properties,
  },
});

/** The queue takes messages from `senders` (infra/stack/senders.cjs), or from AWS alone, and over TLS alone. */
const queuePolicy = (name, senders) => {
  const deny = (Action, Condition) => ({ Effect: 'Deny', Principal: '*', Action, Resource: arnOf(name), Condition });
  const isNotSender = senders && {
    ArnNotLike: { 'aws:PrincipalArn': `\${file(infra/stack/senders.cjs):${senders}}` },
  };
  return {
    Type: 'AWS::SQS::QueuePolicy',
    Properties: {
      Queues: [{ Ref: name }],
      PolicyDocument: policy([
        deny('sqs:SendMessage', { ...isNotSender, Bool: { 'aws:PrincipalIsAWSService': 'false' } }),
        deny('sqs:*', { Bool: { 'aws:SecureTransport': 'false' } }),
      ]),
    },
  };
};

const secret = (name, Description) => ({
  Type: 'AWS::SecretsManager::Secret',
  DeletionPolicy: '${param:deletionPolicy}',
  UpdateReplacePolicy: '${param:updateReplacePolicy}',
  Properties: { Name: `${SECRETS}/${name}`, Description },
});

const ofFunction = (Namespace, MetricName, dimension, Value = NAME) => ({
  Namespace,
  MetricName,
  Dimensions: [{ Name: dimension, Value }],
});

const Resources = {
  // One message group: one worker at a time keeps to its share of the tenant's limit.
  SessionQueue: queue('sessions', {
    VisibilityTimeout: TIMEOUT + 5,
    RedrivePolicy: {
      deadLetterTargetArn: arnOf('SessionDeadLetters'),
      // The record counts the tries. This is the most that SQS takes.
      maxReceiveCount: 1000,
    },
  }),
  SessionDeadLetters: {
    ...queue('session-dead-letters', {
      RedriveAllowPolicy: {
        redrivePermission: 'byQueue',
        sourceQueueArns: [sub(`arn:\${AWS::Partition}:sqs:\${AWS::Region}:\${AWS::AccountId}:${STAGE}-sessions.fifo`)],
      },
    }),
    DeletionPolicy: '${param:deletionPolicy}',
    UpdateReplacePolicy: '${param:updateReplacePolicy}',
  },
  SessionQueuePolicy: queuePolicy('SessionQueue', 'sessionQueue'),
  // SQS itself moves messages there.
  SessionDeadLettersQueuePolicy: queuePolicy('SessionDeadLetters'),
  SessionWorker: {
    Type: 'AWS::Lambda::EventSourceMapping',
    // Lambda looks at once whether the role may read the queue.
    DependsOn: 'EndSessionsRole',
    Properties: {
      EventSourceArn: arnOf('SessionQueue'),
      FunctionName: arnOf('EndDashsessionsLambdaFunction'),
      BatchSize: 1,
      FunctionResponseTypes: ['ReportBatchItemFailures'],
    },
  },
  EndSessionsRole: roleOf('end-sessions', SESSION_PERMISSIONS['end-sessions']),
  SessionSenderPolicy: grant('offboard-organization'),
  SessionRotationPolicy: grant('rotate-management-token'),
  // Its value is stored by the operator, as the management client's is.
  SessionClientSecret: secret(
    'session-client',
    'Client credentials of the application that ends sessions; read by rotate-management-token alone',
  ),
  SessionTokenSecret: secret('session-token', 'Token that ends sessions; read by end-sessions alone'),
  SessionTokenRotation: {
    Type: 'AWS::SecretsManager::RotationSchedule',
    DependsOn: ['SessionRotationPermission', 'SessionRotationPolicy'],
    Properties: {
      SecretId: token,
      RotationLambdaARN: rotation,
      RotateImmediatelyOnUpdate: true,
      RotationRules: { ScheduleExpression: 'rate(6 hours)' },
    },
  },
  SessionRotationPermission: {
    Type: 'AWS::Lambda::Permission',
    Properties: {
      FunctionName: rotation,
      Action: 'lambda:InvokeFunction',
      Principal: 'secretsmanager.amazonaws.com',
      SourceAccount: { Ref: 'AWS::AccountId' },
      SourceArn: token,
    },
  },

  EndSessionsErrors: alarm('end-sessions-errors', 'function errors. end-sessions threw or timed out.', {
    ...ofFunction('AWS/Lambda', 'Errors', 'FunctionName'),
  }),
  SessionsNotEnded: alarm(
    'sessions-not-ended',
    'sessions not ended. Auth0 refused to end sessions, or was not there for too long.',
    // end-sessions writes how they ended; the worker publishes it, and counts it then.
    ofFunction('org-connections', 'SessionsNotEnded', 'function', `${STAGE}-offboard-organization`),
  ),
  SessionDeadLettersWaiting: alarm(
    'session-dead-letters',
    'sessions not ended. The sessions of an organization cannot be ended.',
    {
      Namespace: 'AWS/SQS',
      MetricName: 'ApproximateNumberOfMessagesVisible',
      Dimensions: [{ Name: 'QueueName', Value: { 'Fn::GetAtt': ['SessionDeadLetters', 'QueueName'] } }],
      Statistic: 'Maximum',
    },
  ),
  SessionTokenNearExpiry: alarm(
    'session-token-near-expiry',
    'token near expiry. The token that ends sessions expires in less than two rotation intervals.',
    {
      Namespace: 'org-connections',
      MetricName: 'TokenTimeToExpiry',
      Dimensions: [
        { Name: 'function', Value: `${STAGE}-rotate-management-token` },
        { Name: 'pair', Value: 'session' },
      ],
      Statistic: 'Maximum',
      Threshold: 43200,
      ComparisonOperator: 'LessThanThreshold',
      TreatMissingData: 'ignore',
    },
  ),
};

const ON = {
  Resources,
  function: {
    handler: 'dist/end-sessions.handler',
    role: 'EndSessionsRole',
    package: { patterns: ['dist/end-sessions.mjs'] },
    timeout: TIMEOUT,
    memorySize: 256,
    // It sends messages to its own queue again. Lambda would take that for an unwanted loop and stop it.
    recursiveLoop: 'Allow',
    environment: {
      SESSION_QUEUE_URL: { Ref: 'SessionQueue' },
      SESSION_TOKEN_SECRET_ID: `${SECRETS}/session-token`,
      SESSION_SHARE: '${param:sessionShare}',
      SESSION_MEMBERS: '${param:sessionMembers}',
    },
  },
  workerEnvironment: { SESSION_QUEUE_URL: { Ref: 'SessionQueue' } },
  rotationEnvironment: {
    SESSION_CLIENT_SECRET_ID: `${SECRETS}/session-client`,
    SESSION_TOKEN_SECRET_ID: `${SECRETS}/session-token`,
  },
};
const OFF = { Resources: {}, function: null, workerEnvironment: {}, rotationEnvironment: {} };

module.exports = async ({ resolveVariable }) =>
  String(await resolveVariable('param:endSessions')) === 'true' ? ON : OFF;
