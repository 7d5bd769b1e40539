import * as v from 'valibot';

/** What a caller names a request by: visible ASCII, so that it fits a header and a log line. */
export const CorrelationId = v.pipe(v.string(), v.regex(/^[\x21-\x7e]{1,128}$/));
