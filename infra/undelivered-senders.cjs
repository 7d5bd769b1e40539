// The rules whose events end in RequestsUndelivered where they can not be delivered.

const RULES = ['OffboardingRequestedRule', 'BatchRequestedRule', 'WatchRule'];

module.exports = async ({ resolveVariable }) => {
  const hasHints = await resolveVariable("param:auth0EventSource, ''");
  return [...RULES, ...(hasHints ? ['HintRule'] : [])].map((rule) => ({ 'Fn::GetAtt': [rule, 'Arn'] }));
};
