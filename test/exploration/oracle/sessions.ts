import type { Check } from './check.ts';
import { canHaveFailed } from './faults.ts';
import { isCovered } from './standing.ts';

/** Where it was asked for and nobody cancelled it, each member's sessions are ended, or it is said why not. */
export const sessionsAreEnded: Check = (world, scenario) => {
  const mayFail = canHaveFailed(world, scenario);
  for (const [id, { endsSessions, isDryRun }] of Object.entries(world.story.accepted)) {
    const { status = '', sessions } = world.records[id] ?? {};
    if (!endsSessions || isCovered(world.story, id) || !['completed', 'scheduled'].includes(status)) continue;
    if (!sessions || ['due', 'ending'].includes(sessions.status))
      return `The sessions of ${id} are ${sessions?.status} for ever`;
    if (!world.story.events.some(({ event, id: about }) => event === 'sessions_ended' && about === id))
      return `Nobody is told that the sessions of ${id} have ended`;
    if (sessions.status !== 'ended' && (mayFail || world.isSessionsOff)) continue;
    const isEnded = (member: string) =>
      isDryRun || world.story.ended.includes(member) || /^(stubborn|elsewhere)/.test(member);
    const left = world.members.find((member) => !isEnded(member));
    if (left && !mayFail) return `${left} keeps its sessions`;
    const { revocations_requested, skipped, failed } = sessions;
    const others = world.members.filter((member) => member.startsWith('elsewhere')).length;
    if (revocations_requested + skipped + failed !== sessions.members || (skipped !== others && !mayFail))
      return `Of ${sessions.members} members ${revocations_requested}, ${skipped} and ${failed} are told`;
    const stubborn = isDryRun ? 0 : world.members.filter((member) => member.startsWith('stubborn')).length;
    if (failed !== stubborn && !mayFail) return `${failed} of the members are told as failed`;
    if (sessions.members !== world.members.length)
      return `Of ${world.members.length} members ${sessions.members} are counted`;
  }
  return undefined;
};
