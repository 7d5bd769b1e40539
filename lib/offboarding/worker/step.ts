import type { SingleEffect } from '../model/effects.ts';
import type { OpenRequest } from '../model/organization.ts';
import type { DriftStep } from '../rules/drift.ts';
import type { VisitState } from './visit-state.ts';

/**
 * What a visit does next: an effect, or a step. `change`: the rules change the item, and decide again. `call`: a call of Auth0, whose
 * intent is stored before it is made. `save`: what is decided is stored, under the lease. `rest`: nothing is left to be done now.
 */
export type Step =
  | DriftStep
  | Extract<SingleEffect, { do: 'readBatch' | 'writeBatch' | 'readName' | 'listConnections' | 'listGrants' }>
  | Extract<SingleEffect, { do: 'scheduleRemoval' | 'sendSessionsDue' }>
  | { do: 'record'; request: OpenRequest }
  | { do: 'save' | 'publish' | 'checked' | 'rest' };

/** Finds a next step of one kind, where there is one. */
export type Rule = (state: VisitState) => Step | undefined;
