import type { SQSRecord } from 'aws-lambda';
import * as v from 'valibot';
import { changeVisibility, receiveCountOf, sendMessage } from '../aws/queue.ts';
import { required } from '../environment.ts';
import { OrganizationId } from '../ids.ts';
import type { EffectError } from '../offboarding/model/effects.ts';

const SESSIONS_DUE = 'organization.offboarding.sessions_due';
/** An error is waited out in place, for longer each time, seconds; after so many receives it goes behind all others. */
const ERROR_WAIT_S = 10;
const MAX_RECEIVES = 3;
const LONGEST_WAIT_S = 900;

/** A message of the session queue: the sessions of an organization's members are to be ended, as its record says. */
export const SessionsDue = v.object({
  'detail-type': v.literal(SESSIONS_DUE),
  detail: v.object({ organization_id: OrganizationId, offboarding_id: v.string() }),
});

export type About = v.InferOutput<typeof SessionsDue>['detail'];

// Only a stage that ends sessions has the queue.
const url = process.env.SESSION_QUEUE_URL;
const QueueUrl = () => url || required('SESSION_QUEUE_URL');

/**
 * Has the sessions of the offboarding ended, in their turn. All are one message group: one worker keeps to the tenant's limit.
 * Two messages for one offboarding do no harm, and neither is taken for a copy of the other.
 */
export async function sendSessionsDue({ organization_id, offboarding_id }: About): Promise<void> {
  const message = { 'detail-type': SESSIONS_DUE, detail: { organization_id, offboarding_id } };
  await sendMessage(QueueUrl(), JSON.stringify(message), 'sessions');
}

/**
 * Has a delivered message come back at once where the time was over, after what the limit asks for, or after an error (each time
 * later); after a few of those behind all others, so that what one organization waits for holds up none of them. Returns the
 * seconds, and whether the message itself stays in the queue.
 */
export async function comeBack(message: SQSRecord, error: EffectError | undefined) {
  const receiveCount = receiveCountOf(message);
  const seconds = error === undefined ? 0 : error.code === 'rate_limited' ? (error.retry_after ?? 1) : undefined;
  if (seconds === undefined && receiveCount > MAX_RECEIVES) {
    await sendSessionsDue(JSON.parse(message.body).detail);
    return { inQueue: false };
  }
  const wait_s = Math.min(Math.ceil(seconds ?? ERROR_WAIT_S * receiveCount), LONGEST_WAIT_S);
  await changeVisibility(QueueUrl(), message, wait_s);
  return { inQueue: true, wait_s };
}
