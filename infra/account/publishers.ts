// The publishers of a stage (infra/account/publishers.yml), and the policy of its bus that they make.
import * as v from 'valibot';
import { parse } from 'yaml';

/** EventBridge quotas, "Event bus policy size", characters. */
const MAX_POLICY = 10_240;
/** The functions that publish in the name of the service. */
const PUBLISHING = ['offboard-organization', 'publish-connection-changes'];
const REQUESTS = ['organization.offboarding.requested', 'organization.offboarding.cancellation_requested'];

const Principal = v.pipe(
  v.string('must be text: put an account into quotes'),
  v.regex(/^(\d{12}|arn:aws[a-z-]*:iam::\d{12}:(role|user)\/[\w+=,.@/-]+)$/, 'must be a role, a user or an account'),
);
const Source = v.pipe(
  v.string('must be text'),
  v.regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,255}$/, 'must be letters, digits and . _ / -, without blanks'),
  v.check((source) => !/^(aws\.|org-connections$)/i.test(source), 'must be none of AWS or of the service itself'),
);
const Publishers = v.array(
  v.strictObject({ principal: Principal, sources: v.pipe(v.array(Source), v.minLength(1, 'must name a source')) }),
);
export type Publisher = v.InferOutput<typeof Publishers>[number];

/** The longest values of CloudFormation's pseudo parameters. */
const LONGEST: Record<string, string> = {
  Partition: 'aws-us-gov',
  Region: 'ap-southeast-1',
  AccountId: '123456789012',
};

const accountOf = (principal: string) => principal.split(':')[4] ?? principal;
const isAccount = (principal: string) => !principal.includes(':');

/** The publishers of `stage` in the file's `text`. Throws, in one sentence, what is wrong with it. */
export function readPublishers(text: string, stage: string): Publisher[] {
  const file: Record<string, unknown> | null = parse(text);
  const parsed = v.safeParse(Publishers, file?.[stage]);
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw new Error(`${stage}${(v.getDotPath(issue) ?? '').replace(/^(?=.)/, '.')}: ${issue.message}`);
  }
  const principals = parsed.output.map(({ principal }) => principal);
  principals.forEach((principal, index) => {
    if (principals.indexOf(principal) !== index) throw new Error(`${stage}: ${principal} is listed twice`);
    if (!isAccount(principal) && principals.includes(accountOf(principal)))
      throw new Error(`${stage}: ${principal} is listed, and its whole account, too`);
  });
  return parsed.output;
}

/** What `aws:PrincipalArn` is like for a principal: of an account, whoever is in it. */
const arnLike = (principal: string) => (isAccount(principal) ? `arn:*:iam::${principal}:*` : principal);

/** The statements of the bus's policy, by their ids, with CloudFormation's references. */
export function busStatements(stage: string, publishers: Publisher[]): Record<string, object> {
  const sub = (text: string) => ({ 'Fn::Sub': text });
  const bus = sub(
    `arn:\${AWS::Partition}:events:\${AWS::Region}:\${AWS::AccountId}:event-bus/org-connections-${stage}`,
  );
  const functions = PUBLISHING.map((name) =>
    sub(`arn:\${AWS::Partition}:iam::\${AWS::AccountId}:role/org-connections-${stage}-${name}-\${AWS::Region}`),
  );
  const put = { Action: 'events:PutEvents', Resource: bus };
  const deny = (Condition: object) => ({ Effect: 'Deny', Principal: '*', ...put, Condition });
  const listed = publishers.map(({ principal }) => arnLike(principal));
  const statements: Record<string, object> = {
    // One call of PutEvents can have entries of several sources: hence "for any value".
    'own-source': deny({
      'ForAnyValue:StringLike': { 'events:source': ['org-connections', '* *'] },
      ArnNotLike: { 'aws:PrincipalArn': functions },
    }),
    'unlisted-principals': deny({
      'ForAnyValue:StringEquals': { 'events:detail-type': REQUESTS },
      ArnNotLike: { 'aws:PrincipalArn': [...functions, ...listed] },
    }),
  };
  publishers.forEach(({ sources }, index) => {
    statements[`publisher-${index + 1}`] = deny({
      ArnLike: { 'aws:PrincipalArn': listed[index] },
      'ForAnyValue:StringNotEquals': { 'events:source': sources },
    });
  });
  if (publishers.length > 0)
    // For other accounts; in the stage's own account it leaves the decision to the publisher's own policy.
    statements.publishers = {
      Effect: 'Allow',
      Principal: { AWS: [...new Set(publishers.map(({ principal }) => accountOf(principal)))] },
      ...put,
      Condition: {
        ArnLike: { 'aws:PrincipalArn': listed },
        'ForAllValues:StringEquals': { 'events:detail-type': REQUESTS },
        // "For all values" holds of no value, too.
        Null: { 'events:detail-type': 'false' },
      },
    };
  return statements;
}

/**
 * A CloudFormation template that makes the policy of the bus of `stage`: one resource a statement, each after the one before, since
 * EventBridge changes a policy one statement at a time. Throws when the policy would be larger than EventBridge takes.
 */
export function busPolicyTemplate(stage: string, publishers: Publisher[]): object {
  const statements = Object.entries(busStatements(stage, publishers));
  const size = sizeOf(statements);
  if (size > MAX_POLICY)
    throw new Error(
      `The policy of the bus would have ${size} characters, and EventBridge takes ${MAX_POLICY}: list fewer publishers`,
    );
  const idOf = (statementId: string) => statementId.replace(/(^|-)(\w)/g, (_, __, letter) => letter.toUpperCase());
  const resources = statements.map(([StatementId, Statement], index) => {
    const before = statements[index - 1]?.[0];
    const Properties = { EventBusName: `org-connections-${stage}`, StatementId, Statement };
    return [
      idOf(StatementId),
      { Type: 'AWS::Events::EventBusPolicy', ...(before && { DependsOn: idOf(before) }), Properties },
    ];
  });
  return {
    AWSTemplateFormatVersion: '2010-09-09',
    Description: `Who may put what on the bus org-connections-${stage}, made of infra/account/publishers.yml`,
    Resources: Object.fromEntries(resources),
  };
}

/** Characters of the policy where the names of partition and region are longest. */
function sizeOf(statements: [id: string, statement: object][]): number {
  const Statement = statements.map(([Sid, statement]) => ({ Sid, ...statement }));
  return JSON.stringify({ Version: '2012-10-17', Statement })
    .replace(/\{"Fn::Sub":("[^"]*")\}/g, '$1')
    .replace(/\$\{AWS::(\w+)\}/g, (_, name: string) => LONGEST[name] ?? name).length;
}
