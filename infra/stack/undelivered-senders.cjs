// The rules whose events end in RequestsUndelivered where they can not be delivered.

const RULES = ['RequestRule'];

module.exports = async ({ resolveVariable }) => {
  const hasNotifications = await resolveVariable("param:auth0EventSource, ''");
  return [...RULES, ...(hasNotifications ? ['NotificationRule'] : [])].map((rule) => ({ 'Fn::GetAtt': [rule, 'Arn'] }));
};
