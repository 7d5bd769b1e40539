import * as v from 'valibot';
import { deterministicUuid } from '../../digest.ts';
import { OrganizationId } from '../../ids.ts';

type Rejected = { organization_id: string; code: 'invalid_organization_id' | 'duplicate' };

/** The id of a batch's offboarding of an organization. */
export const memberIdOf = (batch_id: string, organization_id: string): string =>
  deterministicUuid(batch_id, organization_id);

/** The organizations that are members of a batch, and those that are rejected, with their code. */
export function membersOf(named: string[]) {
  const organization_ids: string[] = [];
  const rejected: Rejected[] = [];
  for (const organization_id of named) {
    if (!v.is(OrganizationId, organization_id)) rejected.push({ organization_id, code: 'invalid_organization_id' });
    else if (organization_ids.includes(organization_id)) rejected.push({ organization_id, code: 'duplicate' });
    else organization_ids.push(organization_id);
  }
  return { organization_ids, rejected };
}
