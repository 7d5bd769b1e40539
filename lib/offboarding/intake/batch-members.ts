import * as v from 'valibot';
import { deterministicUuid } from '../../digest.ts';
import { OrganizationId } from '../../ids.ts';
import type { Parameters } from '../model/request.ts';
import { priorityInBatch } from '../rules/priority.ts';
import type { AcceptBatchInput } from './accept-batch.ts';

type Rejected = { organization_id: string; code: 'invalid_organization_id' | 'duplicate' };

/** The id of a batch's offboarding of an organization. */
export const memberIdOf = (batch_id: string, organization_id: string): string =>
  deterministicUuid(batch_id, organization_id);

/** The members of a batch, each with an id of its own that the batch's determines, and the organizations that are rejected with their code. */
export function membersOf(
  batch_id: string,
  named: string[],
  about: { parameters: Parameters; caller: string; urgent?: boolean | undefined },
) {
  const { parameters, caller, urgent } = about;
  const seen = new Set<string>();
  const members: AcceptBatchInput['members'] = [];
  const rejected: Rejected[] = [];
  for (const organization_id of named) {
    if (!v.is(OrganizationId, organization_id)) rejected.push({ organization_id, code: 'invalid_organization_id' });
    else if (seen.has(organization_id)) rejected.push({ organization_id, code: 'duplicate' });
    else {
      seen.add(organization_id);
      const offboarding_id = memberIdOf(batch_id, organization_id);
      members.push({
        organization_id,
        request: { offboarding_id, parameters, caller, ...(urgent && { urgent: true as const }) },
      });
    }
  }
  return { members, rejected, priority: priorityInBatch(about) };
}
