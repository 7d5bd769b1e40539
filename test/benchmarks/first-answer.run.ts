// The first answer of builds side by side, turn by turn: `first-answer.run.ts [--plain] ROUNDS NAME=DIST[,STAND-INS]…`, where DIST is
// a folder of bundles and the first one is what the others are compared with. A build that reads other items brings its own
// stand-ins, the file of that name in its tree. Both sides speak TLS, by a certificate that is made on the spot, or plain HTTP.
// Prints a row a function and build, milliseconds: medians (and quartiles), and the ratio.
//
// - `whole core`: loading the module and handling the first event, both on a whole core.
// - `0.3 core`: the module is loaded on a whole core, and the event is handled on 0.3 of one. That is Lambda at 512 MB: it loads a
//   module before it has an event, on a whole vCPU, and gives the event a share by the function's memory, one vCPU for 1,769 MB
//   ("Configure Lambda function memory", "Understanding the Lambda execution environment lifecycle", Lambda developer guide).
// - `by CPU`: the same from the time that the process ran, the event's counted by the share: for a machine that is busy otherwise.
// - `event alone`: the event's part of that. It is what a caller waits for where a container was provisioned or started ahead.
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createCertificate } from '../certificate.ts';
import { benchmarkEvent } from './event.ts';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { plain: { type: 'boolean' } } });
const [rounds = '15', ...builds] = positionals;
const FUNCTIONS = [
  'disable-connection',
  'remove-connection',
  'request-offboarding',
  'list-offboardings',
  'cancel-offboarding',
  'offboard-organization',
];
const PERIOD_MS = 10;
const RUNS_MS = 3;
const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

const folder = mkdtempSync(join(tmpdir(), 'org-connections-bench-'));
const certificate = createCertificate();
const cert = join(folder, 'cert.pem');
writeFileSync(cert, certificate.cert);

/** The same service behind TLS, where that is wanted. */
async function behindTls(url: string): Promise<string> {
  if (values.plain) return url;
  const { hostname: host, port } = new URL(url);
  const server = createServer(certificate, (outer) => {
    const inner = connect({ host, port: Number(port) });
    for (const socket of [outer, inner]) socket.on('error', () => {});
    outer.pipe(inner).pipe(outer);
  }).listen(0, 'localhost');
  await once(server, 'listening');
  return `https://localhost:${(server.address() as AddressInfo).port}`;
}

/** Starts stand-ins behind TLS: the environment of a function, and what makes them ready for one. */
async function startStandIns(file: string) {
  const process_ = fork(file, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const [given] = (await once(process_, 'message')) as [Record<string, string>];
  const { AWS_ENDPOINT_URL: aws = '' } = given;
  const secureAws = await behindTls(aws);
  // A queue's address names its host, too.
  const toSecure = ([name, value]: [string, string]) => [name, value.replace(aws, secureAws)];
  const environment = {
    ...Object.fromEntries(Object.entries(given).map(toSecure)),
    AUTH0_DOMAIN: await behindTls(given.AUTH0_DOMAIN ?? ''),
    AUTH0_AUDIENCE: `${given.AUTH0_DOMAIN}/api/v2/`,
    NODE_EXTRA_CA_CERTS: cert,
  };
  async function reset(name: string): Promise<void> {
    process_.send({ reset: name });
    await once(process_, 'message');
  }
  return { environment, reset, close: () => process_.disconnect() };
}

interface Build {
  name: string;
  dist: string;
  standIns: Awaited<ReturnType<typeof startStandIns>>;
}
const started = new Map<string, Build['standIns']>();
const compared: Build[] = [];
for (const build of builds) {
  const [, name = '', dist = '', file = here('stand-ins.ts')] = /^(\w+)=([^,]+)(?:,(.+))?$/.exec(build) ?? [];
  const standIns = started.get(file) ?? (await startStandIns(resolve(file)));
  started.set(file, standIns);
  compared.push({ name, dist: resolve(dist), standIns });
}

const isStopped = (pid: number) => / T /.test(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\)/s, ''));

interface Report {
  cold: number;
  event: number;
  cpu: { load: number; event: number };
}

/** One fresh process: its load, and its first event on a share of a core where `isShare`, milliseconds. */
async function measure(name: string, { dist, standIns }: Build, isShare: boolean): Promise<Report> {
  await standIns.reset(name);
  const arguments_ = [here('runtime.mjs'), join(dist, `${name}.mjs`), JSON.stringify(benchmarkEvent(name))];
  const env = { PATH: process.env.PATH, AWS_LAMBDA_FUNCTION_NAME: name, ...standIns.environment };
  const child = spawn(process.execPath, arguments_, {
    env: { ...env, ...(isShare && { STOP_AFTER_LOAD: '1' }) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const text = child.stdout.toArray();
  const ended = once(child, 'close');
  if (isShare) {
    while (child.exitCode === null && !isStopped(child.pid ?? 0)) await sleep(2);
    for (let running = true; child.exitCode === null && child.signalCode === null; running = !running) {
      child.kill(running ? 'SIGCONT' : 'SIGSTOP');
      await sleep(running ? RUNS_MS : PERIOD_MS - RUNS_MS);
    }
  }
  await ended;
  const report = JSON.parse(Buffer.concat(await text).toString());
  if (![200, 202, 204].includes(report.status)) throw new Error(`${dist}/${name} answered ${report.status}`);
  return report;
}

const at = (sorted: number[], share: number) => sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
function toText(times: number[], against: number[] = []): string {
  const [own, other] = [times.toSorted((a, b) => a - b), against.toSorted((a, b) => a - b)];
  const ratio = (at(own, 0.5) / at(other, 0.5)).toFixed(2);
  return `${at(own, 0.5).toFixed(1)} (${at(own, 0.25).toFixed(1)}–${at(own, 0.75).toFixed(1)}) | ${ratio}`;
}

console.log('| function | build | whole core | ratio | 0.3 core | ratio | by CPU | ratio | event alone | ratio |');
console.log('|---|---|---|---|---|---|---|---|---|---|');
for (const name of FUNCTIONS) {
  const figures = compared.map(() => ({
    whole: [] as number[],
    share: [] as number[],
    cpu: [] as number[],
    event: [] as number[],
  }));
  // The first round warms the disk's cache.
  for (let round = 0; round <= Number(rounds); round++) {
    for (const [index, build] of compared.entries()) {
      const [whole, share] = [await measure(name, build, false), await measure(name, build, true)];
      if (round === 0) continue;
      figures[index]?.whole.push(whole.cold);
      figures[index]?.share.push(share.cold);
      figures[index]?.cpu.push(whole.cpu.load + (whole.cpu.event * PERIOD_MS) / RUNS_MS);
      figures[index]?.event.push(share.event);
    }
  }
  const [first] = figures;
  for (const [index, { whole, share, cpu, event }] of figures.entries()) {
    const columns = [
      toText(whole, first?.whole),
      toText(share, first?.share),
      toText(cpu, first?.cpu),
      toText(event, first?.event),
    ];
    console.log(`| ${name} | ${compared[index]?.name} | ${columns.join(' | ')} |`);
  }
}
for (const { close } of started.values()) close();
rmSync(folder, { recursive: true });
process.exit(0);
