// The functions' environment, made of the stack's own resources.

const sessions = require('./sessions.cjs');

const shared = {
  aws: {
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
    REMOVAL_NOTICE: '${param:removalNotice}',
    GIVE_UP_AFTER: '${param:giveUpAfter}',
    WATCH_INTERVAL: '${param:watchInterval}',
    WATCH_FOR: '${param:watchFor}',
    LOG_LEVEL: '${param:logLevel}',
    // A young generation of a fixed small size: resident memory after bursts is a fifth less, at no cost in time.
    NODE_OPTIONS: '--max-semi-space-size=4',
  },
};

module.exports = async (serverless) => {
  const parameter = async (name) => String(await serverless.resolveVariable(`param:${name}`));
  const machineAccess = { MACHINE_ACCESS: await parameter('machineAccess') };
  const { workerEnvironment, rotationEnvironment } = await sessions(serverless);
  return {
    ...shared,
    machineAccess,
    // These refuse at once what the stage does not do.
    requests: { ...machineAccess, END_SESSIONS: await parameter('endSessions') },
    // The queues, beside the offboarding queue's own dead letters, that hold messages to be moved back.
    dispatcher: {
      UNDELIVERED_QUEUE_URLS: { 'Fn::Join': [',', [{ Ref: 'RequestsUndelivered' }, { Ref: 'RemovalsUndelivered' }]] },
    },
    worker: { ...workerEnvironment, ...machineAccess },
    rotation: { ...rotationEnvironment, ...machineAccess },
  };
};
