// The operations that a fault may name, beside those that a service here lists by itself.

/** What AWS does by itself: EventBridge hands an event to a target, Scheduler sends what a schedule has. */
const BY_ITSELF = ['Deliver', 'Fire'];
const SCHEDULER = ['CreateSchedule', 'UpdateSchedule', 'GetSchedule', 'DeleteScheduleGroup'];
const LAMBDA = ['GetFunctionRecursionConfig', 'PutFunctionRecursionConfig'];
const MAPPINGS = ['ListEventSourceMappings', 'GetEventSourceMapping', 'UpdateEventSourceMapping'];
const TERMINAL = ['GetCallerIdentity', 'DescribeStacks'];
/** Those of dynalite. */
const TABLE = ['BatchGetItem', 'BatchWriteItem', 'DeleteItem', 'GetItem', 'PutItem', 'Query', 'Scan', 'UpdateItem'];
const TABLES = ['CreateTable', 'DeleteTable', 'DescribeTable', 'DescribeTimeToLive', 'ListTables', 'UpdateTable'];
const TAGS = ['ListTagsOfResource', 'TagResource', 'UntagResource'];

export const FAULT_OPERATIONS: readonly string[] = [
  ...[BY_ITSELF, SCHEDULER, LAMBDA, MAPPINGS, TERMINAL, TABLE, TABLES, TAGS].flat(),
];
