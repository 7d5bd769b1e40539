// How Lambda invokes functions by itself: for the messages of a queue (event source mapping), and asynchronously for what
// EventBridge sends.
import type { Queue, Sqs } from './sqs.ts';
import { asRecord } from './sqs-api.ts';
import { traceOfInvocation } from './trace.ts';
import { type Agenda, AwsError, type Invoke, type Json } from './wire.ts';

export interface Mapping {
  /** Whose loops are counted. */
  functionName?: string;
  batchSize?: number;
  /** `ReportBatchItemFailures`: what the function names comes back, all else is deleted. */
  reportsFailures?: boolean;
  /** Whether the function's `RecursiveLoop` is `Allow` now. */
  allowsLoops?: () => boolean;
}

/** Lambda tries an asynchronous invocation three times in all, after one minute and after two more, within six hours. */
const ASYNC_RETRIES_MS = [60_000, 120_000];

export function createInvocations(sqs: Sqs, agenda: Agenda, retrySpeed: number) {
  const dropped: Json[] = [];
  const lost: Json[] = [];
  let closed = false;

  /** Resolves when a message was sent, or the next hidden one can be seen. */
  function nextMessage(queue: Queue): Promise<void> {
    return new Promise((resolve) => {
      const wait = queue.messages.nextVisible() - Date.now();
      const timer = setTimeout(done, Math.max(1, Math.min(wait, 60_000)));
      function done() {
        clearTimeout(timer);
        queue.waiting.delete(done);
        resolve();
      }
      queue.waiting.add(done);
    });
  }

  /** Which messages of the batch are done, by what the function answered; none where the answer names one that was not in it. */
  function doneOf<Batch extends { id: string }>(batch: Batch[], result: unknown, reportsFailures: boolean): Batch[] {
    const failures = Object(result).batchItemFailures as { itemIdentifier?: string }[] | undefined;
    if (!reportsFailures || !failures?.length) return batch;
    const failed = failures.map(({ itemIdentifier }) => itemIdentifier);
    if (failed.some((id) => !batch.some((message) => message.id === id))) return [];
    return batch.filter(({ id }) => !failed.includes(id));
  }

  /** A message whose visibility timeout is over comes back, done or not. */
  function removeInTime(queue: Queue, receipt: string): void {
    try {
      sqs.remove(queue, receipt);
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
    }
  }

  async function poll(queue: Queue, invoke: Invoke, mapping: Mapping): Promise<void> {
    const { functionName = queue.name, batchSize = 1, reportsFailures = true, allowsLoops = () => false } = mapping;
    while (!closed) {
      const batch = sqs
        .receive(queue, batchSize)
        .map((message) => ({ message, id: message.id, receipt: message.receipt }));
      if (batch.length === 0) {
        await nextMessage(queue);
        continue;
      }
      const messages = batch.map(({ message }) => message);
      const traces = messages.map(({ trace }) => trace);
      const trace = traceOfInvocation(functionName, traces, allowsLoops());
      if (trace === undefined) {
        // RecursiveInvocationException: the poller's alone, no log has it, and the messages come back.
        dropped.push(...messages.map(({ id }) => ({ functionName, id })));
        continue;
      }
      for (const message of messages) message.inFlight = true;
      try {
        const result = await invoke({ Records: messages.map((one) => asRecord(queue, one)) }, undefined, trace);
        for (const { receipt } of doneOf(batch, result, reportsFailures)) removeInTime(queue, receipt);
      } catch {
        // The messages come back when their visibility timeout is over.
      }
      for (const message of messages) message.inFlight = false;
      sqs.wake(queue);
    }
  }

  /** Never rejects: what fails three times is gone, unless the function has a destination for that; none of ours has. */
  async function invokeLater(invoke: Invoke, event: Json, tries = 0): Promise<void> {
    try {
      await invoke(event);
    } catch {
      const wait = ASYNC_RETRIES_MS[tries];
      if (wait === undefined) lost.push(event);
      else if (!closed) agenda.at(Date.now() + wait / retrySpeed, () => void invokeLater(invoke, event, tries + 1));
    }
  }

  return {
    /** Invocations that Lambda refused for being in a loop: its metric `RecursiveInvocationsDropped`. */
    dropped,
    /** Events whose asynchronous invocation failed for good. */
    lost,
    poll,
    invokeLater,
    close() {
      closed = true;
    },
  };
}
export type Invocations = ReturnType<typeof createInvocations>;
