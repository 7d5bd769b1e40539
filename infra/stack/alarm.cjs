// An alarm as all of the functions and queues have it: at once, within five minutes, to the stage's topic. `id` ends its name;
// `text` begins with the heading of the runbook that says what to do.

module.exports = (id, text, metric) => ({
  Type: 'AWS::CloudWatch::Alarm',
  Properties: {
    AlarmName: `org-connections-\${sls:stage}-${id}`,
    AlarmDescription: `Runbook: ${text}`,
    Statistic: 'Sum',
    Period: 300,
    EvaluationPeriods: 1,
    Threshold: 1,
    ComparisonOperator: 'GreaterThanOrEqualToThreshold',
    TreatMissingData: 'notBreaching',
    AlarmActions: [{ 'Fn::Sub': 'arn:${AWS::Partition}:sns:${AWS::Region}:${AWS::AccountId}:${param:alarmTopic}' }],
    ...metric,
  },
});
