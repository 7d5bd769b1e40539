import type { Effect, SingleEffect } from '../../lib/offboarding/model/effects.ts';

/** What an effect asks for at `at` (Unix ms), in a few words: of what it is about as much as a reader of a path asks. */
export function labelOf(effect: Effect, at: number): string {
  if (effect.do === 'all') return effect.effects.map((one) => labelOf(one, at)).join(' and ');
  const about = aboutOf(effect, at);
  return about ? `${effect.do} ${about}` : effect.do;
}

function aboutOf(effect: SingleEffect, at: number): string {
  switch (effect.do) {
    case 'change':
      return [effect.goal, effect.id, effect.level].filter(Boolean).join(' ');
    case 'pause':
      return `${effect.ms} ms`;
    case 'scheduleRemoval':
      return Date.parse(effect.at) > at ? '' : 'too late';
    case 'sendDeadLetter':
      return `${effect.body.id} of ${effect.body.account} for ${effect.reason}`;
    case 'sendDue':
      return effect.notices.map(({ priority }) => priority).join(' ');
    case 'writeRecord':
      return `${effect.record.offboarding_id} ${effect.record.status}`;
    case 'writeBatch':
      return effect.batch.status;
    case 'endUserSessions':
      return effect.user_id;
    default:
      return '';
  }
}
