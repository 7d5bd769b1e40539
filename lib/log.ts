type Fields = Record<string, unknown>;

/** Units of CloudWatch's embedded metric format. */
export type Metrics = Record<string, [value: number, unit: 'Count' | 'Milliseconds' | 'Seconds']>;

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
  const at = error.stack?.match(/\n\s+at ([^\n]*)/)?.[1];
  return {
    name,
    message: redact(message).slice(0, 500),
    ...(typeof code === 'string' && { code }),
    ...(at && { at }),
    ...(cause !== undefined && depth > 0 && { cause: describeError(cause, depth - 1) }),
  };
}

let cold = true;

/** True the first time it is asked in a process, which is how a cold start is counted. */
export function isColdStart(): boolean {
  const first = cold;
  cold = false;
  return first;
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
    metrics(code: string, metrics: Metrics, fields: Fields = {}, dimension?: [name: string, value: string]) {
      const dimensions = dimension ? [['function'], ['function', dimension[0]]] : [['function']];
      const definitions = Object.entries(metrics).map(([Name, [, Unit]]) => ({ Name, Unit }));
      write('ERROR', code, {
        level: 'INFO',
        ...fields,
        ...(dimension && { [dimension[0]]: dimension[1] }),
        ...Object.fromEntries(Object.entries(metrics).map(([name, [value]]) => [name, value])),
        _aws: {
          Timestamp: Date.now(),
          CloudWatchMetrics: [{ Namespace: 'org-connections', Dimensions: dimensions, Metrics: definitions }],
        },
      });
    },
  };
}

export type Log = ReturnType<typeof createLog>;
