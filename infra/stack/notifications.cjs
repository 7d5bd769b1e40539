// Auth0's notifications: where the tenant has an Event Stream or a log stream to EventBridge, the partner's bus of each, and the
// rule that takes from it what is a reason to check an organization.

/** The log records that concern an organization's connections; a log stream has every login of the tenant, too. */
const LOG_TYPES = ['sapi', 'my_organization_api_idp_succeeded', 'ss_sso_success'];
const SOURCES = [
  {
    parameter: 'auth0LogSource',
    id: 'LogNotification',
    name: 'log-notifications',
    pattern: { 'detail-type': ['Auth0 log'], detail: { data: { type: LOG_TYPES } } },
  },
  // An Event Stream sends the types that it was set up for. Auth0 does not document their envelope: the function finds them in it.
  { parameter: 'auth0EventSource', id: 'Notification', name: 'notifications', pattern: {} },
];
const dispatcher = { 'Fn::GetAtt': ['DispatchDashdueDashworkLambdaFunction', 'Arn'] };

const resourcesOf = (source, { id, name, pattern }) => ({
  [`${id}Bus`]: { Type: 'AWS::Events::EventBus', Properties: { Name: source, EventSourceName: source } },
  [`${id}Rule`]: {
    Type: 'AWS::Events::Rule',
    Properties: {
      Name: `org-connections-\${sls:stage}-${name}`,
      EventBusName: { Ref: `${id}Bus` },
      EventPattern: { source: [{ prefix: 'aws.partner/auth0.com/' }], ...pattern },
      Targets: [
        {
          Id: 'dispatch-due-work',
          Arn: dispatcher,
          RetryPolicy: { MaximumRetryAttempts: 185, MaximumEventAgeInSeconds: 86_400 },
          DeadLetterConfig: { Arn: { 'Fn::GetAtt': ['RequestsUndelivered', 'Arn'] } },
        },
      ],
    },
  },
  [`${id}Permission`]: {
    Type: 'AWS::Lambda::Permission',
    Properties: {
      FunctionName: dispatcher,
      Action: 'lambda:InvokeFunction',
      Principal: 'events.amazonaws.com',
      SourceArn: { 'Fn::GetAtt': [`${id}Rule`, 'Arn'] },
    },
  },
});

/** The sources that the stage has, each with the event source's name. */
const presentSources = async ({ resolveVariable }) => {
  const all = SOURCES.map(async (one) => ({ ...one, source: await resolveVariable(`param:${one.parameter}, ''`) }));
  return (await Promise.all(all)).filter(({ source }) => source);
};

module.exports = async (serverless) => {
  const present = await presentSources(serverless);
  return { Resources: Object.assign({}, ...present.map((one) => resourcesOf(one.source, one))) };
};
/** The rules here, for the queue that takes what they cannot deliver. */
module.exports.ruleIds = async (serverless) => (await presentSources(serverless)).map(({ id }) => `${id}Rule`);
