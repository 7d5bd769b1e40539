import type { OpenRequest, Priority } from '../model/organization.ts';

/** Whose turn the members of a batch have to wait for. A dry run goes behind all real work. */
export const priorityInBatch = ({
  urgent,
  parameters,
}: {
  urgent?: boolean | undefined;
  parameters: Pick<OpenRequest['parameters'], 'dry_run'>;
}): Priority => {
  if (parameters.dry_run) return 'watch';
  return urgent ? 'single' : 'batch';
};

/** Whose turn a request has to wait for. */
export const priorityOf = (request: OpenRequest): Priority => (request.batch ? priorityInBatch(request) : 'single');
