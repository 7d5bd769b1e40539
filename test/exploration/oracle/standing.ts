import type { Accepted, Story } from '../story.ts';
import type { World } from '../world.ts';

// How a request stands: its status, and who requested its end.

export const PENDING = ['requested', 'working', 'removing', 'cancelling', 'scheduled'];

export const statusIn = ({ items }: World, id: string) =>
  Object.values(items).flatMap(({ requests }) => requests.filter((one) => one.offboarding_id === id))[0]?.status ?? '';

/** A member of a batch that found no room: it has a record alone, and was never accepted. */
export const isTurnedAway = ({ batch_id, error }: World['records'][string]): boolean =>
  batch_id !== undefined && error?.code === 'conflict';
export const statusOf = ({ records }: World, id: string) => records[id]?.status ?? '';
/** Whether somebody requested the cancellation of a request, or may have. */
export const isCovered = ({ cancelled }: Story, id: string) =>
  cancelled.some(
    ({ before, begun, status }) => (before.includes(id) || begun.includes(id)) && ![409, 503].includes(status),
  );
export const names = ({ ids }: Accepted, connection: string) => ids?.includes(connection) ?? true;
