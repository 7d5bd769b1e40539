// Lambda's detection of recursive loops ("Use Lambda recursive loop detection to prevent infinite loops"): the SDK sends the
// trace header of its invocation with each call, SQS keeps it with the message, and Lambda counts in it how often a function
// has been invoked in one chain of requests.
import { createHash, randomBytes } from 'node:crypto';

/** A chain that has invoked a function this often is stopped at its next invocation. */
const MOST_INVOCATIONS = 16;

const newTrace = () => {
  const id = randomBytes(12).toString('hex');
  return `Root=1-${Math.floor(Date.now() / 1000).toString(16)}-${id};Parent=${randomBytes(8).toString('hex')};Sampled=0`;
};

/**
 * The trace header of an invocation of `functionName` for messages that came with `traces`; none where Lambda does not invoke
 * it any more.
 */
export function traceOfInvocation(
  functionName: string,
  traces: (string | undefined)[],
  allowsLoops: boolean,
): string | undefined {
  const name = createHash('sha256').update(functionName).digest('hex').slice(0, 8);
  const counts = new Map<string, number>();
  for (const trace of traces) {
    const [, lineage = ''] = /Lineage=([^;]*)/.exec(trace ?? '') ?? [];
    for (const [, one = '', count] of lineage.matchAll(/1:(\w+):(\d+)/g))
      counts.set(one, Math.max(counts.get(one) ?? 0, Number(count)));
  }
  const before = counts.get(name) ?? 0;
  if (before >= MOST_INVOCATIONS && !allowsLoops) return undefined;
  counts.set(name, before + 1);
  const root = traces[0]?.split(';Lineage=')[0] ?? newTrace();
  return `${root};Lineage=${[...counts].map(([one, count]) => `1:${one}:${count}`).join('|')}`;
}
