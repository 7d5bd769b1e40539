import type { StepCheck } from './check.ts';
import { isFaultless } from './faults.ts';

// What nobody needs: where nothing goes wrong, nothing is done twice, is refused, or waits for the dispatcher.

/** Where nothing has gone wrong, nothing is published or changed a second time. */
export const nothingTwice: StepCheck = (after, scenario, before) => {
  const { published, changes, letters, touched } = after.story;
  if (published.length + changes.length === 0 || !isFaultless(after, scenario)) return undefined;
  for (const { event, detail } of published)
    if (
      event !== 'drifted' &&
      before.story.events.some((one) => one.event === event && one.id === detail.offboarding_id)
    )
      return `${event} of ${detail.offboarding_id} is published twice`;
  for (const { organization, kind, id, goal } of changes) {
    // A list that may be old shows it as it was.
    if (touched.some((one) => one.id === id) || (before.previous?.until ?? 0) >= before.now) continue;
    const known = before.connections[organization]?.find((one) => one.id === id);
    const isGrantThere = before.grants[organization]?.includes(id);
    const isSo =
      kind === 'client_grant' ? isGrantThere === (goal === 'enabled') : known?.isEnabled === (goal === 'enabled');
    if (goal !== 'removed' && isSo) return `${id} is ${goal} although it is so already`;
  }
  return new Set(letters).size < letters.length ? 'A dead letter is sent twice' : undefined;
};

/** Where nothing has gone wrong, what was accepted is worked on at once, and not when the dispatcher finds it. */
export const nothingWaits: StepCheck = (after, scenario, before) => {
  const hasRun = before.processes.length === 0 && after.processes[0]?.name === 'dispatch';
  if (!hasRun || !isFaultless(after, scenario)) return undefined;
  for (const { requests, outbox } of Object.values(after.items)) {
    const waiting = requests.find(({ status }) => ['requested', 'working', 'cancelling'].includes(status));
    if (waiting) return `${waiting.offboarding_id} waits for the dispatcher`;
    if (outbox[0]) return `${outbox[0].event} of ${outbox[0].offboarding_id} waits for the dispatcher`;
  }
  return undefined;
};
