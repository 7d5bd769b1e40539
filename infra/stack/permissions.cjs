// What each function may do, beside writing its own log and traces; and, derived from that, who may send to a queue or write the
// table. Queues and the table name these roles in policies of their own (infra/stack/senders.cjs).

const sub = (text) => ({ 'Fn::Sub': text });
const arnOf = (resource) => ({ 'Fn::GetAtt': [resource, 'Arn'] });
const allow = (Action, Resource, Condition) => ({ Effect: 'Allow', Action, Resource, ...(Condition && { Condition }) });

// RotateSecret asks of its caller that it may invoke the rotation function, too.
const rotation = arnOf('RotateDashmanagementDashtokenLambdaFunction');
/** Reads a token and, when Auth0 refuses the token that was just read, requests its rotation. */
const readTokenAndRotate = (secret) => [
  allow(['secretsmanager:GetSecretValue', 'secretsmanager:DescribeSecret'], { Ref: secret }),
  // A request for a rotation changes neither when the secret rotates nor who rotates it.
  allow(
    ['secretsmanager:RotateSecret'],
    { Ref: secret },
    {
      BoolIfExists: { 'secretsmanager:ModifyRotationRules': 'false' },
      ArnEqualsIfExists: { 'secretsmanager:RotationLambdaARN': rotation },
    },
  ),
  allow(['lambda:InvokeFunction'], rotation),
];
const useToken = readTokenAndRotate('ManagementTokenSecret');

/** Publishes in the service's own name and in no other. "For all values" holds of no value, too. */
const publish = allow(['events:PutEvents'], arnOf('EventBus'), {
  'ForAllValues:StringEquals': { 'events:source': 'org-connections' },
  Null: { 'events:source': 'false' },
});

const table = arnOf('OffboardingsTable');
const indexes = (...names) => names.map((name) => sub(`\${OffboardingsTable.Arn}/index/${name}`));
/** Every action that changes an item, PartiQL's among them. */
const TABLE_WRITES = [
  'dynamodb:BatchWriteItem',
  'dynamodb:DeleteItem',
  'dynamodb:PartiQLDelete',
  'dynamodb:PartiQLInsert',
  'dynamodb:PartiQLUpdate',
  'dynamodb:PutItem',
  'dynamodb:UpdateItem',
];
const readAndWrite = allow(['dynamodb:GetItem', 'dynamodb:PutItem'], table);

const schedules = sub(
  'arn:${AWS::Partition}:scheduler:${AWS::Region}:${AWS::AccountId}:schedule/${RemovalScheduleGroup}/*',
);
const createSchedules = [
  allow(['scheduler:CreateSchedule'], schedules),
  allow(['iam:PassRole'], arnOf('RemovalScheduleRole'), {
    StringEquals: { 'iam:PassedToService': 'scheduler.amazonaws.com' },
  }),
];

const sendTo = (queue) => allow(['sqs:SendMessage'], arnOf(queue));
const takeFrom = (...queues) =>
  allow(['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'], queues.map(arnOf));
/** Gets a new token with the client's credentials, and stores it (Secrets Manager's four steps of a rotation). */
const rotate = (client, token) => [
  allow(['secretsmanager:GetSecretValue'], { Ref: client }),
  allow(
    [
      'secretsmanager:DescribeSecret',
      'secretsmanager:GetSecretValue',
      'secretsmanager:PutSecretValue',
      'secretsmanager:UpdateSecretVersionStage',
    ],
    { Ref: token },
  ),
];
/** What Lambda needs to invoke a function for a queue, and the function to hide a message for longer. */
const workOn = (queue) => [takeFrom(queue), allow(['sqs:ChangeMessageVisibility'], arnOf(queue))];

const PERMISSIONS = {
  'disable-connection': useToken,
  'remove-connection': useToken,
  'request-offboarding': [readAndWrite, sendTo('OffboardingQueue')],
  'request-offboardings': [readAndWrite, sendTo('OffboardingQueue')],
  'list-offboardings': [
    allow(['dynamodb:Query'], [table, ...indexes('by_status', 'by_batch')]),
    allow(['dynamodb:GetItem', 'dynamodb:BatchGetItem'], table),
  ],
  'get-offboarding': [...useToken, allow(['dynamodb:GetItem'], table)],
  'cancel-offboarding': [...useToken, readAndWrite, sendTo('OffboardingQueue')],
  'cancel-offboardings': [readAndWrite, allow(['dynamodb:BatchGetItem'], table), sendTo('OffboardingQueue')],
  'offboard-organization': [
    ...useToken,
    publish,
    readAndWrite,
    ...createSchedules,
    ...workOn('OffboardingQueue'),
    sendTo('OffboardingQueue'),
    sendTo('OffboardingDeadLetters'),
  ],
  'dispatch-due-work': [
    allow(['dynamodb:Query'], indexes('by_due')),
    readAndWrite,
    allow(['dynamodb:UpdateItem'], table),
    sendTo('OffboardingQueue'),
    // Moves dead letters back, once their cause is repaired; what stays is put behind its group, and released.
    takeFrom('OffboardingDeadLetters', 'RequestsUndelivered', 'RemovalsUndelivered'),
    allow(
      ['sqs:ChangeMessageVisibility'],
      ['OffboardingDeadLetters', 'RequestsUndelivered', 'RemovalsUndelivered'].map(arnOf),
    ),
    sendTo('OffboardingDeadLetters'),
  ],
  'publish-connection-changes': [publish, sendTo('ConnectionChangesUndelivered')],
  'rotate-management-token': rotate('ManagementClientSecret', 'ManagementTokenSecret'),
};

/** More, where the stage ends sessions (infra/stack/sessions.cjs). */
const SESSION_PERMISSIONS = {
  'end-sessions': [
    ...readTokenAndRotate('SessionTokenSecret'),
    readAndWrite,
    ...workOn('SessionQueue'),
    sendTo('SessionQueue'),
    sendTo('OffboardingQueue'),
  ],
  'offboard-organization': [sendTo('SessionQueue')],
  'rotate-management-token': rotate('SessionClientSecret', 'SessionTokenSecret'),
};

/** The functions that may do one of `actions` to `resource`, by their names. */
function functionsThat(actions, resource, endsSessions) {
  const named = JSON.stringify(arnOf(resource));
  const all = [...Object.entries(PERMISSIONS), ...(endsSessions ? Object.entries(SESSION_PERMISSIONS) : [])];
  const may = ([, statements]) =>
    statements.some(
      ({ Action, Resource }) =>
        Action.some((action) => actions.includes(action)) && JSON.stringify(Resource).includes(named),
    );
  return [...new Set(all.filter(may).map(([name]) => name))];
}

module.exports = { PERMISSIONS, SESSION_PERMISSIONS, TABLE_WRITES, functionsThat };
