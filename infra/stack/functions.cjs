// One role a function, with exactly what it uses; who may read the secrets; and the alarms on what the functions do.

const alarm = require('./alarm.cjs');
const readBy = require('./secret-readers.cjs');

const sub = (text) => ({ 'Fn::Sub': text });
const arnOf = (resource) => ({ 'Fn::GetAtt': [resource, 'Arn'] });
const allow = (Action, Resource) => ({ Effect: 'Allow', Action, Resource });

const readToken = allow(['secretsmanager:GetSecretValue'], { Ref: 'ManagementTokenSecret' });
// When Auth0 refuses a token that was just read, its rotation is asked for; RotateSecret asks of its caller that it may invoke
// the rotation function, too.
const rotationFunction = arnOf('RotateDashmanagementDashtokenLambdaFunction');
const askForRotation = [
  allow(['secretsmanager:DescribeSecret'], { Ref: 'ManagementTokenSecret' }),
  // As it is set up: neither when it rotates nor who rotates it can be changed by asking for a rotation.
  {
    ...allow(['secretsmanager:RotateSecret'], { Ref: 'ManagementTokenSecret' }),
    Condition: {
      BoolIfExists: { 'secretsmanager:ModifyRotationRules': 'false' },
      ArnEqualsIfExists: { 'secretsmanager:RotationLambdaARN': rotationFunction },
    },
  },
  allow(['lambda:InvokeFunction'], rotationFunction),
];
const publish = allow(['events:PutEvents'], arnOf('EventBus'));
const table = arnOf('OffboardingsTable');
const readRecords = allow(['dynamodb:GetItem', 'dynamodb:BatchGetItem'], table);
const writeRecords = allow(['dynamodb:PutItem'], table);
const schedules = sub(
  'arn:${AWS::Partition}:scheduler:${AWS::Region}:${AWS::AccountId}:schedule/${RemovalScheduleGroup}/*',
);
const createSchedules = [
  allow(['scheduler:CreateSchedule'], schedules),
  {
    ...allow(['iam:PassRole'], arnOf('RemovalScheduleRole')),
    Condition: { StringEquals: { 'iam:PassedToService': 'scheduler.amazonaws.com' } },
  },
];

const indexes = (...names) => names.map((name) => sub(`\${OffboardingsTable.Arn}/index/${name}`));
const sendToQueue = allow(['sqs:SendMessage'], arnOf('OffboardingQueue'));

/** What each function may do, beside writing its own log and traces. */
const PERMISSIONS = {
  'disable-connection': [readToken, ...askForRotation],
  'remove-connection': [readToken, ...askForRotation],
  'request-offboarding': [publish, allow(['dynamodb:GetItem'], table), writeRecords],
  'request-offboardings': [publish, allow(['dynamodb:GetItem'], table), writeRecords],
  'list-offboardings': [
    allow(['dynamodb:Query'], indexes('by_organization', 'by_status', 'by_batch')),
    allow(['dynamodb:BatchGetItem'], table),
  ],
  'get-offboarding': [readToken, ...askForRotation, readRecords],
  'cancel-offboarding': [readToken, ...askForRotation, publish, readRecords, writeRecords, sendToQueue],
  'cancel-offboardings': [allow(['dynamodb:GetItem'], table), writeRecords, sendToQueue],
  'offboard-organization': [
    readToken,
    ...askForRotation,
    publish,
    readRecords,
    writeRecords,
    ...createSchedules,
    allow(
      [
        'sqs:ReceiveMessage',
        'sqs:DeleteMessage',
        'sqs:ChangeMessageVisibility',
        'sqs:GetQueueAttributes',
        'sqs:SendMessage',
      ],
      arnOf('OffboardingQueue'),
    ),
    allow(['sqs:SendMessage'], arnOf('OffboardingDeadLetters')),
  ],
  'watch-offboardings': [
    allow(['dynamodb:Query'], indexes('by_due')),
    allow(['dynamodb:GetItem', 'dynamodb:PutItem'], table),
    sendToQueue,
  ],
  'rotate-management-token': [
    allow(['secretsmanager:GetSecretValue'], { Ref: 'ManagementClientSecret' }),
    allow(
      [
        'secretsmanager:DescribeSecret',
        'secretsmanager:GetSecretValue',
        'secretsmanager:PutSecretValue',
        'secretsmanager:UpdateSecretVersionStage',
      ],
      { Ref: 'ManagementTokenSecret' },
    ),
  ],
};

const pascal = (name) => name.replace(/(^|-)(\w)/g, (_, __, letter) => letter.toUpperCase());
const nameOf = (name) => `org-connections-\${sls:stage}-${name}`;

function roleOf(name, permissions) {
  const log = sub(
    `arn:\${AWS::Partition}:logs:\${AWS::Region}:\${AWS::AccountId}:log-group:/aws/lambda/${nameOf(name)}:*`,
  );
  return {
    Type: 'AWS::IAM::Role',
    Properties: {
      RoleName: sub(`${nameOf(name)}-\${AWS::Region}`),
      // The most that a role of the stage may have (infra/account/stage.yml); a deploy can make no role without it.
      PermissionsBoundary: sub(
        'arn:${AWS::Partition}:iam::${AWS::AccountId}:policy/org-connections-boundary-${sls:stage}-${AWS::Region}',
      ),
      AssumeRolePolicyDocument: {
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' }],
      },
      Policies: [
        {
          PolicyName: name,
          PolicyDocument: {
            Version: '2012-10-17',
            Statement: [
              allow(['logs:CreateLogStream', 'logs:PutLogEvents'], log),
              // X-Ray has no resource to name.
              allow(['xray:PutTraceSegments', 'xray:PutTelemetryRecords'], '*'),
              ...permissions,
            ],
          },
        },
      ],
    },
  };
}

const readersOf = (secret) =>
  Object.entries(PERMISSIONS)
    .filter(([, statements]) =>
      statements.some(
        ({ Action, Resource }) => Action.includes('secretsmanager:GetSecretValue') && Resource.Ref === secret,
      ),
    )
    .map(([name]) => `${pascal(name)}Role`);

/**
 * An alarm on a metric of one function. What a function that answers requests throws, and a request that is not run for want of
 * concurrency, are 5xx of the API, which has an alarm of its own (infra/stack/api.yml); those below work where nobody waits for an answer.
 */
const alarmOf = (name, id, MetricName, text, more = {}) => {
  const Dimensions = [{ Name: more.Namespace ? 'function' : 'FunctionName', Value: nameOf(name) }];
  return alarm(id, text, { Namespace: 'AWS/Lambda', MetricName, Dimensions, ...more });
};
const own = { Namespace: 'org-connections' };
const [worker, watch, rotation] = ['offboard-organization', 'watch-offboardings', 'rotate-management-token'];
const errors = (name) =>
  alarmOf(name, `${name}-errors`, 'Errors', `function errors. ${name} threw, timed out or was killed.`);

const ALARMS = {
  WorkerErrors: errors(worker),
  WatchErrors: errors(watch),
  RotationErrors: errors(rotation),
  RecursiveInvocations: alarmOf(
    worker,
    'recursive-invocations-dropped',
    'RecursiveInvocationsDropped',
    'recursive invocations dropped. Lambda takes the worker for a loop and does not run it: requests lie still.',
  ),
  TokenRejected: alarmOf(
    worker,
    'token-rejected',
    'Auth0Rejected',
    'token rejected. Auth0 answered 401 or 403 to the worker.',
    own,
  ),
  // Told only while something is overdue: whether the watch runs at all is the next but one.
  OldestOverdue: alarmOf(
    watch,
    'oldest-overdue',
    'OldestOverdue',
    "oldest overdue. An offboarding's next step has been overdue for more than an hour.",
    { ...own, Statistic: 'Maximum', Threshold: 3600, ComparisonOperator: 'GreaterThanThreshold' },
  ),
  DriftChecksLate: alarmOf(
    watch,
    'drift-checks-late',
    'DriftChecksLate',
    'drift checks late. Organizations have not been checked for drift for more than a day longer than they should.',
    { ...own, Statistic: 'Maximum' },
  ),
  WatchNotRunning: alarmOf(
    watch,
    'watch-not-running',
    'Invocations',
    'watch not running. What is overdue has not been looked for in three hours.',
    {
      Period: 3600,
      EvaluationPeriods: 3,
      ComparisonOperator: 'LessThanThreshold',
      TreatMissingData: 'breaching',
    },
  ),
};

module.exports = {
  Resources: {
    ...Object.fromEntries(
      Object.entries(PERMISSIONS).map(([name, permissions]) => [`${pascal(name)}Role`, roleOf(name, permissions)]),
    ),
    ManagementTokenReaders: readBy('ManagementTokenSecret', readersOf('ManagementTokenSecret')),
    ManagementClientReaders: readBy('ManagementClientSecret', readersOf('ManagementClientSecret')),
    ...ALARMS,
  },
};
