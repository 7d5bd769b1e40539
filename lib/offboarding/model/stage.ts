import { addDuration } from '../../duration.ts';

/** What a stage's parameters say; durations are ISO 8601. */
export interface Stage {
  defaultGracePeriod: string;
  minimumGracePeriod: string;
  removalNotice: string;
  giveUpAfter: string;
  watchInterval: string;
  watchFor: string;
  canEndSessions: boolean;
  canEndMachineAccess: boolean;
}

/** A moment (Unix ms) as the text by which the items order moments. */
export const iso = (ms: number): string => new Date(ms).toISOString();

/** The latest of moments as `iso` writes them; empty where there is none. */
export const latestOf = (...moments: (string | undefined)[]): string =>
  moments
    .map((one) => one ?? '')
    .sort()
    .at(-1) ?? '';

/** `from` (ISO 8601 text or Unix ms) plus an ISO 8601 duration, as Unix ms. */
export function after(from: string | number, duration: string): number {
  const end = addDuration(new Date(from), duration);
  if (!end) throw new Error(`${duration} is not an ISO 8601 duration`);
  return end.getTime();
}
