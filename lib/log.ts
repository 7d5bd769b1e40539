import type { Calls } from './management-api.ts';

type Fields = Record<string, unknown>;

/** Units of metrics (CloudWatch embedded metric format); of all others it is `Count`. */
const UNITS: Record<string, string> = {
  Latency: 'Milliseconds',
  Waited: 'Milliseconds',
  Auth0Latency: 'Milliseconds',
  TokenTimeToExpiry: 'Seconds',
};

const LEVELS = ['DEBUG', 'INFO', 'WARN', 'ERROR'] as const;
type Level = (typeof LEVELS)[number];

const FUNCTION_NAME = process.env.AWS_LAMBDA_FUNCTION_NAME ?? 'local';
const THRESHOLD = Math.max(0, LEVELS.indexOf((process.env.LOG_LEVEL ?? 'INFO') as Level));

/** Values that no line may show, whatever an error message quotes; the oldest go first when a rotation brings new ones. */
const hidden: string[] = [];

/** From now on `secret` is blanked out of everything that is logged or shown. */
export function hide(secret: string): void {
  const inJson = JSON.stringify(secret).slice(1, -1);
  if (secret.length >= 8 && !hidden.includes(inJson) && hidden.push(inJson) > 8) hidden.shift();
}

/** `text` without secrets: those known to `hide`, and whatever looks like a JSON Web Token or a private key. */
export function redact(text: string): string {
  return hidden
    .reduce((rest, secret) => rest.replaceAll(secret, '[hidden]'), text)
    .replace(/\beyJ[\w-]{8,}(\.[\w-]*)*/g, '[hidden]')
    .replace(/-----BEGIN [^"]*/g, '[hidden]');
}

/** An error and its causes as plain fields: names and messages, no stack (it may quote source lines), four causes deep at most. */
export function describeError(error: unknown, depth = 4): Fields {
  if (!(error instanceof Error)) return { message: typeof error };
  const { name, message, cause } = error;
  const code = (error as { code?: unknown }).code;
  return {
    name,
    message: redact(message).slice(0, 500),
    ...(typeof code === 'string' && { code }),
    ...(cause !== undefined && depth > 0 && { cause: describeError(cause, depth - 1) }),
  };
}

/**
 * A logger of JSON lines with `context` in each of them. A line is a stable `code`, on which alarms and searches rest, and
 * fields. It is an object of its own for each request, so that concurrent requests share nothing.
 */
export function createLog(context: Fields) {
  const write = (level: Level, code: string, fields: Fields) => {
    if (LEVELS.indexOf(level) < THRESHOLD) return;
    // JSON escapes line breaks in values, so nothing that a caller sends can begin a line of its own.
    const line = { timestamp: new Date().toISOString(), level, code, function: FUNCTION_NAME, ...context, ...fields };
    process.stdout.write(`${redact(JSON.stringify(line))}\n`);
  };
  return {
    debug: (code: string, fields: Fields = {}) => write('DEBUG', code, fields),
    info: (code: string, fields: Fields = {}) => write('INFO', code, fields),
    warn: (code: string, fields: Fields = {}) => write('WARN', code, fields),
    error: (code: string, fields: Fields = {}) => write('ERROR', code, fields),
    /**
     * One line that is a log line and metrics at once (CloudWatch embedded metric format), written at every log level.
     * Dimensions are the function's name, and `dimension` beside it where one is given as `[name, value]`.
     */
    metrics(
      code: string,
      metrics: Record<string, number>,
      fields: Fields = {},
      dimension?: [name: string, value: string],
    ) {
      const Dimensions = dimension ? [['function'], ['function', dimension[0]]] : [['function']];
      const Metrics = Object.keys(metrics).map((Name) => ({ Name, Unit: UNITS[Name] ?? 'Count' }));
      const CloudWatchMetrics = [{ Namespace: 'org-connections', Dimensions, Metrics }];
      const named = dimension && { [dimension[0]]: dimension[1] };
      const _aws = { Timestamp: Date.now(), CloudWatchMetrics };
      write('ERROR', code, { level: 'INFO', ...fields, ...named, ...metrics, _aws });
    },
  };
}

export type Log = ReturnType<typeof createLog>;

let coldStarts = 1;

/** What a piece of work took and had to do with Auth0, as metrics: calls, answers by kind, time spent and what is left of the limit. */
export function workMetrics({ started, statuses, auth0Ms, remaining }: Calls): Record<string, number> {
  const count = (test: (status: number) => boolean) => statuses.filter(test).length;
  const ColdStarts = coldStarts;
  coldStarts = 0;
  return {
    Latency: Date.now() - started,
    ColdStarts,
    Auth0Calls: statuses.length,
    Auth0RateLimited: count((status) => status === 429),
    Auth0Refused: count((status) => status === 401 || status === 403),
    Auth0Failed: count((status) => status === 0 || status >= 500),
    ...(statuses.length > 0 && { Auth0Latency: auth0Ms / statuses.length }),
    ...(remaining !== undefined && { RateLimitRemaining: remaining }),
  };
}
