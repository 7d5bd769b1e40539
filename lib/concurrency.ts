/** Runs `work` for each item, `limit` at once at the most; rejects with the first failure, and then begins no more. */
export async function inParallel<T>(
  items: Iterable<T>,
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  // All runners take from one iterator, so each item is taken once.
  const rest = items[Symbol.iterator]();
  let failed = false;
  const runner = async () => {
    for (let next = rest.next(); !next.done && !failed; next = rest.next()) await work(next.value);
  };
  const runners = Array.from({ length: limit }, () =>
    runner().catch((error) => {
      failed = true;
      throw error;
    }),
  );
  await Promise.all(runners);
}

/** `items` in groups of `size`. */
export const chunksOf = <T>(items: T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
