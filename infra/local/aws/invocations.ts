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
  /** Whether the mapping is enabled now. */
  isEnabled?: () => boolean;
}

/** Takes an event whose asynchronous invocation failed for good, and what the function threw. */
export type OnFailure = (event: Json, errorMessage: string) => void;

/** How often a poller of a disabled mapping looks whether it is enabled, where nothing wakes it. */
const LOOK_AGAIN_MS = 60_000;
/** Lambda tries an asynchronous invocation three times in all, after one minute and after two more, within six hours. */
const ASYNC_RETRIES_MS = [60_000, 120_000];

export function createInvocations(sqs: Sqs, agenda: Agenda, retrySpeed: number) {
  const dropped: Json[] = [];
  const lost: Json[] = [];
  let closed = false;

  /** Resolves when a message was sent, or after `wait` milliseconds; left out, that is when the next hidden one can be seen. */
  function nextMessage(queue: Queue, wait = queue.messages.nextVisible() - Date.now()): Promise<void> {
    return new Promise((resolve) => {
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
    const { isEnabled = () => true } = mapping;
    while (!closed) {
      if (!isEnabled()) {
        await nextMessage(queue, LOOK_AGAIN_MS);
        continue;
      }
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

  /** Never rejects: what fails three times goes to `onFailure`, the function's destination; without one it is gone. */
  async function invokeLater(invoke: Invoke, event: Json, onFailure?: OnFailure, tries = 0): Promise<void> {
    try {
      await invoke(event);
    } catch (error) {
      const wait = ASYNC_RETRIES_MS[tries];
      const again = () => void invokeLater(invoke, event, onFailure, tries + 1);
      if (wait !== undefined) {
        if (!closed) agenda.at(Date.now() + wait / retrySpeed, again);
      } else if (onFailure) onFailure(event, (error as Error).message);
      else lost.push(event);
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
