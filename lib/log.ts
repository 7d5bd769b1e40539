type Fields = Record<string, unknown>;
type Metrics = Record<string, number>;
type Dimension = [name: string, value: string];

/** Dimensions that stand alone: one alarm covers what every function reports of them. All others stand beside the function's name. */
const OF_EVERY_FUNCTION = ['outcome'];

/** Units of metrics (CloudWatch embedded metric format); of all others it is `Count`. */
const UNITS: Record<string, string> = { TokenTimeToExpiry: 'Seconds', OldestOverdue: 'Seconds' };

const LEVELS = ['DEBUG', 'INFO', 'WARN', 'ERROR'] as const;
type Level = (typeof LEVELS)[number];

const FUNCTION_NAME = process.env.AWS_LAMBDA_FUNCTION_NAME ?? 'local';
const THRESHOLD = Math.max(0, LEVELS.indexOf((process.env.LOG_LEVEL ?? 'INFO') as Level));

/** What CloudWatch Logs takes of a line (256 KB), less what every line has; of which the context has its own share. */
const LINE_BYTES = 200_000;
const CONTEXT_BYTES = 20_000;
/** Longer text is cut. */
const TEXT_LENGTH = 10_000;
const DEEPEST = 12;
/** What a member takes beside its text, about: quotes, colon, comma, braces, a number. */
const MEMBER_BYTES = 30;

/** Secrets that no line may show, whatever an error message quotes; the oldest goes first when a rotation brings new ones. */
const secrets: { value: string; pattern: RegExp }[] = [];
const MAX_SECRETS = 8;
/** What is shorter is no secret: it would blank out the log. */
const SHORTEST_SECRET = 8;

/**
 * From now on `value` is blanked out of everything that is logged or shown: as it is, and as JSON has it, however often it was
 * made JSON of. Of a secret of several lines each line is one, whatever stands between them.
 */
export function registerSecret(value: string): void {
  if (value.length < SHORTEST_SECRET || secrets.some((known) => known.value === value)) return;
  const lines = value.split(/(?:\\+[rn]|[\r\n])+/).filter((line) => line.length >= SHORTEST_SECRET);
  const patterns = (lines.length > 0 ? lines : [value]).map((line) =>
    line.replace(/\\+|[^A-Za-z0-9]/g, (sign) => (sign.startsWith('\\') ? '\\\\+' : `\\\\*\\${sign}`)),
  );
  if (secrets.push({ value, pattern: new RegExp(patterns.join('|'), 'g') }) > MAX_SECRETS) secrets.shift();
}

/**
 * What begins as a JSON Web Token does: a word of its own (whatever JSON or a URL has made of the sign before it). It is one with a dot
 * and more after it. `eyJ` alone is no sign of one: an id may have it, and without its id a line is lost. The dot is looked for
 * afterwards, so that no text takes long.
 */
const MAYBE_TOKEN =
  /(?<=^|[^A-Za-z0-9]|\\[bfnrt]|\\u[\dA-Fa-f]{4}|%[\dA-Fa-f]{2})(?<!\b(?:org|con)_)eyJ[\w-]{8,}(\.[\w-]*)*/g;

/** `text` without secrets: those that were registered, and whatever looks like a JSON Web Token or a private key. */
export function redact(text: string): string {
  return secrets
    .reduce((rest, { pattern }) => rest.replace(pattern, '[hidden]'), text)
    .replace(MAYBE_TOKEN, (word) => (/\.[\w-]/.test(word) ? '[hidden]' : word))
    .replace(/-----BEGIN [\s\S]*?(-----END [A-Z ]*-----|$)/g, '[hidden]');
}

/** An error and its causes as plain fields: names and messages, no stack (it may quote source lines), four causes deep at most. */
export function describeError(error: unknown, depth = 4): Fields {
  if (!(error instanceof Error)) return { message: typeof error };
  const { name, message, cause, code }: Error & { code?: unknown } = error;
  return {
    name,
    message: redact(message).slice(0, 500),
    ...(typeof code === 'string' && { code }),
    ...(cause !== undefined && depth > 0 && { cause: describeError(cause, depth - 1) }),
  };
}

/**
 * `value` as a line may show it: what JSON can hold, without secrets in values and in names, as much of it as there is `room`
 * for. Secrets go before there is JSON: what is cut out of a value cannot break the line.
 */
function toLoggable(value: unknown, room: { bytes: number }, depth = 0): unknown {
  room.bytes -= MEMBER_BYTES;
  if (typeof value === 'string') {
    const text = redact(value).toWellFormed();
    const cut = text.length > TEXT_LENGTH ? `${text.slice(0, TEXT_LENGTH)}…` : text;
    room.bytes -= Buffer.byteLength(JSON.stringify(cut));
    return room.bytes > 0 ? cut : '…';
  }
  if (typeof value === 'bigint' || value instanceof Date) return String(value);
  if (value instanceof Error) return describeError(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= DEEPEST) return '…';
  if (Array.isArray(value)) return value.flatMap((item) => (room.bytes > 0 ? [toLoggable(item, room, depth + 1)] : []));
  const members = Object.entries(value).flatMap(([name, member]) =>
    member !== undefined && room.bytes > 0 ? [[toLoggable(name, room), toLoggable(member, room, depth + 1)]] : [],
  );
  return Object.fromEntries(members);
}

/** A dimension's value as CloudWatch takes it ("Dimension", CloudWatch API reference): ASCII, not blank, at most 1,024 characters. */
const dimensionValue = (value: string) =>
  redact(value)
    .replace(/[^\x20-\x7e]/g, '?')
    .trim()
    .slice(0, 1024) || 'none';

/**
 * A logger of JSON lines with `context` in each of them. A line is a stable `code`, on which alarms and searches rest, and
 * fields. It is an object of its own for each request, so that concurrent requests share nothing. Whatever stands in a field,
 * the line is one of JSON (which escapes line ends) that CloudWatch takes whole.
 */
export function createLog(context: Fields) {
  const common = toLoggable(context, { bytes: CONTEXT_BYTES }) as Fields;
  const write = (level: Level, code: string, fields: Fields, embedded: Fields = { _aws: undefined }) => {
    const own = { timestamp: new Date().toISOString(), level, code, function: FUNCTION_NAME };
    // Named twice: they stand first, and nothing in a field takes their place.
    const line = { ...own, ...common, ...(toLoggable(fields, { bytes: LINE_BYTES }) as Fields), ...own, ...embedded };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  };
  const log = (level: Level, code: string, fields: Fields = {}) => {
    if (LEVELS.indexOf(level) >= THRESHOLD) write(level, code, fields);
  };
  return {
    debug: log.bind(undefined, 'DEBUG'),
    info: log.bind(undefined, 'INFO'),
    warn: log.bind(undefined, 'WARN'),
    error: log.bind(undefined, 'ERROR'),
    /**
     * One line that is a log line and metrics at once (CloudWatch embedded metric format), written whatever the function's log
     * level is; `level` is the line's own. Each metric has one set of dimensions: the function's name, and `dimension` beside it
     * where one is given as `[name, value]`. The dimension `outcome` stands alone.
     */
    metrics(code: string, metrics: Metrics, fields: Fields = {}, dimension?: Dimension, level: Level = 'INFO') {
      const Metrics = Object.keys(metrics).map((Name) => ({ Name, Unit: UNITS[Name] ?? 'Count' }));
      const named = dimension && { [dimension[0]]: dimensionValue(dimension[1]) };
      const names = Object.keys({ ...named });
      const Dimensions = [names.some((name) => OF_EVERY_FUNCTION.includes(name)) ? names : ['function', ...names]];
      const CloudWatchMetrics = [{ Namespace: 'org-connections', Dimensions, Metrics }];
      // Of a line without metrics CloudWatch is not to look for any.
      const _aws = Metrics.length > 0 ? { Timestamp: Date.now(), CloudWatchMetrics } : undefined;
      write(level, code, fields, { ...named, ...metrics, _aws });
    },
  };
}

export type Log = ReturnType<typeof createLog>;
