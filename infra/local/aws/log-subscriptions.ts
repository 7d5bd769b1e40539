// CloudWatch Logs: subscription filters hand matching lines of a log group to a function, in a batch that is JSON, gzip and base64
// (user guide, "Subscription filters with AWS Lambda").
import { randomUUID } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { Invocations, OnFailure } from './invocations.ts';
import { ACCOUNT, type Invoke, type Json } from './wire.ts';

interface Subscription {
  filterName: string;
  logGroup: string;
  matches: (line: Json) => boolean;
  invoke: Invoke;
  /** The function's destination, where it has one. */
  onFailure: OnFailure | undefined;
}

/** A filter pattern for JSON lines that asks for one member by its value; others are not played. */
function patternOf(text: string): Subscription['matches'] {
  const [, member, value] = /^\{ \$\.(\w+) = "([^"*]*)" \}$/.exec(text) ?? [];
  if (member === undefined) throw new Error(`The filter pattern ${text} is not played here`);
  return (line) => line[member] === value;
}

/** A line that is not JSON matches no pattern. */
function jsonOf(message: string): Json | undefined {
  try {
    return message.startsWith('{') ? JSON.parse(message) : undefined;
  } catch {
    return undefined;
  }
}

export function createLogSubscriptions(invocations: Invocations) {
  const subscriptions: Subscription[] = [];

  function deliver({ filterName, logGroup, invoke, onFailure }: Subscription, message: string): void {
    const delivery = {
      messageType: 'DATA_MESSAGE',
      owner: ACCOUNT,
      logGroup,
      logStream: `2026/11/24/[$LATEST]${randomUUID().replaceAll('-', '')}`,
      subscriptionFilters: [filterName],
      logEvents: [{ id: randomUUID(), timestamp: Date.now(), message: `${message}\n` }],
    };
    const data = gzipSync(JSON.stringify(delivery)).toString('base64');
    void invocations.invokeLater(invoke, { awslogs: { data } }, onFailure);
  }

  return {
    add(filterName: string, logGroup: string, pattern: string, invoke: Invoke, onFailure?: OnFailure): void {
      subscriptions.push({ filterName, logGroup, matches: patternOf(pattern), invoke, onFailure });
    },
    /** Takes a line that a function has logged; the line itself names the function. */
    write(message: string): void {
      const line = jsonOf(message);
      if (!line) return;
      for (const one of subscriptions)
        if (one.logGroup.endsWith(`-${line.function}`) || one.logGroup.endsWith(`/${line.function}`))
          if (one.matches(line)) deliver(one, message);
    },
  };
}
