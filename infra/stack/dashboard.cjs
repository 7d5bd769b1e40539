// The dashboard of a stage. Our own metrics cost by name and dimensions, so they are few (lib/log.ts). AWS's own metrics, which cost
// nothing, say the rest, and the fields of the log lines what is left. The first three dashboards of at most fifty metrics are free.

const STAGE = 'org-connections-${sls:stage}';
const [WORKER, DISPATCHER, ROTATION] = ['offboard-organization', 'dispatch-due-work', 'rotate-management-token'];
/** Nobody waits for an answer of these. */
const UNATTENDED = [WORKER, DISPATCHER, ROTATION, 'publish-connection-changes'];
const HTTP = [
  'disable-connection',
  'remove-connection',
  'request-offboarding',
  'request-offboardings',
  'get-offboarding',
  'cancel-offboarding',
  'cancel-offboardings',
  'list-offboardings',
];

/** Those of them that call Auth0. */
const CALLING = ['disable-connection', 'remove-connection', 'get-offboarding', 'cancel-offboarding'];

const own = (metric, name, ...dimension) => ['org-connections', metric, 'function', `${STAGE}-${name}`, ...dimension];
const lambda = (metric, name) => ['AWS/Lambda', metric, 'FunctionName', `${STAGE}-${name}`];
const queue = (metric, name) => ['AWS/SQS', metric, 'QueueName', `${STAGE}-${name}`];
const table = (metric) => ['AWS/DynamoDB', metric, 'TableName', `${STAGE}-offboardings`];
// The API's id is known when the stack is there.
const api = (metric, ...more) => ['AWS/ApiGateway', metric, 'ApiId', '${HttpApi}', ...more];

const widgets = [
  ['Requests, refused and failed', 'Sum', [api('Count'), api('4xx'), api('5xx')]],
  ['Latency of requests, ms', 'p99', [api('Latency'), api('Latency', { stat: 'p50' })]],
  ['Duration of each route, p99, ms', 'p99', HTTP.map((name) => lambda('Duration', name))],
  [
    'Offboardings by outcome',
    'Sum',
    ['completed', 'scheduled', 'failed', 'drifted', 'cancelled'].map((outcome) => [
      'org-connections',
      'Offboardings',
      'outcome',
      outcome,
    ]),
  ],
  ["Auth0's 401 and 403", 'Sum', [WORKER, ...CALLING].map((name) => own('Auth0Rejected', name))],
  ['Overdue: the oldest, seconds', 'Maximum', [own('OldestOverdue', DISPATCHER)]],
  ['Organizations whose check is a day late', 'Maximum', [own('DriftChecksLate', DISPATCHER)]],
  ["Token's time to expiry, seconds", 'Minimum', [own('TokenTimeToExpiry', ROTATION)]],
  ['Queue: waiting', 'Maximum', [queue('ApproximateNumberOfMessagesVisible', 'offboarding.fifo')]],
  [
    'Dead letters and undelivered',
    'Maximum',
    [
      'offboarding-dead-letters.fifo',
      'requests-undelivered',
      'removals-undelivered',
      'connection-changes-undelivered',
    ].map((name) => queue('ApproximateNumberOfMessagesVisible', name)),
  ],
  ['Table: throttled', 'Sum', ['ReadThrottleEvents', 'WriteThrottleEvents'].map(table)],
  // An error of a route is a 5xx of the API.
  ['Functions that nobody waits for: errors', 'Sum', UNATTENDED.map((name) => lambda('Errors', name))],
  [
    'Functions that nobody waits for: not run',
    'Sum',
    [lambda('RecursiveInvocationsDropped', WORKER), ...UNATTENDED.map((name) => lambda('Throttles', name))],
  ],
].map(([title, stat, metrics]) => ({ type: 'metric', properties: { title, stat, metrics, period: 300 } }));

const source = (names) => names.map((name) => `SOURCE '/aws/lambda/${STAGE}-${name}'`).join(' | ');
/** Fields of the log lines that are no metrics: CloudWatch reads them when somebody looks, and bills what it reads. */
const logs = [
  [
    'Requests by outcome, from the log',
    `${source(HTTP)} | filter code = 'request_answered' | stats count(*) by outcome, bin(5m)`,
  ],
  [
    "Auth0's answers to requests and the time it took, from the log",
    `${source(HTTP)} | filter code = 'request_answered' | stats avg(auth0_ms), min(rate_limit_remaining) by bin(5m)`,
  ],
].map(([title, query]) => ({ type: 'log', properties: { title, query, view: 'timeSeries' } }));

const placed = [...widgets, ...logs].map(({ type, properties }, index) => ({
  type,
  x: (index % 3) * 8,
  y: Math.floor(index / 3) * 6,
  width: 8,
  height: 6,
  properties: { ...properties, region: '${AWS::Region}' },
}));

module.exports = {
  Resources: {
    Dashboard: {
      Type: 'AWS::CloudWatch::Dashboard',
      Properties: {
        // Dashboards are global: one name an account, whatever the region.
        DashboardName: { 'Fn::Sub': `${STAGE}-\${AWS::Region}` },
        DashboardBody: { 'Fn::Sub': JSON.stringify({ widgets: placed }) },
      },
    },
  },
};
