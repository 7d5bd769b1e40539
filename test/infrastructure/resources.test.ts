// Who may send to the queues, write the table and read the secrets of a stage, whatever their own policies allow; and what an operator
// may do. Asked as IAM would be.
import { describe, expect, test } from 'vitest';
import { policiesOf } from './cloudformation.ts';
import { STAGES } from './compiled.ts';
import { may, type Policy } from './iam.ts';
import { arn, EVERYTHING, endsSessions, lambda, policyOf, role, STRANGERS, stack, stage } from './stages.ts';

const TLS = { 'aws:SecureTransport': 'true' };

describe.each(STAGES)('%s', (name) => {
  const whole = stack(name);
  const { Resources } = whole;
  const account = stage(name);
  const roleOf = (fn: string) => role(`org-connections-${name}-${fn}`);
  const roles = Object.values(Resources).filter(({ Type }) => Type === 'AWS::IAM::Role');
  const operator = policyOf(account, 'OperatePolicy');
  const queueArn = (suffix: string) => arn('sqs', `org-connections-${name}-${suffix}`);

  /** The policy of a queue; there is one for each. */
  function policyOfQueue(suffix: string): Policy[] {
    const found = Object.values(Resources).filter(
      ({ Type, Properties }) =>
        Type === 'AWS::SQS::QueuePolicy' && Properties.Queues.includes(`org-connections-${name}-${suffix}`),
    );
    expect(found.length, suffix).toBe(1);
    return found.map(({ Properties }) => Properties.PolicyDocument);
  }
  const sends = (suffix: string, principal: string, own: Policy[] = EVERYTHING, context: object = TLS) =>
    may(
      { action: 'sqs:SendMessage', resource: queueArn(suffix), principal, context: { ...context } },
      { own, resource: policyOfQueue(suffix) },
    );
  const REQUESTERS = ['request-offboarding', 'request-offboardings', 'cancel-offboarding', 'cancel-offboardings'];
  const sessions = endsSessions(name);
  const SENDERS: Record<string, string[]> = {
    'offboarding.fifo': [
      ...REQUESTERS,
      'offboard-organization',
      'dispatch-due-work',
      'removals',
      ...(sessions ? ['end-sessions'] : []),
    ],
    'offboarding-dead-letters.fifo': ['offboard-organization', 'dispatch-due-work'],
    'removals-undelivered': ['removals'],
    'requests-undelivered': ['clock'],
    'connection-changes-undelivered': ['publish-connection-changes'],
    ...(sessions && { 'sessions.fifo': ['offboard-organization', 'end-sessions'], 'session-dead-letters.fifo': [] }),
  };

  test('each queue is asked about here', () => {
    const queues = Object.values(Resources).filter(({ Type }) => Type === 'AWS::SQS::Queue');
    expect(queues.map(({ Properties }) => Properties.QueueName).sort()).toEqual(
      Object.keys(SENDERS)
        .map((suffix) => `org-connections-${name}-${suffix}`)
        .sort(),
    );
  });

  test.each(Object.keys(SENDERS))('%s takes messages from its own senders and from nobody else, over TLS', (suffix) => {
    const senders = roles.filter((one) => sends(suffix, one.arn, policiesOf(one, whole))).map((one) => one.arn);
    expect(senders.sort()).toEqual(SENDERS[suffix]?.map(roleOf).sort());
    // A role of the stage that is not meant to send does not, whatever its own policies come to say.
    for (const one of [...STRANGERS, roleOf('list-offboardings'), role(`org-connections-deploy-${name}`)])
      expect(sends(suffix, one), one).toBe(false);
    for (const one of senders)
      expect(sends(suffix, one, EVERYTHING, { 'aws:SecureTransport': 'false' }), one).toBe(false);
    expect(sends(suffix, roleOf('offboard-organization'), [operator])).toBe(false);
  });

  test('EventBridge delivers for the rules of this stage alone', () => {
    const rule = Resources.RequestRule?.arn ?? '';
    const delivers = (source: string, principal = 'events.amazonaws.com', suffix = 'offboarding.fifo') =>
      sends(suffix, principal, [], { ...TLS, 'aws:SourceArn': source });
    expect(rule).toBe(arn('events', `rule/org-connections-${name}/org-connections-${name}-requests`));
    expect(delivers(rule)).toBe(true);
    expect(delivers(rule, 'events.amazonaws.com', 'requests-undelivered')).toBe(true);
    expect(delivers(arn('events', `rule/other/org-connections-${name}-requests`))).toBe(false);
    expect(delivers(rule, 'sns.amazonaws.com')).toBe(false);
    expect(delivers(rule, 'events.amazonaws.com', 'offboarding-dead-letters.fifo')).toBe(false);
  });

  test('the table is written by the functions that write it and by nobody else', () => {
    const table = Resources.OffboardingsTable;
    const resource = [table?.Properties.ResourcePolicy.PolicyDocument as Policy];
    const writes = (action: string, principal: string, own: Policy[]) =>
      may({ action: `dynamodb:${action}`, resource: table?.arn ?? '', principal }, { own, resource });
    const writers = roles.filter((one) => writes('PutItem', one.arn, policiesOf(one, whole))).map((one) => one.arn);
    const expected = [
      ...REQUESTERS,
      'offboard-organization',
      'dispatch-due-work',
      ...(sessions ? ['end-sessions'] : []),
    ];
    expect(writers.sort()).toEqual(expected.map(roleOf).sort());
    for (const action of ['PutItem', 'UpdateItem', 'DeleteItem', 'BatchWriteItem', 'PartiQLUpdate'])
      for (const one of [...STRANGERS, roleOf('get-offboarding'), role(`org-connections-deploy-${name}`)])
        expect(writes(action, one, EVERYTHING), `${action} ${one}`).toBe(false);
    expect(writes('GetItem', `arn:aws:iam::111122223333:role/Admin`, EVERYTHING)).toBe(true);
  });

  test('the values of the secrets are for those whom the secret itself names', () => {
    const CALLING = ['disable-connection', 'remove-connection', 'get-offboarding', 'cancel-offboarding'];
    const READERS: Record<string, string[]> = {
      'management-client': ['rotate-management-token'],
      'management-token': [...CALLING, 'offboard-organization', 'rotate-management-token'],
      ...(sessions && {
        'session-client': ['rotate-management-token'],
        'session-token': ['end-sessions', 'rotate-management-token'],
      }),
    };
    const secrets = Object.values(Resources).filter(({ Type }) => Type === 'AWS::SecretsManager::Secret');
    expect(secrets.length).toBe(Object.keys(READERS).length);
    for (const { arn: secret, Properties } of secrets) {
      const policies = Object.values(account.Resources).filter(
        (one) => one.Type === 'AWS::SecretsManager::ResourcePolicy' && one.Properties.SecretId === Properties.Name,
      );
      expect(policies.length, Properties.Name).toBe(1);
      const resource = policies.map((one) => one.Properties.ResourcePolicy);
      const reads = (principal: string, own: Policy[]) =>
        may({ action: 'secretsmanager:GetSecretValue', resource: secret, principal }, { own, resource });
      const readers = roles.filter((one) => reads(one.arn, policiesOf(one, whole))).map((one) => one.arn);
      expect(readers.sort()).toEqual(READERS[Properties.Name.split('/').at(-1)]?.map(roleOf).sort());
      for (const one of [...STRANGERS, roleOf('list-offboardings'), role(`org-connections-deploy-${name}`)])
        expect(reads(one, EVERYTHING), `${one} ${Properties.Name}`).toBe(false);
    }
  });

  test('the stack itself says nothing about who reads a secret: a deploy could change it', () => {
    expect(Object.values(Resources).filter(({ Type }) => Type === 'AWS::SecretsManager::ResourcePolicy')).toEqual([]);
  });

  describe('an operator', () => {
    const me = 'arn:aws:iam::111122223333:role/on-call';
    const operates = (action: string, resource: string, context: Record<string, string> = {}) =>
      may({ action, resource, principal: me, context }, { own: [operator] });
    const DEAD = ['offboarding-dead-letters.fifo', 'removals-undelivered', 'requests-undelivered'];

    test.each(DEAD)('reads and deletes messages of %s', (suffix) => {
      for (const action of ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'])
        expect(operates(action, queueArn(suffix)), action).toBe(true);
    });

    test.each(['offboarding.fifo', 'sessions.fifo'])('sees how many messages are in %s, and no message', (suffix) => {
      expect(operates('sqs:GetQueueAttributes', queueArn(suffix))).toBe(true);
      for (const action of ['ReceiveMessage', 'DeleteMessage', 'PurgeQueue', 'ChangeMessageVisibility'])
        expect(operates(`sqs:${action}`, queueArn(suffix)), action).toBe(false);
    });

    test('sends nowhere and moves nothing by hand: dispatch-due-work does, and may be invoked', () => {
      for (const suffix of [...DEAD, 'offboarding.fifo', 'sessions.fifo'])
        for (const action of ['sqs:SendMessage', 'sqs:StartMessageMoveTask'])
          expect(operates(action, queueArn(suffix)), `${action} ${suffix}`).toBe(false);
      expect(operates('lambda:InvokeFunction', lambda(`org-connections-${name}-dispatch-due-work`))).toBe(true);
      expect(operates('lambda:InvokeFunction', lambda(`org-connections-${name}-offboard-organization`))).toBe(false);
      const dispatcher = policiesOf(Resources.DispatchDueWorkRole, whole);
      for (const suffix of DEAD)
        for (const action of ['sqs:ReceiveMessage', 'sqs:DeleteMessage'])
          expect(may({ action, resource: queueArn(suffix) }, { own: dispatcher }), suffix).toBe(true);
    });

    test('requests a rotation, and changes neither when the secret rotates nor who rotates it', () => {
      const secret = arn('secretsmanager', `secret:org-connections/${name}/management-token-AbCdEf`);
      const rotates = (own: Policy[], context: Record<string, string>) =>
        may({ action: 'secretsmanager:RotateSecret', resource: secret, context }, { own });
      const functionArn = (one: string) => lambda(`org-connections-${name}-${one}`);
      for (const own of [[operator], policiesOf(Resources.OffboardOrganizationRole, whole)]) {
        expect(rotates(own, {})).toBe(true);
        expect(rotates(own, { 'secretsmanager:RotationLambdaARN': functionArn('rotate-management-token') })).toBe(true);
        expect(rotates(own, { 'secretsmanager:RotationLambdaARN': functionArn('get-offboarding') })).toBe(false);
        expect(rotates(own, { 'secretsmanager:ModifyRotationRules': 'true' })).toBe(false);
      }
    });
  });
});
