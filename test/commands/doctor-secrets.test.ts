// What the doctor says of the management token, over the wire.
import { beforeEach, expect, test } from 'vitest';
import { lookAtSecrets } from '../../infra/commands/doctor/secrets.ts';
import { lookAtRemainingAccess } from '../../infra/commands/doctor/service.ts';
import { accountOfEachTest } from './account.ts';

const account = accountOfEachTest();
const TOKEN = 'org-connections/local/management-token';
let labels: Record<string, string[]>;
beforeEach(() => {
  account.answers = {
    DescribeSecret: ({ SecretId }) => ({
      LastRotatedDate: Date.now() / 1000,
      VersionIdsToStages: SecretId === TOKEN ? labels : { v: ['AWSCURRENT'] },
    }),
  };
});
async function lineOfToken(): Promise<string | undefined> {
  await lookAtSecrets(account.place, { endsMachineAccess: false, endsSessions: false });
  return account.lines.find((line) => line.includes(TOKEN));
}

test('when somebody wrote the token by hand, the last one is to be put back before it is rotated', async () => {
  labels = { last: ['AWSPENDING', 'AWSPREVIOUS'], oops: ['AWSCURRENT'] };
  expect(await lineOfToken()).toMatch(
    /^MISSING .*by hand\. Put the last token back first, then rotate: aws .*update-secret-version-stage .*--move-to-version-id last --remove-from-version-id oops && aws .*rotate-secret/,
  );
});

test('when a rotation did not end, it is to be rotated, and its log says why', async () => {
  labels = { next: ['AWSPENDING'], now: ['AWSCURRENT'], last: ['AWSPREVIOUS'] };
  expect(await lineOfToken()).toMatch(/^MISSING .*its last rotation did not end\. aws .*rotate-secret/);
});

test('when it was rotated, the doctor says that Auth0 took it then, and what tries it now', async () => {
  labels = { now: ['AWSPENDING', 'AWSCURRENT'], last: ['AWSPREVIOUS'] };
  expect(await lineOfToken()).toMatch(/^ok .*Auth0 took it .* then\. It was not tried now: --organization ORG does$/);
});

test('when Auth0 rejects the token now, asking about an organization finds that', async () => {
  const rejected = 'GET /x was answered 502: {"detail":"Auth0 rejected the token","code":"management_token_rejected"}';
  await lookAtRemainingAccess(account.place, () => Promise.reject(new Error(rejected)), 'org_a');
  expect(account.lines[0]).toMatch(/^MISSING management token: .*Auth0 rejected the token.*"Token rejected"/);
});
