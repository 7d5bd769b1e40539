/** A secret's own policy: whoever is not named here reads no value, whatever their own policies allow. */
module.exports = (secret, roles) => ({
  Type: 'AWS::SecretsManager::ResourcePolicy',
  Properties: {
    SecretId: { Ref: secret },
    BlockPublicPolicy: true,
    ResourcePolicy: {
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Deny',
          Principal: '*',
          Action: 'secretsmanager:GetSecretValue',
          Resource: '*',
          Condition: {
            ArnNotEquals: { 'aws:PrincipalArn': roles.map((role) => ({ 'Fn::GetAtt': [role, 'Arn'] })) },
          },
        },
      ],
    },
  },
});
