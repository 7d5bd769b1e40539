// The role of a function, and its name.

const sub = (text) => ({ 'Fn::Sub': text });
const allow = (Action, Resource) => ({ Effect: 'Allow', Action, Resource });

const STAGE = 'org-connections-${sls:stage}';
/** The logical id of a function's role. */
const roleIdOf = (name) => `${name.replace(/(^|-)(\w)/g, (_, __, letter) => letter.toUpperCase())}Role`;
const roleNameOf = (name) => `${STAGE}-${name}-\${AWS::Region}`;

module.exports = {
  roleIdOf,
  /** By its name: a policy that the role's own permissions refer to may not refer to the role. */
  roleArnOf: (name) => sub(`arn:\${AWS::Partition}:iam::\${AWS::AccountId}:role/${roleNameOf(name)}`),

  roleOf(name, permissions) {
    const log = `arn:\${AWS::Partition}:logs:\${AWS::Region}:\${AWS::AccountId}:log-group:/aws/lambda/${STAGE}-${name}:*`;
    const Statement = [
      allow(['logs:CreateLogStream', 'logs:PutLogEvents'], sub(log)),
      // X-Ray has no resource to name.
      allow(['xray:PutTraceSegments', 'xray:PutTelemetryRecords'], '*'),
      ...permissions,
    ];
    const trust = { Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' };
    return {
      Type: 'AWS::IAM::Role',
      Properties: {
        RoleName: sub(roleNameOf(name)),
        // The most that a role of the stage may have (infra/account/stage-access.yml). A deploy can't make a role without it.
        PermissionsBoundary: sub(
          'arn:${AWS::Partition}:iam::${AWS::AccountId}:policy/org-connections-boundary-${sls:stage}-${AWS::Region}',
        ),
        AssumeRolePolicyDocument: { Version: '2012-10-17', Statement: [trust] },
        Policies: [{ PolicyName: name, PolicyDocument: { Version: '2012-10-17', Statement } }],
      },
    };
  },
};
