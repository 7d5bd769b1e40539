// The table of offboardings. The local environment takes its keys and indexes from here.

const { TABLE_WRITES } = require('./permissions.cjs');

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

module.exports = {
  Resources: {
    OffboardingsTable: {
      Type: 'AWS::DynamoDB::Table',
      DeletionPolicy: '${param:deletionPolicy}',
      UpdateReplacePolicy: '${param:updateReplacePolicy}',
      Properties: {
        TableName: 'org-connections-${sls:stage}-offboardings',
        BillingMode: 'PAY_PER_REQUEST',
        AttributeDefinitions: [
          'organization_id',
          'offboarding_id',
          'position',
          'status_shard',
          'status_position',
          'batch_id',
          'due_shard',
          'due_at',
        ].map(string),
        KeySchema: keys('organization_id', 'offboarding_id'),
        GlobalSecondaryIndexes: [
          // A status, and what is due, are keys that many items share: each is spread over shards (lib/aws/table.ts).
          index('by_status', 'status_shard', 'status_position'),
          index('by_batch', 'batch_id', 'position', 'status'),
          // Of organizations alone: when their next step is due, and when the dispatcher sends a due notice again.
          index('by_due', 'due_shard', 'due_at', 'notice_at', 'priority', 'work_due_at'),
        ],
        PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
        DeletionProtectionEnabled: '${param:deletionProtection}',
        // The functions that write it and nobody else, whatever their policies allow. DynamoDB's own expiry needs no permission.
        ResourcePolicy: {
          PolicyDocument: {
            Version: '2012-10-17',
            Statement: [
              {
                Effect: 'Deny',
                Principal: '*',
                Action: TABLE_WRITES,
                Resource: {
                  'Fn::Sub':
                    'arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/org-connections-${sls:stage}-offboardings',
                },
                Condition: {
                  ArnNotLike: { 'aws:PrincipalArn': '${file(infra/stack/senders.cjs):tableWriters}' },
                  Bool: { 'aws:PrincipalIsAWSService': 'false' },
                },
              },
            ],
          },
        },
        // Encrypted with the account's key for DynamoDB (aws/dynamodb), whose use CloudTrail shows.
        SSESpecification: { SSEEnabled: true },
        TimeToLiveSpecification: { AttributeName: 'expires_at', Enabled: true },
      },
    },
    // That it is throttled or fails has no alarm of its own: a request is answered with 503 then, which is an alarm of the API's,
    // and what waits in the queue is overdue, which is another.
  },
  Outputs: { OffboardingsTableName: { Value: table } },
};
