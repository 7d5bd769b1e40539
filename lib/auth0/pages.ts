import * as v from 'valibot';
import { lenient } from '../json.ts';
import { Problem } from '../problem.ts';

/** A page of a list: with its total, with what to ask for next, or bare. */
export interface Page<T> {
  items: T[];
  total?: number | undefined;
  next?: string | undefined;
}

/** The most items of a page; a larger one is not Auth0's. */
const MAX_ITEMS = 1000;

/** The schema of a page whose items are its member `name`, in each form that Auth0 gives it ("Pagination", Management API). */
export const pageOf = <S extends v.GenericSchema>(name: string, item: S) =>
  v.pipe(
    v.unknown(),
    v.transform((page) => (Array.isArray(page) ? { items: page } : { ...Object(page), items: Object(page)[name] })),
    v.object({
      items: v.pipe(v.array(item), v.maxLength(MAX_ITEMS)),
      total: lenient(v.pipe(v.number(), v.integer(), v.minValue(0))),
      next: lenient(v.pipe(v.string(), v.minLength(1), v.maxLength(1000))),
    }),
  );

/**
 * All items of a list, and never a part of them; `getPage` asks for a page by its query. The list has all when there are as many as
 * `total` says; where it does not say, when Auth0 has no more to give. Throws `auth0_unavailable` after `maxPages`.
 */
export async function listAll<T>(
  getPage: (query: string) => Promise<Page<T>>,
  idOf: (item: T) => string,
  maxPages: number,
): Promise<T[]> {
  const all = new Map<string, T>();
  let next: string | undefined;
  for (let page = 0; page < maxPages; page++) {
    const query = next === undefined ? `page=${page}&per_page=50` : `from=${encodeURIComponent(next)}&take=50`;
    const found = await getPage(query);
    const before = all.size;
    for (const item of found.items) all.set(idOf(item), item);
    // After the last of linked pages, or when a numbered one brings nothing new.
    const isEnd = found.next === undefined && (next !== undefined || all.size === before);
    // An empty list is taken for one only where Auth0 says that there is none.
    const isWhole = found.total === undefined ? isEnd && all.size > 0 : all.size >= found.total;
    if (isWhole) return [...all.values()];
    if (isEnd) break;
    next = found.next;
  }
  throw new Problem('auth0_unavailable', 'Auth0 does not list all that the organization has');
}
