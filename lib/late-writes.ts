/** Auth0 may still carry out a write for this long after its outcome became unknown, milliseconds: longer than we have seen any answer take. */
export const LATE_MS = 60_000;
