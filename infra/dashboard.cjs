// What a look at the service needs, on one page.

const STAGE = 'org-connections-${sls:stage}';
const HTTP = [
  'disable-connection',
  'remove-connection',
  'request-offboarding',
  'request-offboardings',
  'list-offboardings',
  'get-offboarding',
  'cancel-offboarding',
];
const ALL = [...HTTP, 'offboard-organization', 'rotate-management-token'];
const CALLERS_OF_AUTH0 = ALL.filter((name) => /^(disable|remove|get|cancel|offboard)-/.test(name));
const LANES = ['single', 'batch', 'watch'];
/** The statuses that something may follow, as the hourly run of the watch counts them. */
const PENDING = ['requested', 'working', 'scheduled', 'removing', 'cancelling'];
/** The outcomes of a request that an operator tells apart; every other code is in the log and in the API's own metrics. */
const OUTCOMES = [
  'ok',
  'rate_limited',
  'auth0_unavailable',
  'auth0_timeout',
  'management_token_unavailable',
  'internal_error',
];

const own = (metric, name, ...dimension) => ['org-connections', metric, 'function', `${STAGE}-${name}`, ...dimension];
const queue = (metric, name) => ['AWS/SQS', metric, 'QueueName', `${STAGE}-${name}`];

const widgets = [
  [
    'Requests by outcome',
    'Sum',
    HTTP.flatMap((name) => OUTCOMES.map((outcome) => own('Requests', name, 'outcome', outcome))),
  ],
  ['Calls of Auth0', 'Sum', CALLERS_OF_AUTH0.map((name) => own('Auth0Calls', name))],
  [
    "Auth0's 429, 401 and 403, 5xx and no answer",
    'Sum',
    CALLERS_OF_AUTH0.flatMap((name) =>
      ['Auth0RateLimited', 'Auth0Refused', 'Auth0Failed'].map((metric) => own(metric, name)),
    ),
  ],
  ['Latency of requests, p99', 'p99', HTTP.map((name) => own('Latency', name))],
  ['Latency of Auth0, p99', 'p99', CALLERS_OF_AUTH0.map((name) => own('Auth0Latency', name))],
  ['Rate limit left', 'Minimum', CALLERS_OF_AUTH0.map((name) => own('RateLimitRemaining', name))],
  ["Token's time to expiry, seconds", 'Minimum', [own('TokenTimeToExpiry', 'rotate-management-token')]],
  [
    'Offboardings by outcome',
    'Sum',
    ['completed', 'scheduled', 'failed', 'drifted'].map((outcome) =>
      own('Offboardings', 'offboard-organization', 'outcome', outcome),
    ),
  ],
  [
    "The lanes' deliveries, the batch lane's being batches in progress",
    'Sum',
    LANES.map((lane) => own('Deliveries', 'offboard-organization', 'lane', lane)),
  ],
  [
    'How long messages have waited, by lane, ms',
    'Maximum',
    LANES.map((lane) => own('Waited', 'offboard-organization', 'lane', lane)),
  ],
  ['Records by status', 'Maximum', PENDING.map((status) => own('Records', 'watch-offboardings', 'status', status))],
  ['Queue: waiting', 'Maximum', [queue('ApproximateNumberOfMessagesVisible', 'offboarding.fifo')]],
  ['Queue: age of the oldest, seconds', 'Maximum', [queue('ApproximateAgeOfOldestMessage', 'offboarding.fifo')]],
  [
    'Dead letters and undelivered',
    'Maximum',
    ['offboarding-dead-letters.fifo', 'requests-undelivered', 'removals-undelivered'].map((name) =>
      queue('ApproximateNumberOfMessagesVisible', name),
    ),
  ],
  ['Cold starts', 'Sum', [...HTTP, 'offboard-organization'].map((name) => own('ColdStarts', name))],
].map(([title, stat, metrics], index) => ({
  type: 'metric',
  x: (index % 3) * 8,
  y: Math.floor(index / 3) * 6,
  width: 8,
  height: 6,
  properties: { title, stat, metrics, period: 300, region: '${self:provider.region}' },
}));

module.exports = {
  Resources: {
    Dashboard: {
      Type: 'AWS::CloudWatch::Dashboard',
      Properties: { DashboardName: STAGE, DashboardBody: JSON.stringify({ widgets }) },
    },
  },
};
