import * as secrets from '@aws-sdk/client-secrets-manager';
import { AwsJson1_1Protocol } from '@aws-sdk/core/protocols';
import { createClient } from './client.ts';

const protocol = new AwsJson1_1Protocol({
  defaultNamespace: 'com.amazonaws.secretsmanager',
  serviceTarget: 'secretsmanager',
});
const call = createClient({ name: 'secretsmanager', protocol });

// The calls of Secrets Manager that are made, each as the SDK's command of its name.
export const getSecretValue = /* @__PURE__ */ call<typeof secrets.GetSecretValueCommand>(secrets.GetSecretValue$);
export const describeSecret = /* @__PURE__ */ call<typeof secrets.DescribeSecretCommand>(secrets.DescribeSecret$);
export const rotateSecret = /* @__PURE__ */ call<typeof secrets.RotateSecretCommand>(secrets.RotateSecret$);
export const putSecretValue = /* @__PURE__ */ call<typeof secrets.PutSecretValueCommand>(secrets.PutSecretValue$);
export const updateSecretVersionStage = /* @__PURE__ */ call<typeof secrets.UpdateSecretVersionStageCommand>(
  secrets.UpdateSecretVersionStage$,
);
