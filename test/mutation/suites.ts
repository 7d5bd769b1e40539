// Which test files answer for which code, the fast ones first. Only those that run in one process on the code itself: what
// shows in a packaged bundle alone is not asked here.
const RULES = [
  'acceptance',
  'bounds',
  'cancellation',
  'connections',
  'drift',
  'dry-run',
  'due-work',
  'leaving',
  'members',
  'priority',
  'progress',
  'requests',
  'retention',
].map((name) => `offboarding/rules/${name}`);
const VIEWS = ['outcome', 'cancellation', 'acceptance'].map((name) => `offboarding/views/${name}`);
const READERS = ['list', 'current'].map((name) => `offboarding/views/${name}`);
const CALLS = ['auth0/api-call', 'auth0/management-api', 'auth0/calls', 'auth0/http-client'];

const ITEM = ['offboarding/model/organization', 'offboarding/model/stage'];

export const SUITES: Record<string, string[]> = {
  'offboarding/model/messages': ['messages', 'status', 'stage', 'batch', 'organization'].map(
    (name) => `offboarding/model/${name}`,
  ),
  'offboarding/model/request': ['offboarding/model/request'],
  'offboarding/rules/bounds': ['offboarding/rules/bounds'],
  'offboarding/rules/acceptance': [...RULES, ...ITEM],
  'offboarding/rules/cancellation': [...RULES, ...ITEM],
  'offboarding/rules/connections': [...RULES, ...ITEM],
  'offboarding/rules/drift': [...RULES, ...ITEM],
  'offboarding/rules/dry-run': ['offboarding/rules/dry-run'],
  'offboarding/rules/due-work': [...RULES, ...ITEM],
  'offboarding/rules/leaving': [...RULES, ...ITEM],
  'offboarding/rules/members': [...RULES, ...ITEM],
  'offboarding/rules/progress': [...RULES, ...ITEM],
  'offboarding/rules/projection': [
    ...['offboarding/rules/projection', 'offboarding/rules/requests', 'offboarding/views/outcome'],
    ...ITEM,
  ],
  'offboarding/views/cancellation': VIEWS,
  'offboarding/views/lists': READERS,
  'offboarding/stage': ['stage-parameters', 'offboarding/intake/permitted'],
  'offboarding/request': ['duration'],
  'offboarding/intake/auth0-notification': ['offboarding/intake/auth0-notification'],
  'offboarding/intake/batch-members': ['offboarding/intake/batch-members'],
  'offboarding/rules/priority': ['offboarding/rules/priority'],
  'offboarding/intake/accept': ['accept', 'update'].map((name) => `offboarding/intake/${name}`),
  'offboarding/intake/accept-event': ['offboarding/intake/accept-event'],
  'offboarding/intake/accept-batch': ['accept-batch', 'update'].map((name) => `offboarding/intake/${name}`),
  'offboarding/intake/cancel': ['offboarding/intake/cancel'],
  'offboarding/intake/cancel-batch': ['offboarding/intake/cancel-batch'],
  'offboarding/intake/drift-check': ['offboarding/intake/drift-check'],
  'sessions/end-sessions': ['sessions/end-sessions'],
  'sessions/end-sessions-errors': ['sessions/end-sessions'],
  'offboarding/store/shell': ['offboarding/store/shell'],
  'offboarding/worker/dispatch': ['offboarding/worker/dispatch'],
  'offboarding/worker/lease': ['offboarding/worker/lease'],
  'offboarding/worker/learn': ['offboarding/worker/learn'],
  'offboarding/worker/learn-calls': ['offboarding/worker/learn'],
  'offboarding/worker/next-step': ['next-step', 'request-steps'].map((name) => `offboarding/worker/${name}`),
  'offboarding/worker/next-step-later': ['next-step', 'check-steps'].map((name) => `offboarding/worker/${name}`),
  'offboarding/worker/facts': ['offboarding/worker/facts', 'offboarding/worker/visit-state', ...ITEM],
  'offboarding/worker/visit': ['visit', 'publish'].map((name) => `offboarding/worker/${name}`),
  'offboarding/worker/delivery': ['worker/delivery', 'store/offboarding-queue', 'store/dead-letter-queue'].map(
    (name) => `offboarding/${name}`,
  ),
  'offboarding/worker/dispatcher': [
    'worker/dispatcher',
    'worker/dispatch',
    'store/dead-letters',
    'store/due-shell',
  ].map((name) => `offboarding/${name}`),
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
};

/** Of these so much of what can be seen must be seen: whatever decides, the views, the table, the pace, the calls and the token. */
export const ENOUGH = 0.9;
const INTAKE = ['accept', 'accept-event', 'accept-batch', 'cancel', 'cancel-batch', 'drift-check', 'update'];
const inFolder = (folder: string, ...names: string[]) => names.map((name) => `offboarding/${folder}/${name}`);
export const WATCHED = [
  ...[...RULES, ...VIEWS, ...READERS, ...CALLS],
  ...inFolder('rules', 'projection'),
  ...inFolder('model', 'messages', 'status', 'stage', 'organization', 'request'),
  ...inFolder('intake', ...INTAKE, 'auth0-notification', 'batch-members', 'permitted'),
  ...inFolder('worker', 'delivery', 'dispatcher', 'dispatch', 'lease', 'learn', 'next-step', 'request-steps', 'facts'),
  ...inFolder('store', 'shell', 'dead-letters'),
  ...['sessions/end-sessions', 'aws/table', 'auth0/rate-limit', 'auth0/management-token'],
];
