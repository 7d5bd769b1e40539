// Between the functions and the table: counts the capacity units that DynamoDB says each call has taken, the indexes' included.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Capacity units (DynamoDB developer guide, "Read and write operations"). */
export interface Units {
  read: number;
  write: number;
}

const WRITES = /^(PutItem|UpdateItem|DeleteItem|BatchWriteItem|TransactWriteItems)$/;

/** Listens on a free loopback port; `connect` says where the table is. */
export async function startTableMeter() {
  const units: Units = { read: 0, write: 0 };
  let target = '';
  const server = createServer(async (request, response) => {
    const sent = JSON.parse(Buffer.concat(await request.toArray()).toString() || '{}');
    const operation = String(request.headers['x-amz-target']).split('.').at(-1) ?? '';
    const { 'content-length': _, host: __, connection: ___, ...headers } = request.headers as Record<string, string>;
    const body = JSON.stringify({ ...sent, ReturnConsumedCapacity: 'TOTAL' });
    const answer = await fetch(target, { method: 'POST', headers, body }).catch(() => undefined);
    if (!answer) return void request.socket.destroy();
    const text = await answer.text();
    units[WRITES.test(operation) ? 'write' : 'read'] += unitsIn(text);
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' }).end(text);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connect(url: string) {
      target = url;
    },
    /** What was taken so far. */
    units: (): Units => ({ ...units }),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A refused conditional write says nothing of its capacity and takes one unit at least. */
function unitsIn(answer: string): number {
  const { ConsumedCapacity, __type = '' } = JSON.parse(answer || '{}');
  if (String(__type).includes('ConditionalCheckFailed')) return 1;
  const all: { CapacityUnits?: number }[] = [ConsumedCapacity ?? []].flat();
  return all.reduce((sum, { CapacityUnits = 0 }) => sum + CapacityUnits, 0);
}
