/**
 * The statuses of an offboarding, and those that may follow each. Nothing else changes a status, and what the worker does at
 * Auth0 depends on it: it disables or removes at once in `working`, removes in `removing`, and enables in `cancelling`.
 */
export const TRANSITIONS = {
  /** Accepted and stored; the worker has not begun. */
  requested: ['working', 'cancelling', 'superseded', 'failed'],
  /** The worker disables or removes connections. */
  working: ['completed', 'failed', 'scheduled', 'cancelling', 'superseded'],
  /** The connections are disabled. Their removal is due at `removal_due_at`. */
  scheduled: ['removing', 'cancelling', 'superseded', 'failed'],
  /** The worker removes connections. Nobody can cancel any more. */
  removing: ['completed', 'failed'],
  /** The worker enables what this offboarding disabled. */
  cancelling: ['cancelled', 'failed'],
  completed: ['cancelling'],
  /** A failed offboarding that disabled something can still be cancelled. */
  failed: ['cancelling'],
  cancelled: [],
  /** A later request took it over. */
  superseded: ['cancelling'],
} as const satisfies Record<string, readonly string[]>;

export type Status = keyof typeof TRANSITIONS;
export const STATUSES = Object.keys(TRANSITIONS) as Status[];

const ENDED: readonly Status[] = ['completed', 'failed', 'cancelled', 'superseded'];

/** Whether an offboarding has reached one of its ends. */
export const hasEnded = ({ status }: { status: Status }): boolean => ENDED.includes(status);

/** `request` in its next status. Throws where that status may not follow: that is a mistake in the rules and never a lost race. */
export function withStatus<T extends { status: Status }>(request: T, status: Status): T {
  const allowed: readonly Status[] = TRANSITIONS[request.status];
  if (!allowed.includes(status)) throw new Error(`An offboarding that is ${request.status} cannot become ${status}`);
  return { ...request, status };
}
