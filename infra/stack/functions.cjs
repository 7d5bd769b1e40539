// The functions' roles, and the alarms on what the functions do. What each role allows: infra/stack/permissions.cjs.

const alarm = require('./alarm.cjs');
const { PERMISSIONS } = require('./permissions.cjs');
const { roleIdOf, roleOf } = require('./roles.cjs');

/**
 * An alarm on a metric of one function. An error of a function that answers requests, and a request that Lambda does not run for
 * want of concurrency, are 5xx of the API, which has an alarm of its own (infra/stack/api.yml). These work where nobody waits.
 */
const alarmOf = (name, id, MetricName, text, more = {}) => {
  const Value = `org-connections-\${sls:stage}-${name}`;
  const Dimensions = [{ Name: more.Namespace ? 'function' : 'FunctionName', Value }];
  return alarm(id, text, { Namespace: 'AWS/Lambda', MetricName, Dimensions, ...more });
};
const own = { Namespace: 'org-connections' };
const [worker, dispatcher, rotation] = ['offboard-organization', 'dispatch-due-work', 'rotate-management-token'];
const errors = (name) =>
  alarmOf(name, `${name}-errors`, 'Errors', `function errors. ${name} threw, timed out or was killed.`);

const ALARMS = {
  WorkerErrors: errors(worker),
  DispatcherErrors: errors(dispatcher),
  RotationErrors: errors(rotation),
  ConnectionChangesErrors: errors('publish-connection-changes'),
  RecursiveInvocations: alarmOf(
    worker,
    'recursive-invocations-dropped',
    'RecursiveInvocationsDropped',
    'recursive invocations dropped. Lambda takes the worker for a loop and does not run it: requests wait.',
  ),
  TokenRejected: alarmOf(
    worker,
    'token-rejected',
    'Auth0Rejected',
    'token rejected. Auth0 answered 401 or 403 to the worker.',
    own,
  ),
  // Published only while something is overdue. Whether the dispatcher runs at all: DispatcherNotRunning.
  OldestOverdue: alarmOf(
    dispatcher,
    'oldest-overdue',
    'OldestOverdue',
    'oldest overdue. A step of some kind has been overdue for more than an hour.',
    { ...own, Statistic: 'Maximum', Threshold: 3600, ComparisonOperator: 'GreaterThanThreshold' },
  ),
  DriftChecksLate: alarmOf(
    dispatcher,
    'drift-checks-late',
    'DriftChecksLate',
    'drift checks late. Organizations have not been checked for drift for more than a day longer than they should.',
    { ...own, Statistic: 'Maximum' },
  ),
  DispatcherNotRunning: alarmOf(
    dispatcher,
    'dispatcher-not-running',
    // Not Lambda's Invocations: notifications of Auth0's invoke the same function, and look for nothing.
    'DueWorkDispatched',
    'dispatcher not running. Nobody has looked for overdue work in three hours.',
    {
      ...own,
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
      Object.entries(PERMISSIONS).map(([name, permissions]) => [roleIdOf(name), roleOf(name, permissions)]),
    ),
    ...ALARMS,
  },
};
