import type { OpenRequest } from '../model/organization.ts';
import { byRequestedAt, isAccepted } from '../rules/requests.ts';
import { readBatch } from '../store/table-shell.ts';

/**
 * Those of `requests` that count, in their order. A member of a batch that no worker has met yet does as the batch's own item says,
 * which is read as it is now.
 */
export async function countedOf(requests: OpenRequest[]): Promise<OpenRequest[]> {
  const ids = new Set(requests.flatMap(({ batch }) => (batch && !batch.is_accepted ? [batch.id] : [])));
  const batches = await Promise.all([...ids].map(readBatch));
  const isOfAccepted = ({ batch }: OpenRequest) =>
    batches.some((one) => one?.batch_id === batch?.id && one?.attempt === batch?.attempt && one?.status === 'accepted');
  return requests.filter((one) => isAccepted(one) || isOfAccepted(one)).sort(byRequestedAt);
}
