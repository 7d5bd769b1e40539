// What is shown and reported: one line an organization, in the operator's own order.
import type { Plan } from './plan-file.ts';
import { CONNECTION_ID, type Offboarding } from './records.ts';
import { short } from './terminal.ts';

/** An organization of a plan, or one that is only on record; with its record where there is one. */
export interface Line {
  organization_id: string;
  /** Auth0's name, where it is known. */
  organization_name?: string | null | undefined;
  /** The cells of the operator's file. */
  cells: string[];
  /** What deserved a second look when it was planned. */
  notes: string[];
  record: Offboarding | undefined;
}

/** The plan's organizations in its order, each with the record that is its own; without a plan, a line for each record. */
export function linesOf(plan: Plan | undefined, all: Offboarding[]): Line[] {
  if (!plan) return all.map(lineOf);
  const byOrganization = new Map(all.map((record) => [record.organization_id, record]));
  return plan.organizations.map(({ organization_id, organization_name, cells, notes }) => {
    const record = byOrganization.get(organization_id);
    // Notes are about the time before: a level that was lowered since is no warning any more.
    return { organization_id, organization_name, cells, notes: record ? [] : notes, record };
  });
}

const lineOf = (record: Offboarding): Line => ({
  organization_id: record.organization_id,
  organization_name: record.organization_name,
  cells: [],
  notes: [],
  record,
});

type Named = Pick<Line, 'organization_id' | 'organization_name' | 'cells'>;

/** Id and name: Auth0's own, and beside it what the operator's file says. */
export function titleOf({ organization_id, organization_name, cells }: Named): string {
  const isName = (cell: string) => cell !== '' && cell !== organization_id && !CONNECTION_ID.test(cell);
  const others = cells.map((cell) => cell.trim()).filter(isName);
  const isOther = (cell: string) => cell !== organization_name?.trim();
  const own = short(others.filter(isOther).join(', '), 60);
  const name = short(organization_name ?? '', 60);
  if (!name) return own ? `${organization_id}  ${own} (from your file)` : organization_id;
  return `${organization_id}  ${name}${own ? ` (your file: ${own})` : ''}`;
}
