// What a visit knows at some moment, with defaults: a test says only what it is about.
import type { Batch } from '../../../lib/offboarding/model/batch.ts';
import { emptyOrganization, type OpenRequest, type Organization } from '../../../lib/offboarding/model/organization.ts';
import type { Listing } from '../../../lib/offboarding/rules/connections.ts';
import { nextStep } from '../../../lib/offboarding/worker/next-step.ts';
import type { Step } from '../../../lib/offboarding/worker/step.ts';
import { startVisit, type VisitInput, type VisitState } from '../../../lib/offboarding/worker/visit-state.ts';
import { ago, NOW, ORG, request, SECOND, STAGE } from '../items.ts';

export const WAIT_MS = 5000;
export const INPUT: VisitInput = {
  ...{ organization_id: ORG, nonce: 'n', deadline: NOW + 54 * SECOND, waitMs: WAIT_MS, retries: 0, mode: 'work' },
  stage: STAGE,
};

/** A batch whose members do not count yet. */
export const OPEN_BATCH: Batch = {
  ...{ batch_id: 'X', status: 'open', attempt: 1, fingerprint: 'f', organization_ids: [ORG], created_at: ago(0) },
};

/** The offboarding A, which is being worked on. */
export const working = (changes: Partial<OpenRequest> = {}, of: object = {}) =>
  request('A', { status: 'working', ...changes }, of);

/** A visit that has just read `item`; an empty one where there is none. */
export const stateOf = (item = emptyOrganization(ORG), changes: Partial<VisitState> = {}): VisitState => ({
  ...startVisit(INPUT, NOW),
  ...{ isRead: true, stored: item, item },
  ...changes,
});

export const listed = (list: Listing, changes: object = {}) => ({ listing: { ...list, checks: 0, ...changes } });
export const step = (item: Organization, changes: Partial<VisitState> = {}) => nextStep(stateOf(item, changes));
export const stage = (changes: Partial<typeof STAGE>) => ({ input: { ...INPUT, stage: { ...STAGE, ...changes } } });
/** The item that a step makes. */
export function changed(item: Organization, changes: Partial<VisitState> = {}): Organization {
  const next = step(item, changes);
  if (next.do !== 'change') throw new Error(`no change: ${JSON.stringify(next)}`);
  return next.item;
}
/** A step in short. */
export function short(next: Step): string {
  return next.do === 'call' ? `${next.entry.intent.goal} ${next.entry.id}` : next.do;
}
