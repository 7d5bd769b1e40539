// How the sessions of an organization's members are ended, page by page, as long as no cancellation stops it.
import { describe, expect, test } from 'vitest';
import type { Sessions } from '../../lib/offboarding/model/sessions.ts';
import { ago, events, MINUTE, NOW, ORG, organization, SECOND } from '../offboarding/items.ts';
import { AWAY, World } from '../offboarding/play.ts';
import { due, end, ended, now, sessions, worldOf } from './members.ts';

describe('the members of an organization', () => {
  test('when all pages are done, everybody’s sessions are ended, that is an event, and the worker publishes it', () => {
    const world = worldOf([['u1', 'u2'], ['u3']]);
    expect(end(world)).toEqual({ is: 'done' });
    expect(ended(world)).toEqual(['u1', 'u2', 'u3']);
    expect(now(world)).toEqual(sessions({ status: 'ended', members: 3, revocations_requested: 3, updated_at: ago(0) }));
    expect(events(world.item)).toEqual(['sessions_ended A']);
    expect(world.all('sendDue')).toEqual([{ do: 'sendDue', notices: [{ organization_id: ORG, priority: 'batch' }] }]);
    expect(world.all('writeOrganization').map(({ item }) => item.version)).toEqual(['n.0.1', 'n.1.1']);
    expect(world.all('listMembers').map(({ cursor }) => cursor)).toEqual([undefined, '1']);
  });
  test('when a page is done, what is done stands in the item, and the next page begins without a place', () => {
    const world = worldOf([['u1'], ['u2']]).meanwhile('listMembers', () => {});
    world.meanwhile('listMembers', () => {
      expect(now(world)).toEqual(
        sessions({ status: 'ending', members: 1, revocations_requested: 1, cursor: '1', updated_at: ago(0) }),
      );
      expect(events(world.item)).toEqual([]);
    });
    end(world);
    expect(world.all('listMembers')).toHaveLength(2);
  });
  test('when a member belongs to another organization too, its sessions go on, unless the stage says otherwise', () => {
    const world = worldOf([['u1', 'guest']]);
    end(world);
    expect(ended(world)).toEqual(['u1']);
    expect(now(world)).toMatchObject({ members: 2, revocations_requested: 1, skipped: 1 });
    expect(world.all('isMemberElsewhere')[0]).toMatchObject({ user_id: 'u1', organization_id: ORG });
    const all = worldOf([['u1', 'guest']]);
    end(all, { allMembers: true });
    expect(ended(all)).toEqual(['u1', 'guest']);
    expect(all.all('isMemberElsewhere')).toEqual([]);
  });
  test('when there are no members, it is done', () => {
    const world = worldOf([[]]);
    expect(end(world)).toEqual({ is: 'done' });
    expect(now(world)).toMatchObject({ status: 'ended', members: 0 });
  });
  test('when it is a dry run, it counts whose sessions would end, and ends none', () => {
    const world = worldOf([['u1', 'guest']], due({}, { dry_run: true }));
    expect(end(world)).toEqual({ is: 'done' });
    expect(ended(world)).toEqual([]);
    expect(now(world)).toMatchObject({ members: 2, revocations_requested: 1, skipped: 1 });
  });
  test('when it is a dry run of a stage in which all members lose their sessions, each of them counts', () => {
    const world = worldOf([['u1', 'guest']], due({}, { dry_run: true }));
    expect(end(world, { allMembers: true })).toEqual({ is: 'done' });
    expect([ended(world), now(world)?.revocations_requested, now(world)?.updated_at]).toEqual([[], 2, ago(0)]);
  });
  test('when a page has no members, the next one is all the same progress', () => {
    const world = worldOf([[], ['u1']], due({ sessions: sessions({ status: 'ending' }) }));
    world
      .meanwhile('listMembers', () => {})
      .meanwhile('listMembers', () => {
        expect(now(world)).toMatchObject({ cursor: '1', members: 0, updated_at: ago(0) });
      });
    expect(end(world)).toEqual({ is: 'done' });
    expect(world.all('listMembers')).toHaveLength(2);
  });
  test('when the message is quicker than the write that says so, it begins all the same', () => {
    const world = worldOf([['u1']], due({ sessions: undefined }));
    expect(end(world)).toEqual({ is: 'done' });
    expect(now(world)).toMatchObject({ status: 'ended', members: 1, revocations_requested: 1 });
  });
  test('when it goes on, it begins at the cursor and the place where the last delivery ended', () => {
    const before = sessions({
      status: 'ending',
      cursor: '1',
      position: 1,
      members: 3,
      revocations_requested: 3,
      tries: 2,
    });
    const world = worldOf(
      [
        ['u1', 'u2'],
        ['u3', 'u4'],
      ],
      due({ sessions: { ...before, sent_at: ago(MINUTE) } }),
    );
    expect(end(world)).toEqual({ is: 'done' });
    expect(ended(world)).toEqual(['u4']);
    expect(now(world)).toEqual({
      ...sessions({ status: 'ended', members: 4, revocations_requested: 4, updated_at: ago(0) }),
      sent_at: ago(MINUTE),
    });
  });
});

describe('a page that another delivery had begun', () => {
  const cutOff = (ids: string[], count: number) => {
    const world = worldOf([ids]);
    for (let left = count; left > 0; left--) world.meanwhile('endUserSessions', () => {});
    world.meanwhile('endUserSessions', () => {
      world.items[ORG] = organization({ requests: [due({ watch: 'ended' })], version: 'v.2' });
    });
    end(world);
    return now(world) as Sessions;
  };
  const goOn = (ids: string[], before: Sessions) => {
    const world = worldOf([ids], due({ sessions: before }));
    end(world);
    return world;
  };
  const before = cutOff(['u1', 'u2', 'u3', 'u4'], 1);

  test('when it lists the same members, it goes on at its place', () => {
    expect(before).toMatchObject({ position: 2, members: 2 });
    const world = goOn(['u1', 'u2', 'u3', 'u4'], before);
    expect(ended(world)).toEqual(['u3', 'u4']);
    expect(now(world)).toMatchObject({ status: 'ended', members: 4, revocations_requested: 4 });
    expect(now(world)?.page).toBeUndefined();
  });
  test('when a member has left it, nobody is left out, and each that is listed is counted once', () => {
    const world = goOn(['u2', 'u3', 'u4'], before);
    expect(ended(world)).toEqual(['u2', 'u3', 'u4']);
    expect(now(world)).toMatchObject({ status: 'ended', members: 3, revocations_requested: 3 });
  });
  test('when one has left and another has come, the place says nothing, either', () => {
    expect(ended(goOn(['u2', 'u3', 'u4', 'u5'], before))).toEqual(['u2', 'u3', 'u4', 'u5']);
  });
});

describe('sessions that are not due', () => {
  test('when nobody asked for it, or they are ended, or the offboarding is gone, nothing is done', () => {
    for (const one of [due({}, { end_sessions: false }), due({ sessions: sessions({ status: 'ended' }) })]) {
      const world = worldOf([['u1']], one);
      expect(end(world)).toEqual({ is: 'not due' });
      expect(world.story).toBe('readOrganization');
    }
    expect(end(worldOf([['u1']]), { offboarding_id: 'B' })).toEqual({ is: 'not due' });
    expect(end(new World())).toEqual({ is: 'not due' });
  });
  test('when a cancellation comes between two members, it stops before the next one, and what is done is kept', () => {
    const world = worldOf([['u1', 'u2', 'u3']]);
    world.meanwhile('endUserSessions', () => {
      world.items[ORG] = organization({ requests: [due({ watch: 'ended' })], version: 'v.2' });
    });
    expect(end(world)).toEqual({ is: 'not due' });
    expect(ended(world)).toEqual(['u1']);
    expect(now(world)).toMatchObject({ status: 'ending', members: 1, position: 1 });
  });
  test('when the item cannot be read before a member, its sessions go on: it may be cancelled', () => {
    const world = worldOf([['u1', 'u2']])
      .meanwhile('readOrganization', () => {})
      .fail('readOrganization', AWAY);
    expect(end(world)).toEqual({ is: 'not due' });
    expect(ended(world)).toEqual([]);
    expect(now(world)).toMatchObject({ position: 0, members: 0 });
  });
  test('when another delivery has done the page meanwhile, its counts stand', () => {
    for (const changes of [{ cursor: '1' }, { members: 2 }, { status: 'ending' as const }]) {
      const others = sessions(changes);
      const world = worldOf([['u1']]);
      world.meanwhile('endUserSessions', () => {
        world.items[ORG] = organization({ requests: [due({ sessions: others })], version: 'v.2' });
      });
      expect(end(world)).toEqual({ is: 'not due' });
      expect(now(world)).toEqual(others);
      expect(world.all('writeOrganization')).toEqual([]);
    }
  });
  test('when the offboarding is gone when a page is to be written, nothing is written', () => {
    const world = worldOf([['u1']]);
    world.meanwhile('endUserSessions', () => {
      world.items[ORG] = organization({ version: 'v.2' });
    });
    expect(end(world)).toEqual({ is: 'not due' });
  });
});

describe('the time of a delivery', () => {
  test('when less than a member takes is left, the rest is for another delivery', () => {
    const world = worldOf([['u1']]);
    expect(end(world, { deadline: NOW + 3 * SECOND - 1 })).toEqual({ is: 'later' });
    expect(world.story).toBe('readOrganization');
    expect(end(worldOf([['u1']]), { deadline: NOW + 3 * SECOND })).toEqual({ is: 'done' });
  });
  test('when it is over within a page, the place is kept', () => {
    const world = worldOf([['u1', 'u2', 'u3']], due({ sessions: sessions({ status: 'ending' }) }));
    world.takes = { endUserSessions: 4000 };
    expect(end(world, { deadline: NOW + 8 * SECOND })).toEqual({ is: 'later' });
    expect(ended(world)).toEqual(['u1', 'u2']);
    expect(now(world)).toMatchObject({ status: 'ending', position: 2, members: 2, updated_at: ago(-8 * SECOND) });
  });
  test('when the list alone takes the time, no member is begun', () => {
    const world = worldOf([['u1']]);
    world.takes = { listMembers: 5000 };
    expect(end(world, { deadline: NOW + 6 * SECOND })).toEqual({ is: 'later' });
    expect(ended(world)).toEqual([]);
  });
  test('when a page ends late, its write still has the time of one member', () => {
    const world = worldOf([['u1']]);
    world.takes = { endUserSessions: 7000 };
    expect(end(world, { deadline: NOW + 5 * SECOND })).toEqual({ is: 'done' });
    const tooLate = worldOf([['u1']]);
    tooLate.takes = { endUserSessions: 8000 };
    expect(end(tooLate, { deadline: NOW + 5 * SECOND })).toMatchObject({ is: 'later' });
  });
});
