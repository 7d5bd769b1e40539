// The token buckets of the stand-in tenant, as Auth0 documents them ("Rate Limit Configurations").

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
  let buckets = new Map<string, { size: BucketSize; tokens: number; at: number }>();
  return {
    /** Full buckets of a plan. */
    fill(plan: Plan) {
      const sizes = Object.entries<BucketSize>(PLANS[plan]);
      buckets = new Map(sizes.map(([kind, size]) => [kind, { size, tokens: size.burst, at: Date.now() }]));
    },

    /** Takes a token of the buckets that a call counts against; the headers tell of the scarcer one. */
    take(kind: BucketKind): { allowed: boolean; headers: Record<string, string> } {
      const found = [...new Set(['whole', kind])].flatMap((name) => buckets.get(name) ?? []);
      for (const bucket of found) {
        const perMs = bucket.size.perMinute / 60_000;
        bucket.tokens = Math.min(bucket.size.burst, bucket.tokens + (Date.now() - bucket.at) * perMs);
        bucket.at = Date.now();
      }
      const allowed = found.every((bucket) => bucket.tokens >= 1);
      if (allowed) for (const bucket of found) bucket.tokens -= 1;
      const scarce = found.sort((a, b) => a.tokens - b.tokens)[0];
      if (!scarce) return { allowed, headers: {} };
      const untilNext = (Math.floor(scarce.tokens) + 1 - scarce.tokens) / (scarce.size.perMinute / 60_000);
      return {
        allowed,
        headers: {
          'x-ratelimit-limit': String(scarce.size.burst),
          'x-ratelimit-remaining': String(Math.floor(scarce.tokens)),
          'x-ratelimit-reset': String(Math.ceil((Date.now() + untilNext) / 1000)),
        },
      };
    },
  };
}
