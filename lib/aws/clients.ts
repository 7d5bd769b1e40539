/** As many calls as this may be under way through one client of an AWS service: whoever makes many at once keeps to it. */
export const CALLS_AT_ONCE = 50;

/**
 * A client counts the wait for one of its sockets as connecting, so a call that finds none free fails although the service is well.
 * There are more than `CALLS_AT_ONCE`: a socket is free again some time after its call has ended.
 */
const agent = { maxSockets: 2 * CALLS_AT_ONCE };

const isTrue = (name: string) => process.env[name]?.toLowerCase() === 'true';

/**
 * Settings of each client of an AWS service. Each call is small: one that takes seconds is lost and better made again. `requestTimeout`
 * (milliseconds) ends with the response's headers, only `socketTimeout` sees a body that stalls. What the SDK would look for in the
 * environment and in files, at the first call of each client, is said here: Lambda has no such files.
 */
export const AWS_CLIENT = {
  maxAttempts: 3,
  retryMode: 'standard',
  defaultsMode: 'legacy',
  ...(process.env.AWS_REGION && { region: process.env.AWS_REGION }),
  useFipsEndpoint: isTrue('AWS_USE_FIPS_ENDPOINT'),
  useDualstackEndpoint: isTrue('AWS_USE_DUALSTACK_ENDPOINT'),
  // One pipeline a kind of call, and not one a call.
  cacheMiddleware: true,
  requestHandler: {
    connectionTimeout: 1000,
    requestTimeout: 3000,
    socketTimeout: 3000,
    throwOnRequestTimeout: true,
    httpAgent: agent,
    httpsAgent: agent,
  },
} as const;
