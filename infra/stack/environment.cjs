// The functions' environment, made of the stack's own resources.

module.exports = {
  AUTH0_DOMAIN: '${param:auth0Domain}',
  AUTH0_AUDIENCE: '${param:auth0Audience}',
  MANAGEMENT_TOKEN_SECRET_ID: 'org-connections/${sls:stage}/management-token',
  MANAGEMENT_CLIENT_SECRET_ID: 'org-connections/${sls:stage}/management-client',
  EVENT_BUS_NAME: { Ref: 'EventBus' },
  OFFBOARDING_QUEUE_URL: { Ref: 'OffboardingQueue' },
  OFFBOARDINGS_TABLE: { Ref: 'OffboardingsTable' },
  REMOVAL_SCHEDULE_GROUP: { Ref: 'RemovalScheduleGroup' },
  REMOVAL_SCHEDULE_ROLE_ARN: { 'Fn::GetAtt': ['RemovalScheduleRole', 'Arn'] },
  REMOVAL_DEAD_LETTER_QUEUE_ARN: { 'Fn::GetAtt': ['RemovalsUndelivered', 'Arn'] },
  DEFAULT_GRACE_PERIOD: '${param:defaultGracePeriod}',
  MINIMUM_GRACE_PERIOD: '${param:minimumGracePeriod}',
  GIVE_UP_AFTER: '${param:giveUpAfter}',
  WATCH_INTERVAL: '${param:watchInterval}',
  WATCH_FOR: '${param:watchFor}',
  LOG_LEVEL: '${param:logLevel}',
};
