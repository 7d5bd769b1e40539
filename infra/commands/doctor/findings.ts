// What the doctor prints: one line a finding, which says what, why it matters and how to get it.
import { plain, reasonOf } from '../offboard/terminal.ts';

type Result = 'ok' | 'missing' | 'unknown';
/** What the stand-ins of `npm start` answer where they do not play an operation: of an account they have little. */
const NOT_PLAYED = /is not played here\.?$/;
const LABELS: Record<Result, string> = { ok: 'ok      ', missing: 'MISSING ', unknown: '?       ' };

/** Findings of one run. `policy` is what whoever runs it attaches to be allowed to look. */
export function createFindings(policy: string) {
  const counts: Record<Result, number> = { ok: 0, missing: 0, unknown: 0 };
  let notPlayed = 0;
  const say = (result: Result, what: string, more = '') => {
    counts[result]++;
    console.log(plain(`${LABELS[result]}${what}${more && `: ${more.replace(/\s+/g, ' ')}`}`));
  };
  const findings = {
    ok: (what: string, more?: string) => say('ok', what, more),
    /** `why` it matters and `how` to get it, each without a full stop. */
    missing: (what: string, why: string, how: string) => say('missing', what, `${why}. ${how}`),
    unknown: (what: string, why: string) => say('unknown', what, why),
    /** A line that counts for nothing. */
    note: (text: string) => console.log(plain(`-       ${text}`)),
    /** What `look` answers. Undefined, and said, where it is not there (`absent` says so) or may not be looked at. */
    async seen<T>(what: string, look: Promise<T>, absent: () => void): Promise<T | undefined> {
      try {
        return await look;
      } catch (error) {
        const { name, message } = error as Error;
        const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
        if (NOT_PLAYED.test(message)) {
          notPlayed++;
          findings.note(`${what}: not played here`);
        } else if (/AccessDenied|NotAuthorized|AuthorizationError|Forbidden/i.test(name) || status === 403)
          findings.unknown(what, `you may not look. Attach the policy ${policy}`);
        else if (/NotFound|NoSuch|NonExistent|ValidationError|DoesNotExist/i.test(name)) absent();
        else findings.unknown(what, `${name}: ${reasonOf(error)}`);
        return undefined;
      }
    },
    /** Prints the sum. True when everything that is there was looked at and nothing is missing. */
    end(): boolean {
      const more = notPlayed > 0 ? `, ${notPlayed} not played here` : '';
      console.log(`${counts.missing} missing, ${counts.unknown} not looked at, ${counts.ok} in order${more}`);
      return counts.missing + counts.unknown === 0;
    },
  };
  return findings;
}

export type Findings = ReturnType<typeof createFindings>;
