// What an error of Auth0 or the table makes of the ending of sessions.
import { describe, expect, test } from 'vitest';
import { ago, DAY, events, HOUR, NOW, SECOND } from '../offboarding/items.ts';
import { AWAY, REJECTED } from '../offboarding/play.ts';
import { due, end, ended, now, sessions, worldOf } from './members.ts';

describe('a member that Auth0 fails for', () => {
  const UNAVAILABLE = { ...AWAY, code: 'auth0_unavailable' };
  test('when Auth0 refuses it for good, it is counted as failed, and the others go on', () => {
    const world = worldOf([['u1', 'u2']]).fail('endUserSessions', REJECTED);
    expect(end(world)).toEqual({ is: 'done' });
    expect(now(world)).toMatchObject({ status: 'ended', members: 2, failed: 1, revocations_requested: 1 });
    const elsewhere = worldOf([['u1', 'u2']]).fail('isMemberElsewhere', REJECTED);
    expect(end(elsewhere)).toEqual({ is: 'done' });
    expect(ended(elsewhere)).toEqual(['u2']);
    expect(now(elsewhere)).toMatchObject({ failed: 1, revocations_requested: 1 });
  });
  test('when it fails for one and not for the next, that one is counted as failed', () => {
    const world = worldOf([['u1', 'u2', 'u3']])
      .meanwhile('endUserSessions', () => {})
      .fail('endUserSessions', UNAVAILABLE);
    expect(end(world)).toEqual({ is: 'done' });
    expect(now(world)).toMatchObject({ members: 3, failed: 1, revocations_requested: 2 });
    expect(now(world)?.position).toBeUndefined();
  });
  test('when it fails for two in a row, it is not the member, and the first one is tried again later', () => {
    const world = worldOf([['u1', 'u2', 'u3', 'u4']]).meanwhile('endUserSessions', () => {});
    world.fail('endUserSessions', UNAVAILABLE, { times: 2 });
    expect(end(world)).toEqual({ is: 'later', error: UNAVAILABLE });
    expect(ended(world)).toEqual(['u1', 'u2', 'u3']);
    expect(now(world)).toMatchObject({ status: 'ending', position: 1, tries: 1, members: 1 });
  });
  test('when it fails for the last one, that one is tried again later, and after five visits counted as failed', () => {
    const world = worldOf([['u1']]).fail('endUserSessions', UNAVAILABLE);
    expect(end(world)).toEqual({ is: 'later', error: UNAVAILABLE });
    expect(now(world)).toMatchObject({ position: 0, tries: 1, members: 0 });
    const visit = (tries: number, position = 0) => {
      const again = worldOf([['u1']], due({ sessions: sessions({ status: 'ending', position, tries }) }));
      return { again: again.fail('endUserSessions', UNAVAILABLE), result: end(again) };
    };
    const fourth = visit(3);
    expect(fourth.result.is).toBe('later');
    expect(now(fourth.again)?.tries).toBe(4);
    const fifth = visit(4);
    expect(fifth.result).toEqual({ is: 'done' });
    expect(now(fifth.again)).toMatchObject({ status: 'ended', failed: 1, members: 1 });
  });
  test('when another member failed in the last visit, the tries of this one begin anew', () => {
    const before = sessions({ status: 'ending', position: 0, tries: 4 });
    const world = worldOf([['u1', 'u2']], due({ sessions: before })).meanwhile('endUserSessions', () => {});
    world.fail('endUserSessions', UNAVAILABLE);
    expect(end(world).is).toBe('later');
    expect(now(world)).toMatchObject({ position: 1, tries: 1, members: 1 });
  });
  test('when the time is over after a failure, that member is the next one', () => {
    const world = worldOf([['u1', 'u2']]).fail('endUserSessions', UNAVAILABLE);
    world.takes = { endUserSessions: 6000 };
    expect(end(world, { deadline: NOW + 8 * SECOND })).toEqual({ is: 'later' });
    expect(now(world)).toMatchObject({ position: 0, members: 0 });
  });
});

describe('an error that ends the visit', () => {
  const LIMITED = { ...AWAY, code: 'rate_limited', retry_after: 3 };
  test('when Auth0 limits the rate, the place is kept, and it is tried again, however long', () => {
    const before = sessions({ updated_at: ago(30 * DAY) });
    const world = worldOf([['u1', 'u2']], due({ sessions: before })).meanwhile('endUserSessions', () => {});
    world.fail('endUserSessions', LIMITED);
    expect(end(world)).toEqual({ is: 'later', error: LIMITED });
    expect(now(world)).toMatchObject({ status: 'ending', position: 1, members: 1 });
    expect(now(world)?.tries).toBeUndefined();
  });
  test.each(['forbidden_by_auth0', 'management_token_scope_missing'])(
    'when Auth0 answers %s, that is refused',
    (code) => {
      const refusal = {
        ...REJECTED,
        code,
        message: 'No',
        upstream: { status: 403, error_code: 'feature', message: null },
      };
      for (const effect of ['listMembers', 'endUserSessions', 'isMemberElsewhere'] as const) {
        const world = worldOf([['u1']]).fail(effect, refusal);
        expect(end(world)).toEqual({ is: 'done' });
        expect(now(world)).toMatchObject({
          status: 'refused',
          error: { code: 'end_sessions_refused', message: 'No (feature)' },
        });
        expect(events(world.item)).toEqual(['sessions_ended A']);
      }
      const { upstream: _, ...without } = refusal;
      const world = worldOf([['u1']]).fail('listMembers', without);
      end(world);
      expect(now(world)?.error?.message).toBe(`No (${code})`);
    },
  );
  test('when it is temporary, only its age ends it, counted from the last page that was done', () => {
    const after = (ms: number, error = AWAY) => {
      const world = worldOf([['u1']], due({ sessions: sessions({ updated_at: ago(ms) }) })).fail('listMembers', error);
      return { result: end(world), world };
    };
    expect(after(7 * DAY).result).toEqual({ is: 'later', error: AWAY });
    const old = after(7 * DAY + 1);
    expect(old.result).toEqual({ is: 'done' });
    expect(now(old.world)).toMatchObject({ status: 'failed', error: { code: 'away', message: 'Away' } });
    expect(events(old.world.item)).toEqual(['sessions_ended A']);
    expect(after(7 * DAY + 1, LIMITED).result).toEqual({ is: 'later', error: LIMITED });
  });
  test('when it has only just begun, that is progress, from which the age counts', () => {
    const world = worldOf([['u1']]).fail('endUserSessions', LIMITED);
    end(world);
    expect(now(world)).toMatchObject({ status: 'ending', members: 0, updated_at: ago(0) });
  });
  test('when nothing was done, the time of the last page stays, from which the age counts', () => {
    const world = worldOf([['u1']], due({ sessions: sessions({ status: 'ending' }) })).fail('listMembers', AWAY);
    end(world);
    expect(now(world)?.updated_at).toBe(ago(HOUR));
  });
  test('when the list is refused for good, it failed', () => {
    const world = worldOf([['u1']]).fail('listMembers', REJECTED);
    expect(end(world)).toEqual({ is: 'done' });
    expect(now(world)).toMatchObject({ status: 'failed', error: { code: 'rejected', message: 'Rejected' } });
  });
  test('when the table does not answer, it is for another delivery', () => {
    expect(end(worldOf([['u1']]).fail('readOrganization', AWAY))).toEqual({ is: 'later', error: AWAY });
    const world = worldOf([['u1']]).fail('writeOrganization', REJECTED);
    expect(end(world)).toEqual({ is: 'later', error: REJECTED });
    expect(world.all('sendDue')).toEqual([]);
  });
});
