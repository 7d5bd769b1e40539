import type { Writer } from '../intake/update.ts';
import type { Batch } from '../model/batch.ts';
import type { EffectError } from '../model/effects.ts';
import { emptyOrganization, type Failure, type Goal, type Organization } from '../model/organization.ts';
import type { OffboardingRecord } from '../model/record.ts';
import type { Listing } from '../rules/connections.ts';
import { applyFact, type Fact } from './facts.ts';

/** What a visit is given: which organization, by whom, and how long it waits after an error, milliseconds. Its nonce owns the lease. */
export interface VisitInput extends Writer {
  organization_id: string;
  waitMs: number;
  /** How often what failed for a passing reason is tried again before the visit ends. */
  retries: number;
  /** `cancel` carries out cancellations and nothing else, and leaves events and records to the worker. */
  mode: 'work' | 'cancel';
}

/** What the worker on an organization knows: plain data, so that the exploration can compare two of them. */
export interface VisitState {
  input: VisitInput;
  now: number;
  writes: number;
  isRead: boolean;
  /** The item as it was last read or written; an empty one where there is none. */
  stored: Organization;
  /** The same with the facts since, and with what the rules make of them. */
  item: Organization;
  facts: Fact[];
  listing?: (Listing & { checks: number }) | undefined;
  /** Batches that members wait for, as they were read. */
  batches: Record<string, Batch | null | undefined>;
  /** Records of offboardings that had ended before. */
  records: Record<string, OffboardingRecord | null>;
  /** What Auth0 failed for in this visit, and what a drift check has tried. */
  postponed: string[];
  tried: string[];
  retriesLeft: number;
  uncertainUntil?: number | undefined;
  /** The goal of a call that Auth0 may still carry out, by key, whatever a later attempt brought: no other goal is called before that is over. */
  unsettled: Record<string, Goal>;
  /** Why what is requested fails: Auth0 has no such organization, or its listing will not pass. */
  listFailure?: Failure | undefined;
  /** Why the client grants are not known: who is to end them waits, or fails if that will not pass. */
  grantsError?: EffectError | undefined;
  /** The last error that did not end the visit. */
  passing?: EffectError | undefined;
  /** What ends the visit, once what it decided is published. */
  error?: EffectError | undefined;
  /** What is done once a visit at the most: schedules, dead letters. */
  sent: string[];
  /** Failed attempts of the effect that is being repeated. */
  failures: number;
  end?: VisitEnd | undefined;
}

/** How a visit ended: everything that is due is done, or it goes on later, in `wait_ms` at the earliest, after `error` if there was one. */
export type VisitEnd = { is: 'done' } | { is: 'later'; wait_ms: number; error?: EffectError | undefined };

export function startVisit(input: VisitInput, now: number): VisitState {
  const none = emptyOrganization(input.organization_id);
  const known = { facts: [], batches: {}, records: {}, postponed: [], tried: [], unsettled: {}, sent: [] };
  return {
    input,
    now,
    writes: 0,
    isRead: false,
    stored: none,
    item: none,
    ...known,
    retriesLeft: input.retries,
    failures: 0,
  };
}

export const withFact = (state: VisitState, fact: Fact): VisitState => ({
  ...state,
  facts: [...state.facts, fact],
  item: applyFact(state.item, fact),
});

/** Whether a change was postponed that is not one of a drift check's. */
export const isWorkPostponed = ({ postponed, tried }: VisitState): boolean =>
  postponed.some((key) => !tried.includes(key));
