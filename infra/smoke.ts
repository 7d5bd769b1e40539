// After a deploy: does the stage answer? Asks for a dry run, which changes nothing, and for what is pending; both signed with the
// credentials of the environment. STAGE and SMOKE_ORGANIZATION say where. Exits 0 only if both answers are what they should be.
import { execFileSync } from 'node:child_process';

const { STAGE = '', AWS_REGION = 'us-east-1', SMOKE_ORGANIZATION = '' } = process.env;
const { AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '', AWS_SESSION_TOKEN = '' } = process.env;
const query = "Stacks[0].Outputs[?OutputKey=='ApiUrl'].OutputValue";
const describe = ['cloudformation', 'describe-stacks', '--stack-name', `org-connections-${STAGE}`, '--query', query];
const apiUrl =
  process.env.API_URL ?? execFileSync('aws', [...describe, '--output', 'text'], { encoding: 'utf8' }).trim();

/** One request, signed by curl; the credentials go through its standard input, so that no process list shows them. */
function call(method: string, body?: object): { status: number; text: string } {
  const json = body ? ['-H', 'content-type: application/json', '-d', JSON.stringify(body)] : [];
  const address = `${apiUrl}/organizations/${SMOKE_ORGANIZATION}/offboarding`;
  const signed = ['--aws-sigv4', `aws:amz:${AWS_REGION}:execute-api`, '-K', '-'];
  const output = execFileSync('curl', ['-s', '-w', '\n%{http_code}', '-X', method, ...signed, ...json, address], {
    encoding: 'utf8',
    input: `user = "${AWS_ACCESS_KEY_ID}:${AWS_SECRET_ACCESS_KEY}"\nheader = "x-amz-security-token: ${AWS_SESSION_TOKEN}"\n`,
  });
  const end = output.lastIndexOf('\n');
  return { status: Number(output.slice(end + 1)), text: output.slice(0, end) };
}

const dryRun = call('POST', { action: 'disable', dry_run: true, reason: `smoke check of ${STAGE}` });
const pending = call('GET');
console.log(`dry run ${dryRun.status} ${dryRun.text}\npending ${pending.status} ${pending.text}`);
process.exit(dryRun.status === 202 && pending.status === 200 ? 0 : 1);
