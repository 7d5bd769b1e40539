import { afterAll, beforeAll, expect, test } from 'vitest';
import { TOKEN_SECRET } from '../../infra/local/environment.ts';
import { type Service, startService } from '../service.ts';

const REQUESTS = process.env.DEEP ? 100_000 : 6000;
const AT_ONCE = 50;

let service: Service;
beforeAll(async () => {
  service = await startService({
    processes: ['disable-connection', 'remove-connection'],
    functions: { execArgv: ['--expose-gc', '--import', new URL('../report-memory.mjs', import.meta.url).href] },
  });
});
afterAll(() => service.close());

const organization = (i: number) => `org_${String(i).padStart(16, '0')}`;
const connection = (i: number) => `con_${String(i).padStart(16, '0')}`;

test(`${REQUESTS} requests, fifty at once: nothing is mixed up, the secret is read once, sockets are bounded, memory is flat`, async () => {
  const ids = Array.from({ length: AT_ONCE }, (_, i) => i);
  const reads = () => service.aws.calls.filter((operation) => operation === 'GetSecretValue').length;
  const before = reads();
  const memory: number[] = [];
  for (let round = 0; round < REQUESTS / AT_ONCE; round++) {
    service.tenant.setOrganizations(
      Object.fromEntries(ids.map((i) => [organization(i), [{ connection_id: connection(i) }]])),
    );
    const answers = await Promise.all(
      ids.map((i) =>
        service.request('disable-connection', {
          organization: organization(i),
          connection: connection(i),
          headers: { 'x-correlation-id': `correlation-${i}` },
        }),
      ),
    );
    answers.forEach(({ status, headers, body }, i) => {
      expect(status).toBe(200);
      expect(headers['x-correlation-id']).toBe(`correlation-${i}`);
      expect((body as { connection_id: string }).connection_id).toBe(connection(i));
    });
    expect(service.tenant.calls().length).toBeGreaterThanOrEqual(AT_ONCE);
    service.tenant.clearCalls();
    service.logs.splice(0, Math.max(0, service.logs.length - 1000));
    if (round % Math.ceil(REQUESTS / AT_ONCE / 12) === 0) {
      service.functionNamed('disable-connection').signal('SIGUSR2');
      await expect.poll(() => service.logged('memory').length).toBeGreaterThan(0);
      const [line] = service.logged('memory');
      memory.push(line.heap);
      service.logs.splice(0);
      expect(line.sockets).toBeLessThanOrEqual(64 + 16);
    }
  }
  expect(reads() - before).toBe(1);
  // After warming up the heap does not grow with the number of requests.
  const [early = 0] = memory.slice(2);
  expect(memory.at(-1)).toBeLessThan(early * 1.25);
}, 900_000);

test('fifty requests at once in each of four containers: one secret read a container', async () => {
  const before = service.aws.calls.filter((operation) => operation === 'GetSecretValue').length;
  service.tenant.setOrganizations({ [organization(1)]: [{ connection_id: connection(1) }] });
  for (let container = 0; container < 4; container++) {
    service.functionNamed('remove-connection').kill();
    const many = Array.from({ length: AT_ONCE }, () =>
      service.request('remove-connection', { organization: organization(1), connection: connection(1) }),
    );
    expect(new Set((await Promise.all(many)).map(({ status }) => status))).toEqual(new Set([204]));
  }
  expect(service.aws.calls.filter((operation) => operation === 'GetSecretValue').length - before).toBe(4);
  expect(service.aws.secret(TOKEN_SECRET).versions.size).toBe(1);
});
