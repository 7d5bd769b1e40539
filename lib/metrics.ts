import type { Metrics } from './log.ts';
import type { Calls } from './management-api.ts';

/** What a piece of work had to do with Auth0, as metrics: calls, answers by kind, time spent and what is left of the limit. */
export function auth0Metrics({ statuses, auth0Ms, remaining }: Calls): Metrics {
  const count = (test: (status: number) => boolean): [number, 'Count'] => [statuses.filter(test).length, 'Count'];
  return {
    Auth0Calls: count(() => true),
    Auth0RateLimited: count((status) => status === 429),
    Auth0Refused: count((status) => status === 401 || status === 403),
    Auth0Failed: count((status) => status === 0 || status >= 500),
    ...(statuses.length > 0 && { Auth0Latency: [auth0Ms / statuses.length, 'Milliseconds'] }),
    ...(remaining !== undefined && { RateLimitRemaining: [remaining, 'Count'] }),
  };
}
