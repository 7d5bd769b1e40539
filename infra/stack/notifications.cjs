// Where the tenant has an Event Stream to EventBridge: its partner's bus, and the rule that takes its events for reasons to check.

module.exports = async ({ resolveVariable }) => {
  const source = await resolveVariable("param:auth0EventSource, ''");
  if (!source) return { Resources: {} };
  const watch = { 'Fn::GetAtt': ['DispatchDashdueDashworkLambdaFunction', 'Arn'] };
  return {
    Resources: {
      NotificationBus: { Type: 'AWS::Events::EventBus', Properties: { Name: source, EventSourceName: source } },
      NotificationRule: {
        Type: 'AWS::Events::Rule',
        Properties: {
          Name: 'org-connections-${sls:stage}-notifications',
          EventBusName: { Ref: 'NotificationBus' },
          // The envelope is not documented: the function finds what it needs, or leaves it.
          EventPattern: { source: [{ prefix: 'aws.partner/auth0.com' }] },
          Targets: [
            {
              Id: 'dispatch-due-work',
              Arn: watch,
              RetryPolicy: { MaximumRetryAttempts: 185, MaximumEventAgeInSeconds: 86_400 },
              DeadLetterConfig: { Arn: { 'Fn::GetAtt': ['RequestsUndelivered', 'Arn'] } },
            },
          ],
        },
      },
      NotificationPermission: {
        Type: 'AWS::Lambda::Permission',
        Properties: {
          FunctionName: watch,
          Action: 'lambda:InvokeFunction',
          Principal: 'events.amazonaws.com',
          SourceArn: { 'Fn::GetAtt': ['NotificationRule', 'Arn'] },
        },
      },
    },
  };
};
