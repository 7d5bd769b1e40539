// npm run publishers -- --stage S: makes the policy of the stage's bus out of infra/account/publishers.yml, as a CloudFormation template,
// and says how to deploy it. It asks nobody and changes nothing in AWS.
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { busPolicyTemplate, readPublishers } from '../account/publishers.ts';

const STAGES = ['local', 'dev', 'staging', 'prod'];
const HELP = `npm run publishers -- --stage ${STAGES.join(' | ')} [--out FILE]`;

function print(): void {
  const options = {
    stage: { type: 'string' },
    out: { type: 'string' },
    file: { type: 'string' },
    help: { type: 'boolean' },
  } as const;
  const { values } = parseArgs({ options });
  if (values.help) {
    console.log(HELP);
    return;
  }
  const { stage = '', file = 'infra/account/publishers.yml', out = `publishers-${stage}.json` } = values;
  if (!STAGES.includes(stage)) throw new Error(HELP);
  const publishers = readPublishers(readFileSync(file, 'utf8'), stage);
  writeFileSync(out, `${JSON.stringify(busPolicyTemplate(stage, publishers), null, 2)}\n`);
  const list = publishers.map(({ principal, sources }) => `  ${principal} as ${sources.join(', ')}`);
  console.log(
    [
      `${out}: on the bus org-connections-${stage}, requests come from ${list.length === 0 ? 'nobody' : 'these alone:'}`,
      ...list,
      'Deploy it, after the stage itself, as an administrator of its account:',
      `  aws cloudformation deploy --stack-name org-connections-publishers-${stage} --template-file ${out}`,
    ].join('\n'),
  );
}

try {
  print();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 2;
}
