// The rules whose events end in RequestsUndelivered where they cannot be delivered.

const { ruleIds } = require('./notifications.cjs');

const RULES = ['RequestRule'];

module.exports = async (serverless) =>
  [...RULES, ...(await ruleIds(serverless))].map((rule) => ({ 'Fn::GetAtt': [rule, 'Arn'] }));
