import * as table from '../../aws/table.ts';
import type { DueItem } from '../model/effects.ts';
import type { Performer } from './shell.ts';

/** A page of the index of what is due. */
const PAGE = 100;

/** Performs the effects of the dispatcher: it alone reads the index of what is due. */
export const DUE_INDEX_EFFECTS = {
  readDue: async ({ shard, before, cursor }) => {
    const part = { index: 'by_due', attribute: 'due_shard', value: `due ${shard}`, position: 'due_at', below: before };
    const page = await table.readIndexPage(part, PAGE, cursor);
    return { due: page.items as object as DueItem[], cursor: page.cursor };
  },
  markNoticed: ({ organization_id, offboarding_id, due_at, notice_at }) =>
    table.setNotice({ organization_id, offboarding_id }, due_at, notice_at),
} satisfies Performer;
