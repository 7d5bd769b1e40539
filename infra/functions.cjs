// One role a function, with exactly what it uses, and an alarm on its errors and its throttles.

const sub = (text) => ({ 'Fn::Sub': text });
const arnOf = (resource) => ({ 'Fn::GetAtt': [resource, 'Arn'] });
const allow = (Action, Resource) => ({ Effect: 'Allow', Action, Resource });

const readToken = allow(['secretsmanager:GetSecretValue'], { Ref: 'ManagementTokenSecret' });
// When Auth0 refuses a token that was just read, its rotation is asked for; RotateSecret asks of its caller that it may invoke
// the rotation function, too.
const askForRotation = [
  allow(['secretsmanager:DescribeSecret', 'secretsmanager:RotateSecret'], { Ref: 'ManagementTokenSecret' }),
  allow(['lambda:InvokeFunction'], arnOf('RotateDashmanagementDashtokenLambdaFunction')),
];
const publish = allow(['events:PutEvents'], arnOf('EventBus'));
const table = arnOf('OffboardingsTable');
const readRecords = allow(['dynamodb:GetItem', 'dynamodb:Query'], table);
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
  'request-offboarding': [publish, allow(['dynamodb:GetItem', 'dynamodb:PutItem'], table)],
  'request-offboardings': [publish, allow(['dynamodb:GetItem', 'dynamodb:PutItem'], table)],
  'list-offboardings': [
    allow(['dynamodb:Query'], indexes('by_organization', 'by_status', 'by_batch')),
    allow(['dynamodb:GetItem', 'dynamodb:BatchGetItem'], table),
  ],
  'get-offboarding': [readToken, ...askForRotation, allow(['dynamodb:Query'], table)],
  'cancel-offboarding': [readToken, ...askForRotation, publish, readRecords, writeRecords],
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
  'watch-offboardings': [allow(['dynamodb:Query'], [table, ...indexes('by_watch', 'by_status')]), sendToQueue],
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

function resourcesOf(name, permissions) {
  const pascal = name.replace(/(^|-)(\w)/g, (_, __, letter) => letter.toUpperCase());
  const functionName = `org-connections-\${sls:stage}-${name}`;
  const alarm = (MetricName, AlarmDescription, { Namespace = 'AWS/Lambda', dimension = 'FunctionName' } = {}) => ({
    Type: 'AWS::CloudWatch::Alarm',
    Properties: {
      AlarmName: `${functionName}-${MetricName.toLowerCase()}`,
      AlarmDescription,
      Namespace,
      MetricName,
      Dimensions: [{ Name: dimension, Value: functionName }],
      Statistic: 'Sum',
      Period: 300,
      EvaluationPeriods: 1,
      Threshold: 1,
      ComparisonOperator: 'GreaterThanOrEqualToThreshold',
      TreatMissingData: 'notBreaching',
      AlarmActions: [sub('arn:${AWS::Partition}:sns:${AWS::Region}:${AWS::AccountId}:${param:alarmTopic}')],
    },
  });
  return {
    [`${pascal}Role`]: {
      Type: 'AWS::IAM::Role',
      Properties: {
        RoleName: sub(`${functionName}-\${AWS::Region}`),
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
                allow(
                  ['logs:CreateLogStream', 'logs:PutLogEvents'],
                  sub(
                    `arn:\${AWS::Partition}:logs:\${AWS::Region}:\${AWS::AccountId}:log-group:/aws/lambda/${functionName}:*`,
                  ),
                ),
                // X-Ray has no resource to name.
                allow(['xray:PutTraceSegments', 'xray:PutTelemetryRecords'], '*'),
                ...permissions,
              ],
            },
          },
        ],
      },
    },
    [`${pascal}Errors`]: alarm('Errors', `Runbook: function errors. ${name} threw or timed out.`),
    [`${pascal}Throttles`]: alarm(
      'Throttles',
      `Runbook: function throttles. ${name} was not run for want of concurrency.`,
    ),
    ...(permissions.includes(readToken) && {
      [`${pascal}TokenRefused`]: alarm(
        'Auth0Refused',
        `Runbook: token refused. Auth0 answered 401 or 403 to ${name}.`,
        {
          Namespace: 'org-connections',
          dimension: 'function',
        },
      ),
    }),
  };
}

module.exports = {
  Resources: Object.assign(
    {},
    ...Object.entries(PERMISSIONS).map(([name, permissions]) => resourcesOf(name, permissions)),
  ),
};
