// What an operator does about a failure, by its code.

const ADVICE: Record<string, string> = {
  unknown_organization:
    'the tenant of this stage has no such organization: check the id; if it was deleted, nothing is left to do',
  unknown_connection:
    'the organization never had this connection: check the id (the other connections were carried out); "restore" and "status ORGANIZATION" show the ones that it had',
  rejected_by_auth0: "Auth0 does not take this for the connection's strategy: look at it in the Dashboard",
  forbidden_by_auth0: "the tenant's plan or policy forbids it: Auth0's words say which",
  management_token_scope_missing: 'grant the scope to the application, rotate the token, plan anew',
  management_token_rejected: 'rotate the management token, plan anew',
  management_token_unavailable: 'rotate the management token, plan anew',
  auth0_unavailable: 'Auth0 failed for as long as the stage waits: plan anew when it is well',
  auth0_timeout: 'Auth0 did not answer for as long as the stage waits: plan anew when it is well',
  rate_limited: "the tenant's rate limit was used up for as long as the stage waits: plan anew later",
  end_sessions_not_enabled: 'the stage does not end sessions: plan anew without --end-sessions',
  machine_access_not_enabled: 'the stage does not end machine access: plan anew without --end-machine-access',
  conflict:
    'the organization has too many open requests, or its connections are being removed: look at "status ORGANIZATION"',
  request_too_old: 'the request came too late to be carried out: plan anew',
  enabled_meanwhile: 'somebody enabled it again before the removal was due: find out who, then plan anew',
};

/** A sentence without its full stop; empty where nothing is known. */
export const adviceOf = (code: string | undefined) => (code === undefined ? '' : (ADVICE[code] ?? ''));
