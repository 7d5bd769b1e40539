// Many small reads of the service, slowly enough for the others.
import { setTimeout as sleep } from 'node:timers/promises';
import pMap from 'p-map';
import type { Service } from './service.ts';

/** The stage throttles its API for everybody (20 requests a second): this many at once, each of at least so long. */
const AT_ONCE = 4;
const EACH_MS = 400;
const FEW = 20;

/** Calls `look` for each item and resolves to the results in the same order. */
export function lookUpEach<T, R>({ operator }: Service, items: T[], look: (item: T) => Promise<R>): Promise<R[]> {
  const isPaced = operator !== undefined && items.length > FEW;
  const one = async (item: T) => (await Promise.all([look(item), isPaced && sleep(EACH_MS)]))[0];
  return pMap(items, one, { concurrency: AT_ONCE });
}
