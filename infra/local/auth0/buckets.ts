// The token buckets of the stand-in tenant, as Auth0 documents them ("Rate Limit Configurations").
import { createTokenBucket } from '../token-bucket.ts';

interface BucketSize {
  burst: number;
  perMinute: number;
}

export type BucketKind = 'read' | 'write' | 'grantReads' | 'grantWrites' | 'members' | 'memberships' | 'whole';

/**
 * The documented limits by plan: `read` and `write` of organization connections, `grantReads` and `grantWrites` of an
 * organization's client grants, the `members` of an organization, the `memberships` of a user, and the `whole` API, which every
 * call counts against.
 */
export const PLANS = {
  free: { whole: { burst: 2, perMinute: 120 } },
  professional: {
    read: { burst: 5, perMinute: 50 },
    write: { burst: 5, perMinute: 25 },
    members: { burst: 40, perMinute: 500 },
  },
  enterprise: {
    read: { burst: 10, perMinute: 100 },
    write: { burst: 5, perMinute: 150 },
    grantReads: { burst: 10, perMinute: 100 },
    grantWrites: { burst: 5, perMinute: 150 },
    members: { burst: 40, perMinute: 500 },
    memberships: { burst: 40, perMinute: 500 },
    whole: { burst: 50, perMinute: 960 },
  },
  unlimited: {},
} satisfies Record<string, Partial<Record<BucketKind, BucketSize>>>;
export type Plan = keyof typeof PLANS;

/** Plans that may delete sessions and refresh tokens. */
export const WITH_SESSIONS: Plan[] = ['enterprise', 'unlimited'];

export function createBuckets() {
  let buckets = new Map<string, BucketSize & { bucket: ReturnType<typeof createTokenBucket> }>();
  return {
    /** Full buckets of a plan. */
    fill(plan: Plan) {
      const sizes = Object.entries<BucketSize>(PLANS[plan]);
      const full = ({ burst, perMinute }: BucketSize) => createTokenBucket(burst, perMinute / 60);
      buckets = new Map(sizes.map(([kind, size]) => [kind, { ...size, bucket: full(size) }]));
    },

    /** Takes a token of the buckets that a call counts against; the headers tell of the scarcer one. */
    take(kind: BucketKind): { allowed: boolean; headers: Record<string, string> } {
      const found = [...new Set(['whole', kind])].flatMap((name) => buckets.get(name) ?? []);
      const allowed = found.every(({ bucket }) => bucket.left() >= 1);
      if (allowed) for (const { bucket } of found) bucket.take();
      const scarce = found.sort((a, b) => a.bucket.left() - b.bucket.left())[0];
      if (!scarce) return { allowed, headers: {} };
      const left = scarce.bucket.left();
      const untilNext = (Math.floor(left) + 1 - left) / (scarce.perMinute / 60_000);
      return {
        allowed,
        headers: {
          'x-ratelimit-limit': String(scarce.burst),
          'x-ratelimit-remaining': String(Math.floor(left)),
          'x-ratelimit-reset': String(Math.ceil((Date.now() + untilNext) / 1000)),
        },
      };
    },
  };
}
