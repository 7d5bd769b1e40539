import type { OpenRequest, Priority } from '../model/organization.ts';

/** Whose turn a request has to wait for. A dry run goes behind all real work. */
export const priorityOf = ({ batch, urgent, parameters }: OpenRequest): Priority => {
  if (parameters.dry_run && batch) return 'watch';
  return batch === undefined || urgent ? 'single' : 'batch';
};
