// The table of offboardings: one item a request. The local environment takes its keys and indexes from here.

const string = (AttributeName) => ({ AttributeName, AttributeType: 'S' });
const keys = (hash, range) => [
  { AttributeName: hash, KeyType: 'HASH' },
  { AttributeName: range, KeyType: 'RANGE' },
];
/** Indexes serve lists alone and hold keys alone; what is shown is read from the table. */
const index = (IndexName, hash, range, ...attributes) => ({
  IndexName,
  KeySchema: keys(hash, range),
  Projection: attributes.length
    ? { ProjectionType: 'INCLUDE', NonKeyAttributes: attributes }
    : { ProjectionType: 'KEYS_ONLY' },
});
const table = { Ref: 'OffboardingsTable' };

const alarm = (name, runbook, metrics) => ({
  Type: 'AWS::CloudWatch::Alarm',
  Properties: {
    AlarmName: `org-connections-\${sls:stage}-${name}`,
    AlarmDescription: runbook,
    ...metrics,
    EvaluationPeriods: 1,
    Threshold: 1,
    ComparisonOperator: 'GreaterThanOrEqualToThreshold',
    TreatMissingData: 'notBreaching',
    AlarmActions: [{ 'Fn::Sub': 'arn:${AWS::Partition}:sns:${AWS::Region}:${AWS::AccountId}:${param:alarmTopic}' }],
  },
});
const ofTable = (MetricName, ...more) => ({
  Namespace: 'AWS/DynamoDB',
  MetricName,
  Dimensions: [{ Name: 'TableName', Value: table }, ...more],
});
const throttled = (MetricName) => ({ ...ofTable(MetricName), Statistic: 'Sum', Period: 300 });
/** DynamoDB counts its failures by operation alone. */
const OPERATIONS = ['GetItem', 'BatchGetItem', 'Query', 'PutItem'];
const failures = {
  Metrics: [
    { Id: 'failures', Expression: OPERATIONS.map((_, i) => `FILL(m${i}, 0)`).join(' + '), Label: 'Failures' },
    ...OPERATIONS.map((Value, i) => ({
      Id: `m${i}`,
      ReturnData: false,
      MetricStat: { Metric: ofTable('SystemErrors', { Name: 'Operation', Value }), Period: 300, Stat: 'Sum' },
    })),
  ],
};

module.exports = {
  Resources: {
    OffboardingsTable: {
      Type: 'AWS::DynamoDB::Table',
      DeletionPolicy: '${param:deletionPolicy}',
      UpdateReplacePolicy: '${param:deletionPolicy}',
      Properties: {
        TableName: 'org-connections-${sls:stage}-offboardings',
        BillingMode: 'PAY_PER_REQUEST',
        AttributeDefinitions: [
          'organization_id',
          'offboarding_id',
          'created_at',
          'status',
          'due_at',
          'batch_id',
          'watch',
          'check_at',
        ].map(string),
        KeySchema: keys('organization_id', 'offboarding_id'),
        GlobalSecondaryIndexes: [
          index('by_organization', 'organization_id', 'created_at'),
          index('by_status', 'status', 'due_at'),
          index('by_batch', 'batch_id', 'created_at', 'status'),
          index('by_watch', 'watch', 'check_at'),
        ],
        PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
        DeletionProtectionEnabled: '${param:deletionProtection}',
        // Encrypted with the account's key for DynamoDB (aws/dynamodb), whose use CloudTrail shows.
        SSESpecification: { SSEEnabled: true },
        TimeToLiveSpecification: { AttributeName: 'expires_at', Enabled: true },
      },
    },
    TableReadsThrottled: alarm(
      'table-reads-throttled',
      'Runbook: table throttled. DynamoDB refused reads of the offboardings for their rate.',
      throttled('ReadThrottleEvents'),
    ),
    TableWritesThrottled: alarm(
      'table-writes-throttled',
      'Runbook: table throttled. DynamoDB refused writes of the offboardings for their rate.',
      throttled('WriteThrottleEvents'),
    ),
    TableFailing: alarm(
      'table-failing',
      'Runbook: table failing. DynamoDB failed requests for the table of offboardings.',
      failures,
    ),
  },
  Outputs: { OffboardingsTableName: { Value: table } },
};
