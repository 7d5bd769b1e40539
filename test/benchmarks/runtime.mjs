// A minimal Lambda runtime: loads the bundle that its argument names, gives it one event, then as many as it is told, and
// reports. Times are milliseconds of this process; Node's own boot is told apart.
import '../../infra/older-node/language.mjs';

const [bundle, event, warm] = [process.argv[2], JSON.parse(process.argv[3]), Number(process.argv[4] ?? 0)];
const context = {
  awsRequestId: 'r',
  functionName: 'f',
  functionVersion: '1',
  memoryLimitInMB: '512',
  getRemainingTimeInMillis: () => 29_000,
};
const write = process.stdout.write.bind(process.stdout);
process.stdout.write = () => true;

/** Milliseconds of a core that this process has used: what else the machine does changes them little. */
const cpu = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

const [started, cpuStarted] = [performance.now(), cpu()];
const { handler } = await import(bundle);
const [loaded, cpuLoaded] = [performance.now(), cpu()];
// Between loading and the first event Lambda may freeze a container, and gives it another share of a core.
if (process.env.STOP_AFTER_LOAD) process.kill(process.pid, 'SIGSTOP');
const resumed = performance.now();
const first = await handler(structuredClone(event), context);
const [answered, cpuAnswered] = [performance.now(), cpu()];
// A worker's answer is what failed of its batch.
const status = first.statusCode ?? (first.batchItemFailures.length === 0 ? 200 : 500);
const [load, answer] = [loaded - started, answered - resumed];
const report = {
  status,
  boot: started,
  load,
  event: answer,
  cold: load + answer,
  cpu: { load: cpuLoaded - cpuStarted, event: cpuAnswered - cpuLoaded },
};

async function measure(count, atOnce) {
  const times = [];
  const one = async () => {
    const begun = performance.now();
    const { statusCode } = await handler(structuredClone(event), context);
    if (statusCode !== report.status) throw new Error(`Answered ${statusCode}`);
    times.push(performance.now() - begun);
  };
  for (let done = 0; done < count; done += atOnce) await Promise.all(Array.from({ length: atOnce }, one));
  times.sort((a, b) => a - b);
  return { p50: times[Math.floor(count * 0.5)], p99: times[Math.floor(count * 0.99)] };
}
if (warm) {
  await measure(warm / 2, 1);
  report.one = await measure(warm, 1);
  await measure(warm, 50);
  report.fifty = await measure(warm * 2, 50);
  report.rss = process.memoryUsage().rss / 1e6;
}
write(`${JSON.stringify(report)}\n`);
process.exit(0);
