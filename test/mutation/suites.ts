// Which test files answer for which code, the fast ones first. Only those that run in one process on the code itself: what
// shows in a packaged bundle alone is not asked here.
const RULES = ['rules', 'connections', 'drift', 'transitions', 'offboarding'].map((name) => `offboarding/${name}`);
const RECORD = ['aws/table', 'offboarding/record', 'offboarding/organization'];
const WORK = ['acceptance', 'work', 'outcome'].map((name) => `offboarding/${name}`);
const CALLS = ['auth0/api-call', 'auth0/management-api', 'auth0/calls', 'auth0/http-client'];

export const SUITES: Record<string, string[]> = {
  'offboarding/transitions': RULES,
  'offboarding/rules': RULES,
  'offboarding/due': RULES,
  'offboarding/drift': RULES,
  'offboarding/connections': RULES,
  'offboarding/request': ['offboarding/request', 'duration'],
  'http/keys': ['http/idempotency'],
  'lib/log': ['log'],
  'lib/environment': ['environment'],
  'auth0/pacer': ['auth0/rate-limit'],
  'auth0/rate-limit': ['auth0/rate-limit'],
  'auth0/management-token': ['auth0/management-token'],
  'auth0/api-call': CALLS,
  'auth0/management-api': CALLS,
  'auth0/organization-connections': CALLS,
  'auth0/http-client': CALLS,
  'aws/event-bus': ['aws/event-bus'],
  'aws/table': ['aws/table'],
  'offboarding/organization': RECORD,
  'offboarding/record': RECORD,
  'offboarding/notification': ['offboarding/notification'],
  'intake/auth0-notification': ['intake/auth0-notification'],
  'offboarding/queue': ['aws/queue', 'offboarding/queue'],
  'offboarding/deliveries': [
    ...[
      'aws/queue',
      'offboarding/queue',
      'offboarding/delivery',
      'offboarding/messages',
      'offboarding/removal-schedule',
    ],
    ...WORK,
  ],
  'offboarding/acceptance': ['offboarding/acceptance'],
  'offboarding/outcome': ['offboarding/outcome'],
  'offboarding/cancelling-results': ['offboarding/cancelling', ...WORK],
  'offboarding/submission': ['offboarding/submission', 'offboarding/batch'],
  'offboarding/overdue': ['offboarding/sweep', 'offboarding/list'],
};

/** Of these so much of what can be seen must be seen: the rules, the record, what counts and is told, the queue, the pace, the calls and the token. */
export const ENOUGH = 0.9;
export const WATCHED = [
  ...[...RULES, ...RECORD, ...CALLS],
  ...['acceptance', 'cancelling', 'outcome', 'queue', 'delivery'].map((name) => `offboarding/${name}`),
  ...['auth0/rate-limit', 'auth0/management-token'],
];
