import type { Scenario } from '../scenarios.ts';
import type { Answer, Detail } from '../story.ts';
import type { World } from '../world.ts';
import type { StepCheck } from './check.ts';
import { isFaultless } from './faults.ts';
import { wrongOutcomes } from './outcomes.ts';
import { statusIn, statusOf } from './standing.ts';

// What callers are told.

type Wrong = (answer: Answer, world: World, scenario: Scenario, before: World) => string | undefined;

/** An answer says what is so at its moment; where nothing went wrong, none is an error. */
export const answersAreTrue: StepCheck = (world, scenario, before) => {
  const { answer } = world.story;
  if (!answer) return undefined;
  if (answer.status >= 500 && isFaultless(world, scenario))
    return `${answer.kind} is answered ${answer.status}, and nothing went wrong`;
  return WRONG[answer.kind](answer, world, scenario, before);
};

const MOST_OPEN = 20;
const present = (world: World, id: string) => statusIn(world, id) || statusOf(world, id);

const wrongPost: Wrong = ({ requests: [request], before, status, end }, world, _, earlier) => {
  const { id = '', organization = '', options = {} } = request ?? {};
  const all = world.items[organization]?.requests ?? [];
  const open = all.filter((one) => one.status !== 'completed');
  if (status === 409) return open.length >= MOST_OPEN ? undefined : `${id} is refused, and ${open.length} are open`;
  const known = all.find((one) => one.offboarding_id === id) ?? world.records[id];
  const isSame = !known?.fingerprint || known.fingerprint === (options.body ?? 'body');
  if ((status === 422 && isSame) || (status === 202 && !isSame)) return `${id} is answered ${status} by its body`;
  if (status !== 202) return undefined;
  if (before.includes(id) && !earlier.story.accepted[id]?.isMaybe && end.is !== 'replayed')
    return `${id} is accepted a second time`;
  if (end.is === 'replayed' && end.status !== present(world, id)) return `${id} is told as ${end.status}`;
  return undefined;
};

const wrongBatch: Wrong = ({ requests, before, status, end }, _, __, { story }) => {
  if (status !== 202) return undefined;
  const isKnown = requests.some(({ id }) => before.includes(id) && !story.accepted[id]?.isMaybe);
  if (isKnown && end.is !== 'replayed') return 'A batch is accepted a second time';
  return end.accepted === requests.length ? undefined : `Of ${requests.length} members ${end.accepted} are accepted`;
};

const wrongCancel: Wrong = ({ status, end, told, before: covered }, world, scenario, before) => {
  const { cancelled, begun } = before.story;
  const removing = ({ requests }: World['items'][string]) =>
    requests.some(
      (one) => one.status === 'removing' || (one.status === 'working' && one.parameters.action === 'remove'),
    );
  if (status === 409)
    return Object.values(before.items).some(removing) ? undefined : '409 is answered, and nothing is being removed';
  if (status === 202 && scenario.isPatient && isFaultless(world, scenario))
    return '202 is answered, and nobody else is at work';
  const found = cancelled.slice(0, told).filter((one) => !one.isBatch && [200, 202].includes(one.status));
  const last = found.at(-1);
  const isAgain = last?.status === 200 && last.begun.length === begun.length && last.before.length === covered.length;
  if (isAgain && (status === 404 || !end.isReplayed)) return `A repeated DELETE is answered ${status}`;
  const isFirst =
    cancelled.length === 0 && before.processes.filter(({ name }) => name.startsWith('http cancel')).length === 1;
  if (end.isReplayed && isFirst && isFaultless(world, scenario)) return 'The first DELETE is answered as a repetition';
  for (const record of status === 200 ? (end.records ?? []) : []) {
    if (record.status === 'cancelling') return `200 is answered, and ${record.offboarding_id} is cancelling`;
    const wrong = wrongOutcomes(record as Detail, record.status, world, scenario);
    if (wrong) return `200 is answered: ${wrong}`;
  }
  return undefined;
};

const wrongCancelBatch: Wrong = ({ status, end, before: members }, world, scenario, before) => {
  const isAgain = before.story.cancelled.some(({ isBatch }) => isBatch);
  if (status !== 202 || isAgain || !isFaultless(world, scenario)) return undefined;
  const { cancelling = -1, not_pending = -1 } = end;
  const batches = Object.values(world.batches).map(({ organization_ids }) => organization_ids.length);
  if (!batches.includes(cancelling + not_pending)) return `${cancelling} are cancelling, and ${not_pending} are not`;
  const ended = members.filter((id) => ['cancelling', 'cancelled'].includes(present(world, id)));
  return members.length > 0 && ended.length !== cancelling
    ? `${cancelling} are told as cancelling, and ${ended.length} are`
    : undefined;
};

const WRONG: Record<Answer['kind'], Wrong> = {
  post: wrongPost,
  batch: wrongBatch,
  cancel: wrongCancel,
  'cancel batch': wrongCancelBatch,
};
