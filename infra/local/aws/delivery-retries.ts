// How EventBridge and Scheduler try again what could not be handed over (user guides, "Retry policy").
import { type Agenda, AwsError, type AwsFault, type Faults } from './wire.ts';

export interface RetryPolicy {
  MaximumRetryAttempts?: number;
  MaximumEventAgeInSeconds?: number;
}

/** Something to hand over. What `handOver` throws is an `AwsError` where it is the target's refusal. */
export interface Delivery {
  handOver: () => void;
  /** Takes what is not tried again. */
  giveUp: (error: AwsError, retries: number) => void;
  retryPolicy: RetryPolicy | undefined;
}

/** What waiting does not mend is not tried again (EventBridge user guide, "Error codes"; Scheduler sends with a role). */
const NOT_RETRIED = ['NO_PERMISSIONS', 'NO_RESOURCE', 'AccessDenied', 'ResourceNotFoundException'];
const DEFAULT_RETRIES = 185;
const DEFAULT_AGE_S = 86_400;
const LONGEST_RETRY_WAIT_MS = 600_000;

/** `operation` is what faults call an attempt. */
export function createDeliverer(operation: 'Deliver' | 'Fire', agenda: Agenda, faults: Faults, retrySpeed: number) {
  /** One attempt. What cannot be mended by waiting is not tried again; the rest is, as the retry policy says. */
  return function deliver(delivery: Delivery, since: number, fault?: AwsFault, retries = 0): void {
    try {
      if (fault?.error) throw refusal(fault.error, fault.status);
      delivery.handOver();
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      const { MaximumRetryAttempts = DEFAULT_RETRIES, MaximumEventAgeInSeconds = DEFAULT_AGE_S } =
        delivery.retryPolicy ?? {};
      const isTooOld = Date.now() - since >= MaximumEventAgeInSeconds * 1000;
      if (error.status < 500 || retries >= MaximumRetryAttempts || isTooOld)
        return void delivery.giveUp(error, retries);
      const wait = Math.min(1000 * 2 ** retries, LONGEST_RETRY_WAIT_MS) / retrySpeed;
      agenda.at(Date.now() + wait, () => deliver(delivery, since, faults.next(operation), retries + 1));
    }
  };
}

const refusal = (error: string, status = NOT_RETRIED.includes(error) ? 400 : 500) =>
  new AwsError(error, 'Failed on purpose.', status);
