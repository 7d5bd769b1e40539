import type { LedgerEntry, Organization, Outcome } from '../model/organization.ts';
import { type ConnectionStep, type Listing, openEntry } from './connections.ts';

// A dry run goes the way of its request, looks, and changes nothing.

function outcomeOf(step: ConnectionStep): Outcome {
  if (step.is === 'call') return { outcome: step.goal };
  return step.is === 'known' ? step.outcome : { outcome: 'unchanged' };
}

/** What a dry run says of a connection or grant in place of what its request would do to it. */
export function asDryRun(
  step: ConnectionStep,
  item: Organization,
  entry: LedgerEntry,
  listing: Listing,
): ConnectionStep {
  const outcome = outcomeOf(step);
  // The ledger keeps the settings from before earlier offboardings; the request would find those of now.
  const { before } = openEntry(item, entry.kind, entry.id, listing);
  const isAnother = JSON.stringify(before) !== JSON.stringify(entry.before);
  return { is: 'known', outcome: isAnother ? { ...outcome, before } : outcome, is_given_back: false };
}
