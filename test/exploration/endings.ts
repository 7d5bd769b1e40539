import { memoryOf } from './interned.ts';
import { labelOf } from './labels.ts';
import { endOf, pendingOf } from './programs.ts';
import { clockOf } from './steps.ts';
import { START, type World } from './world.ts';

// What can be seen of a world from outside, as facts: what is requested of AWS and Auth0, and after what, what callers are answered,
// what is published, and, where nothing is left that could happen, what is stored and how the tenant is. A fact is a subject and what
// is said of it. A time is a fact of its own: all times of a subject together would be too many.

/** What is between a subject and what is said of it, and between a member and its value. */
export const [SAYS, IS] = [' | ', ' = '];

/** What most records, events and answers say alike: a fact has what differs from it. */
const USUAL: Record<string, unknown[]> = {
  ...{ organization_id: ['org_A'], strategy: ['samlp'], audience: ['api'], scope: [['read']], kind: ['connection'] },
  ...{
    requested_by: ['billing', 'support'],
    reason: ['contract ended', 'stays'],
    caller: ['arn:billing', 'arn:support'],
  },
  ...{ dry_run: [false], on_reenable: ['report'], end_sessions: [false], end_machine_access: [false], attempts: [0] },
  ...{
    error: [null],
    remaining_access: [[]],
    disabled_by_us: [false],
    disabled_by_offboarding: [false],
    isWhole: [true],
  },
};
/** What the subject says already, and what is new with every write. */
const LEFT_OUT = [
  ...['revision', 'version', 'status', 'action', 'request'],
  ...['offboarding_id', 'connection_id', 'grant_id', 'client_id', 'id'],
];
/** Lists whose members are subjects of their own. */
const LISTS = ['connections', 'client_grants', 'records'];
/** Times that are always there. */
const ALWAYS = ['at', 'requested_at', 'accepted_at', 'updated_at'];
const [LONGEST, MOST] = [200, 12];

const ISO = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/;
const UNITS = { d: 86_400, h: 3600, m: 60, s: 1 };

/** So long after the world began, to the second. */
function sinceStart(ms: number): string {
  let seconds = Math.abs(Math.round((ms - START) / 1000));
  let text = ms < START - 500 ? '-' : '';
  for (const [unit, size] of Object.entries(UNITS)) {
    const count = Math.floor(seconds / size);
    seconds -= count * size;
    if (count > 0) text += `${count}${unit}`;
  }
  return text || '0s';
}

type Times = { path: string; time: string }[];

function timeIn(path: string, value: unknown): number | undefined {
  if (typeof value === 'string' && ISO.test(value)) return Date.parse(value);
  return path === 'expires_at' ? Number(value) * 1000 : undefined;
}

/** A value as text, after a blank; times are put into `times` instead. */
function textOf(value: unknown, path: string, times: Times): string {
  const ms = timeIn(path, value);
  if (ms !== undefined) {
    times.push({ path, time: sinceStart(ms) });
    return '';
  }
  if (typeof value === 'string') return ` ${value.length > LONGEST ? `of ${value.length} characters` : value || "''"}`;
  if (Array.isArray(value) && value.length > MOST) return ` ${value.length} of them`;
  if (Array.isArray(value))
    return ` [${value
      .map((one) => textOf(one, path, times))
      .join(',')
      .trim()}]`;
  if (typeof value !== 'object' || value === null) return ` ${value}`;
  const { code, message, is_enabled, organization_access_level: level, ...rest } = value as Record<string, unknown>;
  const settings = [is_enabled === undefined ? undefined : is_enabled ? 'enabled' : 'disabled', level];
  const first = [code, message === code ? undefined : message, ...settings].filter((one) => one !== undefined);
  const text = [...first, membersOf(rest, path, times)].filter(Boolean).join(', ');
  return text && ` {${text}}`;
}

const isUsual = (name: string, value: unknown) =>
  LEFT_OUT.includes(name) || USUAL[name]?.some((one) => JSON.stringify(one) === JSON.stringify(value));

function membersOf(about: object, path: string, times: Times): string {
  return Object.entries(about)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .filter(([name, value]) => value !== undefined && !isUsual(name, value))
    .map(([name, value]) => name + textOf(value, path ? `${path}.${name}` : name, times))
    .filter((text) => !ALWAYS.includes(text))
    .join(', ');
}

/** Requests that differ by their number alone are one subject. */
const nameOf = (id: unknown) => String(id).replace(/^([A-Z])\d+$|^(\w+_)\d+x+$/, '$1$2…');

const known = new WeakMap<object, string[]>();

/** What a record, an event or an answer says, each fact without the beginning of its subject; computed once. */
function factsOf(about: Record<string, unknown>): string[] {
  const found = known.get(about);
  if (found) return found;
  const lists = LISTS.flatMap((name) => (about[name] ?? []) as Record<string, unknown>[]);
  const usualName = `name of ${about.connection_id ?? about.id ?? about.organization_id}`;
  const own = Object.entries(about).filter(([name, value]) => !LISTS.includes(name) && value !== usualName);
  const times: Times = [];
  const status = about.status === undefined ? '' : ` ${about.status}`;
  const facts = [
    `${status}${SAYS}${membersOf(Object.fromEntries(own), '', times) || 'nothing unusual'}`,
    ...times
      .filter(({ path, time }) => time !== '0s' || !ALWAYS.includes(path))
      .map(({ path, time }) => `${status}${SAYS}${path}${IS}${time}`),
    ...lists.flatMap((one) => {
      const id = nameOf(one.connection_id ?? one.grant_id ?? one.offboarding_id ?? one.client_id);
      return factsOf(one).map((fact) => `${status}, ${id}${fact}`);
    }),
  ];
  known.set(about, facts);
  return facts;
}
const said = memoryOf<string[]>();
/** An effect as a fact has it, by the clock of who performs it. */
const effectShown = memoryOf<string>();
const saysOf = (subject: string, about: object): string[] =>
  said(about, subject, () => factsOf(about as Record<string, unknown>).map((fact) => subject + fact));

const WHO = /^(worker|sessions|dispatch|http \w+(?: batch)?)(?:\d| \w+)? /;

/** What somebody does, and what it asks for next, if it goes on. */
function doneIn(label: string, world: World): string {
  const { who, done } = saidBy(label);
  if (!done) return '';
  const process = world.processes.find(({ name }) => name === who);
  if (!process) return `${done}the end`;
  const next = pendingOf(process.program);
  if (next) {
    const at = clockOf(world, process);
    return done + effectShown(next, String(at), () => shortly(labelOf(next, at)));
  }
  const { is, error } = endOf(process.program) as { is?: string; error?: { code: string } };
  return done + ['it ends', is, error?.code].filter(Boolean).join(' ');
}

const steps = new Map<string, { who: string; done: string }>();

/** Who does something by a step's label, and the fact but for what comes next. */
function saidBy(label: string): { who: string; done: string } {
  let known = steps.get(label);
  if (!known) {
    const [start = '', kind] = WHO.exec(label) ?? [];
    known = { who: start.trimEnd(), done: kind ? kind + SAYS + shortly(label.slice(start.length)) + IS : '' };
    steps.set(label, known);
  }
  return known;
}

const shortly = (text: string) => text.replace(/\d+x{9,}/, '…').replaceAll(', ', ' ');

/** What a step shows. */
export function factsOfStep(label: string, world: World): string[] {
  const { published, answer, dispatched } = world.story;
  const done = doneIn(label, world);
  return [
    ...(done ? [done] : []),
    ...published.flatMap(({ event, detail }) => saysOf(`event ${event} ${nameOf(detail.offboarding_id)}`, detail)),
    ...(answer ? saysOf(`answer ${answer.kind} ${subjectOf(answer)}`, answer.end) : []),
    ...(dispatched
      ? saysOf('dispatched', { ...dispatched.reported, oldest: new Date(dispatched.reported.oldest).toISOString() })
      : []),
  ];
}
const subjectOf = ({ requests, status }: NonNullable<World['story']['answer']>) =>
  [...requests.map(({ id }) => nameOf(id)), status].join(' ');

/** What a world shows in which nothing is left that could happen. */
export function factsAtRest(world: World): string[] {
  const { records, items, batches, now } = world;
  return [
    ...Object.entries(records).flatMap(([id, record]) => saysOf(`record ${nameOf(id)}`, record)),
    ...Object.entries(items).flatMap(([id, item]) => storedOf(id, item, world)),
    ...Object.entries(batches).flatMap(([id, batch]) => saysOf(`batch ${id}`, batch)),
    `rest${SAYS}${briefly(world)}`,
    `rest${SAYS}at${IS}${sinceStart(now)}`,
    ...sequencesOf(world),
  ];
}

/** What is stored of an organization, but for its open requests, which their records show. */
function storedOf(id: string, item: World['items'][string], { dues }: World): string[] {
  const { ledger, cancellation, requests: _, outbox: __, notice_at: ___, lease, ...rest } = item;
  return [
    ...saysOf(id, { ...rest, ...dues[id], lease: lease && 'in force' }),
    ...(cancellation ? saysOf(`${id} cancellation`, cancellation) : []),
    ...ledger.flatMap(({ changed, ...one }) =>
      saysOf(`${id} ledger ${nameOf(one.id)}`, { ...one, changed: changed?.goal }),
    ),
  ];
}

/** How it ended, in a line. */
function briefly({ records, connections, grants, story, queue }: World): string {
  const { letters, ended, cancelled } = story;
  const shown = ({ id, isEnabled, level }: World['connections'][string][number]) =>
    `${id} ${isEnabled ? 'enabled' : 'disabled'} ${level}`;
  return [
    ...Object.entries(records).map(([id, { status, watch }]) => `${id} ${status}${watch ? ` (watch ${watch})` : ''}`),
    ...Object.values(connections).flat().map(shown),
    ...new Set(Object.values(grants).flat().map(nameOf)),
    ...[...new Set(letters)].map((id) => `dead letter of ${id}`),
    ...ended.map((id) => `sessions of ${id} ended`),
    ...cancelled.map(({ status }) => `cancellation ${status}`),
    ...queue.map(({ kind }) => `${kind} in the queue`),
  ].join(', ');
}

/** The events of each offboarding in their order; one that is published twice in a row counts once. */
function sequencesOf({ story }: World): string[] {
  const sequences = Map.groupBy(story.events, ({ id }) => nameOf(id));
  return [...sequences].map(([id, events]) => {
    const published = events.map(({ event }) => event).filter((event, place, all) => event !== all[place - 1]);
    return `events ${id}${SAYS}${published.join(', ')}`;
  });
}
