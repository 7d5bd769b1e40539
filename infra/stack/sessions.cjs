// Where a stage ends sessions, too (`endSessions`): the queue, the second pair of secrets, the function that alone reads it, and
// the alarms. Elsewhere nothing of it exists.

const alarm = require('./alarm.cjs');
const readBy = require('./secret-readers.cjs');

const sub = (text) => ({ 'Fn::Sub': text });
const arnOf = (resource) => ({ 'Fn::GetAtt': [resource, 'Arn'] });
const allow = (Action, Resource) => ({ Effect: 'Allow', Action, Resource });

const STAGE = 'org-connections-${sls:stage}';
const NAME = `${STAGE}-end-sessions`;
const SECRETS = 'org-connections/${sls:stage}';
const token = { Ref: 'SessionTokenSecret' };
const rotation = arnOf('RotateDashmanagementDashtokenLambdaFunction');
/** Seconds: a delivery goes from page to page for as long as Lambda allows, and SQS counts deliveries. */
const TIMEOUT = 900;

const policy = (Statement) => ({ Version: '2012-10-17', Statement });
const roleOf = (name) => name.replace(/(^|-)(\w)/g, (_, __, letter) => letter.toUpperCase()).concat('Role');

/** More for the role of a function that is there in any case. */
const grant = (name, statements) => ({
  Type: 'AWS::IAM::Policy',
  Properties: {
    PolicyName: 'end-sessions',
    Roles: [{ Ref: roleOf(name) }],
    PolicyDocument: policy(statements),
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

const secret = (name, Description) => ({
  Type: 'AWS::SecretsManager::Secret',
  DeletionPolicy: '${param:deletionPolicy}',
  UpdateReplacePolicy: '${param:updateReplacePolicy}',
  Properties: { Name: `${SECRETS}/${name}`, Description },
});

const ofFunction = (Namespace, MetricName, dimension) => ({
  Namespace,
  MetricName,
  Dimensions: [{ Name: dimension, Value: NAME }],
});

const Resources = {
  // One message group: one worker at a time keeps to its share of the tenant's limit.
  SessionQueue: queue('sessions', {
    VisibilityTimeout: TIMEOUT + 5,
    RedrivePolicy: {
      deadLetterTargetArn: arnOf('SessionDeadLetters'),
      // The record counts; this is the most that SQS takes.
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
  SessionQueuePolicy: {
    Type: 'AWS::SQS::QueuePolicy',
    Properties: {
      Queues: [{ Ref: 'SessionQueue' }],
      PolicyDocument: policy([
        {
          Effect: 'Deny',
          Principal: '*',
          Action: 'sqs:*',
          Resource: arnOf('SessionQueue'),
          Condition: { Bool: { 'aws:SecureTransport': 'false' } },
        },
      ]),
    },
  },
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
  EndSessionsRole: {
    Type: 'AWS::IAM::Role',
    Properties: {
      RoleName: sub(`${NAME}-\${AWS::Region}`),
      PermissionsBoundary: sub(
        'arn:${AWS::Partition}:iam::${AWS::AccountId}:policy/org-connections-boundary-${sls:stage}-${AWS::Region}',
      ),
      AssumeRolePolicyDocument: policy([
        { Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' },
      ]),
      Policies: [
        {
          PolicyName: 'end-sessions',
          PolicyDocument: policy([
            allow(
              ['logs:CreateLogStream', 'logs:PutLogEvents'],
              sub(`arn:\${AWS::Partition}:logs:\${AWS::Region}:\${AWS::AccountId}:log-group:/aws/lambda/${NAME}:*`),
            ),
            // X-Ray has no resource to name.
            allow(['xray:PutTraceSegments', 'xray:PutTelemetryRecords'], '*'),
            allow(['secretsmanager:GetSecretValue', 'secretsmanager:DescribeSecret'], token),
            {
              ...allow(['secretsmanager:RotateSecret'], token),
              // As it is set up: neither when it rotates nor who rotates it can be changed by asking for a rotation.
              Condition: {
                BoolIfExists: { 'secretsmanager:ModifyRotationRules': 'false' },
                ArnEqualsIfExists: { 'secretsmanager:RotationLambdaARN': rotation },
              },
            },
            allow(['lambda:InvokeFunction'], rotation),
            allow(['events:PutEvents'], arnOf('EventBus')),
            allow(['dynamodb:GetItem', 'dynamodb:PutItem'], arnOf('OffboardingsTable')),
            allow(
              [
                'sqs:ReceiveMessage',
                'sqs:DeleteMessage',
                'sqs:ChangeMessageVisibility',
                'sqs:GetQueueAttributes',
                'sqs:SendMessage',
              ],
              arnOf('SessionQueue'),
            ),
          ]),
        },
      ],
    },
  },
  SessionSenderPolicy: grant('offboard-organization', [allow(['sqs:SendMessage'], arnOf('SessionQueue'))]),
  SessionRotationPolicy: grant('rotate-management-token', [
    allow(['secretsmanager:GetSecretValue'], { Ref: 'SessionClientSecret' }),
    allow(
      [
        'secretsmanager:DescribeSecret',
        'secretsmanager:GetSecretValue',
        'secretsmanager:PutSecretValue',
        'secretsmanager:UpdateSecretVersionStage',
      ],
      token,
    ),
  ]),
  // Its value is stored by the operator, as the management client's is.
  SessionClientSecret: secret(
    'session-client',
    'Client credentials of the application that ends sessions; read by rotate-management-token alone',
  ),
  SessionTokenSecret: secret('session-token', 'Token that ends sessions; read by end-sessions alone'),
  SessionClientReaders: readBy('SessionClientSecret', ['RotateManagementTokenRole']),
  SessionTokenReaders: readBy('SessionTokenSecret', ['EndSessionsRole', 'RotateManagementTokenRole']),
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
    ofFunction('org-connections', 'SessionsNotEnded', 'function'),
  ),
  SessionDeadLettersWaiting: alarm(
    'session-dead-letters',
    'sessions not ended. The sessions of an organization can not be ended.',
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
    // It sends what waits for long behind all others: Lambda would take that for a loop that nobody wants, and stop it.
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
