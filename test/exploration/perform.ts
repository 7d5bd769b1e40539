import type { Effect, EffectOf, SingleEffect } from '../../lib/offboarding/model/effects.ts';
import { changes, grants, lists, performMembers } from './perform-auth0.ts';
import { performOnTable } from './perform-table.ts';
import { type Story, withStory } from './story.ts';
import { has, type Performed, type Performer, UNANSWERED, use, ways } from './ways.ts';
import { type World, withDue } from './world.ts';

// Performs an effect in the world, in every way in which it may end: as it should, and with each fault that the world has left.

/** An answer may take this long, milliseconds. */
const SLOW_MS = 8000;

/** All ways in which one effect may end. */
export function performSingle(world: World, effect: SingleEffect, by: Performer): Performed[] {
  const all = waysOf(world, effect, by);
  const [first] = all;
  if (!first || !has(world, 'slow answer') || effect.do === 'pause') return all;
  const late = { ...first.world, now: world.now + SLOW_MS };
  return [...all, { ...first, how: 'slow answer', world: use(late, 'slow answer') }];
}

function waysOf(world: World, effect: SingleEffect, by: Performer): Performed[] {
  switch (effect.do) {
    case 'listConnections':
      return lists(world, effect.organization_id);
    case 'readName':
      return [{ how: 'ok', world, value: `name of ${effect.organization_id}` }];
    case 'listGrants':
      return grants(world, effect.organization_id);
    case 'change':
      return changes(world, effect, by);
    case 'publish':
      return ways({ world: published(world, effect, by) }, { 'bus away': () => ({ world, error: UNANSWERED }) });
    case 'sendDeadLetter':
      return [{ how: 'ok', world: withLetter(world, effect) }];
    case 'sendDue':
      return sends(world, () =>
        effect.notices.reduce((next, { organization_id }) => withDue(next, organization_id, world.now), world),
      );
    case 'sendSessionsDue':
      return sends(world, () => withSessionsDue(world, effect));
    case 'scheduleRemoval':
    case 'pause':
      return [{ how: 'ok', world }];
    default:
      return performOnTable(world, effect, by) ?? performMembers(world, effect);
  }
}

/** A message: it is sent, or it is not, or it is lost on its way. */
const sends = (world: World, send: () => World): Performed[] =>
  ways({ world: send() }, { 'queue away': () => ({ world, error: UNANSWERED }), 'lost message': () => ({ world }) });

const withLetter = (world: World, { body }: EffectOf<'sendDeadLetter'>): World =>
  withStory(world, { letters: [...world.story.letters, String(body.id)] });

function withSessionsDue(world: World, { organization_id, offboarding_id }: EffectOf<'sendSessionsDue'>): World {
  const about = { organization: organization_id, offboarding: offboarding_id };
  return { ...world, queue: [...world.queue, { kind: 'sessions', ...about, visibleAt: world.now }] };
}

function published(world: World, { events }: EffectOf<'publish'>, { name }: Performer): World {
  const publishedEvent = events.map(({ event, detail }) => {
    const {
      offboarding_id,
      connections = [],
      client_grants = [],
    } = detail as {
      offboarding_id?: string;
      connections?: { connection_id: string }[];
      client_grants?: { grant_id: string }[];
    };
    return {
      event,
      id: String(offboarding_id),
      about: [...connections.map((one) => one.connection_id), ...client_grants.map((one) => one.grant_id)],
      by: name.replace(/\d$/, ''),
    };
  });
  const { story } = world;
  return withStory(world, {
    events: [...story.events, ...publishedEvent],
    published: [...story.published, ...(events as Story['published'])],
  });
}

/** What nobody else can tell the moment of. What only the order of events and records shows matters where somebody stands still. */
const INVISIBLE = [
  'readName',
  'scheduleRemoval',
  'sendDeadLetter',
  'pause',
  'markNoticed',
  'readDue',
  'listGrants',
  'listMembers',
  'isMemberElsewhere',
];
const IN_ORDER = ['publish', 'writeRecord', 'readRecord', 'sendDue', 'sendSessionsDue'];

/** Whether nobody else can tell when an effect happens: it is performed at once, and is no step of its own. */
export function isInvisible(world: World, effect: Effect): boolean {
  return INVISIBLE.includes(effect.do) || (IN_ORDER.includes(effect.do) && !has(world, 'paused'));
}
