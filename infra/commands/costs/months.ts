// What a stage costs: AWS's published prices, applied to what the template has and to what was counted. What no count shows has
// a name and its reason here.
import type { Count, Measured } from './measure.ts';

/** US dollars in us-east-1, without free tiers (aws.amazon.com/…/pricing, November 2026). */
const PRICES = {
  alarmMetric: 0.1,
  dashboard: 3,
  customMetric: 0.3,
  secret: 0.4,
  secretCall: 0.05 / 10_000,
  lambdaGbSecond: 0.0000133334, // arm64
  lambdaRequest: 0.2 / 1e6,
  apiRequest: 1 / 1e6,
  dynamoWrite: 0.625 / 1e6,
  dynamoRead: 0.125 / 1e6,
  dynamoGbMonth: 0.25 + 0.2, // and point-in-time recovery
  fifoRequest: 0.5 / 1e6,
  event: 1 / 1e6,
  archiveGb: 0.1,
  schedule: 1 / 1e6,
  logGb: 0.5,
  traceRecorded: 5 / 1e6,
};
const GB = 1024 ** 3;
const MONTH_S = 30 * 86_400;
/** Seconds that Lambda bills for one invocation: on Lambda mostly the wait for Auth0, some 150 ms a call; here the machine would be timed. */
const SECONDS = { request: 0.2, work: 1.2, check: 0.4 };
/** SQS is asked for messages all the time, by five pollers that wait 20 s each (Lambda developer guide, "Using Lambda with Amazon SQS"). */
const IDLE_POLLS = (5 * MONTH_S) / 20;
/** By the clock: the dispatcher, and four rotations a day of four steps, with their Describe, Get and Put calls. */
const DISPATCHES = 30 * 24 * 4;
const ROTATIONS = 30 * 4;
const ROTATION_CALLS = 12;
/** The token's metric has a value four hours a day. */
const TOKEN_METRIC = 4 / 24;
/** A line of the API's access log. */
const ACCESS_LOG_BYTES = 400;
/** X-Ray's default sampling: the first request of a second and one in twenty of the rest. */
const traced = (requests: number, seconds: number) =>
  Math.min(requests, seconds) + 0.05 * Math.max(0, requests - seconds);

// biome-ignore lint/suspicious/noExplicitAny: a template has no type
export type Resource = { Type: string; Properties: any };
/** Dollars by part of the bill. */
export type Costs = Record<string, number>;

const times = (n: number, costs: Costs): Costs =>
  Object.fromEntries(Object.entries(costs).map(([name, dollars]) => [name, n * dollars]));
const of = ({ calls }: Count, ...names: string[]) => names.reduce((sum, name) => sum + (calls[name] ?? 0), 0);
const memoryGb = (template: Resource[], name: string) =>
  template.find(({ Type, Properties }) => Type === 'AWS::Lambda::Function' && Properties.FunctionName.endsWith(name))
    ?.Properties.MemorySize / 1024;

/** A metric-math alarm is billed for each metric in it. */
export const alarmMetricsIn = (template: Resource[]) =>
  template
    .filter(({ Type }) => Type === 'AWS::CloudWatch::Alarm')
    .map(({ Properties }) => Properties.Metrics?.filter((one: { MetricStat?: object }) => one.MetricStat).length ?? 1)
    .reduce((sum, metrics) => sum + metrics, 0);

/** Nothing is requested: what is there, and what the clock does. */
function idle(template: Resource[]): Costs {
  const count = (type: string) => template.filter(({ Type }) => Type === type).length;
  const invocations = DISPATCHES + ROTATIONS * 4;
  const second = PRICES.lambdaRequest + memoryGb(template, 'offboard-organization') * PRICES.lambdaGbSecond;
  return {
    alarms: alarmMetricsIn(template) * PRICES.alarmMetric,
    dashboard: count('AWS::CloudWatch::Dashboard') * PRICES.dashboard,
    metrics: TOKEN_METRIC * PRICES.customMetric,
    secrets: count('AWS::SecretsManager::Secret') * PRICES.secret + ROTATIONS * ROTATION_CALLS * PRICES.secretCall,
    functions: invocations * (second + PRICES.traceRecorded),
    queue: IDLE_POLLS * PRICES.fifoRequest,
  };
}

/** What the worker does for an organization; EventBridge, Scheduler or the dispatcher sent it `messages` messages. */
function work(count: Count, template: Resource[], messages: number, seconds: number): Costs {
  const gbSeconds = seconds * memoryGb(template, 'offboard-organization');
  const invocations = messages + of(count, 'SendMessage');
  return {
    table: count.table.write * PRICES.dynamoWrite + count.table.read * PRICES.dynamoRead,
    // Each message is sent, received and deleted.
    queue: (3 * invocations + of(count, 'SendMessageBatch', 'ChangeMessageVisibility')) * PRICES.fifoRequest,
    events: count.events * PRICES.event + (count.eventBytes / GB) * PRICES.archiveGb,
    schedules: of(count, 'CreateSchedule') * PRICES.schedule,
    functions: invocations * (PRICES.lambdaRequest + gbSeconds * PRICES.lambdaGbSecond + PRICES.traceRecorded),
    logs: (count.logBytes / GB) * PRICES.logGb,
  };
}

/** PATCH at so many a second, day and night. */
function steady(perSecond: number, template: Resource[], { patch, offboarding }: Measured): Costs {
  const requests = perSecond * MONTH_S;
  const gb = memoryGb(template, 'disable-connection');
  return {
    api: requests * PRICES.apiRequest,
    functions: requests * (PRICES.lambdaRequest + SECONDS.request * gb * PRICES.lambdaGbSecond),
    traces: traced(requests, MONTH_S) * PRICES.traceRecorded,
    logs: requests * ((patch.logBytes + ACCESS_LOG_BYTES) / GB) * PRICES.logGb,
    secrets: requests * of(patch, 'GetSecretValue', 'DescribeSecret') * PRICES.secretCall,
    events: requests * patch.events * PRICES.event,
    // Each name and dimension that such traffic, and the work beside it, makes.
    metrics: new Set([...patch.metrics, ...offboarding.metrics]).size * PRICES.customMetric,
  };
}

/** Dollars, a row for each case that the pages name. */
export function monthsOf(template: Resource[], measured: Measured): [name: string, costs: Costs][] {
  const { offboarding, check, organizationBytes } = measured;
  // The request's own message, and one of each schedule.
  const one = work(offboarding, template, 1 + of(offboarding, 'CreateSchedule'), SECONDS.work);
  const checks = times(10_000 * 30, work(check, template, 1, SECONDS.check));
  const stored = ((10_000 * organizationBytes) / GB) * PRICES.dynamoGbMonth;
  return [
    ['an idle stage, a month', idle(template)],
    ['on top: 10,000 offboardings, once', times(10_000, one)],
    ['on top: a PATCH a second, a month', steady(1, template, measured)],
    ['on top: 50 PATCH a second, a month, with the throttles raised', steady(50, template, measured)],
    ['on top: watching 10,000 organizations, a month', { ...checks, table: (checks.table ?? 0) + stored }],
  ];
}
