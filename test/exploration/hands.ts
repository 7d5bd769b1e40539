import type { Stage } from '../../lib/offboarding/model/stage.ts';
import { starts } from './actions.ts';
import { checkProgram } from './programs.ts';
import type { Action } from './scenarios.ts';
import { withStory } from './story.ts';
import { type About, ORG, type World, withChange } from './world.ts';

// What people do by hand, at Auth0 and with the stage, and what Auth0 says of it.

type Notice = { after?: Action['after']; by?: string; of?: string; early?: number; skew?: number };

/** Auth0 says that a connection was changed: which, by whom, and how long before now, milliseconds, as far as it does. */
export function notification(as = 'N', { after, by, of, early, skew }: Notice = {}): Action {
  const apply = (world: World, stage: Stage) => {
    const about: About = { kind: 'check', requests: [], before: [] };
    const time = early === undefined ? undefined : new Date(world.now - early).toISOString();
    const what = { connection_id: of, changed_by: by, time };
    return starts(world, stage, {
      name: `http check ${as}`,
      about,
      skew,
      program: (writer) => checkProgram(ORG, writer, what),
    });
  };
  return { label: `notification ${as}`, apply, after, by };
}

/** The world after somebody else's change. */
const touched = (world: World, changed: World, id: string): World =>
  withStory({ ...changed, story: world.story }, { touched: [...world.story.touched, { id, at: world.now }] });

/** Somebody enables a connection by hand. */
export const enableByHand = (id: string, after?: Action['after']): Action => ({
  label: `somebody enables ${id}`,
  after: (world) => world.connections[ORG]?.some((one) => one.id === id) === true && after?.(world) !== false,
  apply: (world) =>
    touched(
      world,
      withChange(world, { organization: ORG, kind: 'connection', id, goal: 'enabled', level: undefined }),
      id,
    ),
});

/** Somebody adds a connection, or removes one. */
export const addByHand = (id: string, after?: Action['after']): Action => ({
  label: `somebody adds ${id}`,
  after,
  apply: (world) => {
    const all = [...(world.connections[ORG] ?? []), { id, isEnabled: true, level: 'none' }];
    return touched(world, { ...world, connections: { ...world.connections, [ORG]: all } }, id);
  },
});
export const removeByHand = (id: string, after?: Action['after']): Action => ({
  label: `somebody removes ${id}`,
  after,
  apply: (world) => {
    const left = (world.connections[ORG] ?? []).filter((one) => one.id !== id);
    const others = world.story.touched.filter((one) => one.id !== id);
    const touched = [...others, { id, at: world.now, isOver: true }];
    return withStory({ ...world, connections: { ...world.connections, [ORG]: left } }, { touched });
  },
});

/** Somebody lets a client in. */
export const grantByHand = (id: string, after?: Action['after']): Action => ({
  label: `somebody grants ${id}`,
  after,
  apply: (world) =>
    touched(
      world,
      withChange(world, { organization: ORG, kind: 'client_grant', id, goal: 'enabled', level: undefined }),
      id,
    ),
});

export const switchSessionsOff = (after?: Action['after']): Action => ({
  label: 'the stage switches sessions off',
  after,
  apply: (world) => ({ ...world, isSessionsOff: true }),
});

/** A member leaves the organization. */
export const memberLeaves = (name: string, after?: Action['after']): Action => ({
  label: `${name} leaves`,
  after,
  apply: (world) => ({ ...world, members: world.members.filter((one) => one !== name) }),
});

/** The item of a batch expires. */
export const batchExpires = (id: string, after?: Action['after']): Action => ({
  label: `the batch ${id} expires`,
  after,
  apply: ({ batches: { [id]: _, ...batches }, ...world }) => ({ ...world, batches }),
});
