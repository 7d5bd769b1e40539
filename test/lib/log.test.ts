import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createLog, describeError, redact, registerSecret } from '../../lib/log.ts';
import { metricsIn } from '../embedded-metrics.ts';
import { anyText } from '../generated-text.ts';

describe('secrets', () => {
  test('when text has a registered secret, a token or a private key in it, the log hides it', () => {
    registerSecret('canary-secret-value');
    expect(redact('x canary-secret-value y')).toBe('x [hidden] y');
    expect(redact('Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl!')).toBe('Bearer [hidden]!');
    expect(redact('{"k":"-----BEGIN PRIVATE KEY-----\\nMIIE\\n-----END PRIVATE KEY-----"}')).toBe('{"k":"[hidden]"}');
    expect(redact('a -----BEGIN PRIVATE KEY-----\nMIIE')).toBe('a [hidden]');
  });

  test.each([
    ['in a header', 'Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln', 'Bearer [hidden]'],
    ['that was cut off', 'token=eyJhbGciOiJIUzI1NiJ9.eyJzd', 'token=[hidden]'],
    ['in JSON of JSON', '\\neyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln\\"', '\\n[hidden]\\"'],
    ['in an escaped quote', '\\u0022eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln', '\\u0022[hidden]'],
    ['in a URL', 'Bearer%20eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln&x', 'Bearer%20[hidden]&x'],
    ['of five parts', '"eyJlbmMiOiJB.MjU2R0NNIiwi.YWxnIjoi.Uk.0EifQ"', '"[hidden]"'],
    ['behind an underscore', 'token_eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln', 'token_[hidden]'],
    ['after a dot', 'a.eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln', 'a.[hidden]'],
  ])('a token %s is hidden', (_where, text, hidden) => {
    expect(redact(text)).toBe(hidden);
  });

  test('when a long text has much that begins like a token, it takes no time', () => {
    const started = Date.now();
    for (const text of ['-eyJhbGciOiJI', 'eyJhbGciOiJI.', 'eyJ']) redact(text.repeat(100_000));
    expect(Date.now() - started).toBeLessThan(2000);
  });

  test.each([
    ['an id', 'org_Q7eyJhbGciOiJI9z'],
    ['an id that begins so', 'con_eyJPmFe8KxCsPJvZ'],
    ['an id at the end of a sentence', 'no org_eyJhbGciOiJIUzI1NiJ9. Try again'],
    ['an id before a dot', 'org_eyJhbGciOiJIUzI1NiJ9.json'],
    ['a path', '/organizations/org_eyJhbGciOiJIUzI1/connections/con_eyJPmFe8KxCsPJvZ'],
    ['a name', 'KeyJournal2026.example.com'],
  ])('%s with eyJ in it is not taken for a token', (_what, text) => {
    expect(redact(text)).toBe(text);
  });

  test.each([
    ['as it is', (secret: string) => secret],
    ['as JSON', (secret: string) => JSON.stringify(secret)],
    ['as JSON in JSON', (secret: string) => JSON.stringify(JSON.stringify(secret))],
    ['with its slashes escaped', (secret: string) => JSON.stringify(secret).replaceAll('/', '\\/')],
    ['with other line ends', (secret: string) => secret.replaceAll('\n', '\r\n')],
    ['in one line', (secret: string) => secret.replaceAll('\n', ' ')],
  ])('when a secret with quotes, signs and line ends is logged %s, it is hidden', (_how, form) => {
    registerSecret('first "line" of $it\\here/\nsecond+line(of)it');
    const found = redact(form('first "line" of $it\\here/\nsecond+line(of)it'));
    expect(found).not.toMatch(/first|line|here|second/);
    expect(found).toContain('[hidden]');
  });

  test('when a registered value is too short to be a secret, the log stays readable', () => {
    registerSecret('');
    registerSecret('a');
    expect(redact('a banana')).toBe('a banana');
  });
});

describe('errors', () => {
  test('when an error is logged, the log has its names and messages, causes included, and nothing else', () => {
    const cause = Object.assign(new Error('refused eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln'), {
      code: 'ECONNREFUSED',
      config: { token: 'x' },
    });
    const described = describeError(new TypeError('outer', { cause }));
    expect(described).toMatchObject({
      name: 'TypeError',
      message: 'outer',
      cause: { message: 'refused [hidden]', code: 'ECONNREFUSED' },
    });
    expect(JSON.stringify(described)).not.toContain('config');
    expect(describeError('text that may be a secret')).toEqual({ message: 'string' });
  });

  test('when a chain of causes has no end, it is cut', () => {
    const loop = new Error('loop');
    loop.cause = loop;
    expect(JSON.stringify(describeError(loop)).length).toBeLessThan(3000);
  });
});

describe('lines', () => {
  let lines: string[];
  beforeEach(() => {
    lines = [];
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => lines.push(String(text)) > 0);
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });
  const last = () => {
    const text = lines.at(-1) ?? '';
    expect(text.endsWith('\n')).toBe(true);
    expect(text.slice(0, -1)).not.toMatch(/[\r\n]/);
    // CloudWatch Logs cuts what is longer than 256 KB in two, and neither half is JSON.
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(250_000);
    return text;
  };

  const SHORT = fc.oneof(
    anyText(300),
    fc.constantFrom(
      '-----BEGIN "',
      '"}\n{"code":"forged","_aws":{}}',
      '\\',
      'eyJhbGciOiJIUzI1NiJ9".',
      '\u2028\u0000\ud800',
      'canary-"secret"-value',
    ),
    fc.string({ maxLength: 50 }).map((text) => `-----BEGIN ${text}`),
  );
  const HOSTILE = fc.oneof(
    { weight: 9, arbitrary: SHORT },
    fc.integer({ min: 0, max: 400_000 }).map((length) => '"'.repeat(length)),
  );
  const ITEMS = Array.from({ length: 30_000 }, (_, index) => `item ${index}`);
  const NUMBERS = [...ITEMS.keys()];
  const anyValue = fc.oneof(
    HOSTILE,
    fc.object({
      key: SHORT,
      values: [HOSTILE, fc.integer(), fc.constant(null), fc.date({ noInvalidDate: false }), fc.bigInt()],
    }),
    fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true, withSparseArray: true }),
    fc.integer({ min: 0, max: ITEMS.length }).map((length) => ITEMS.slice(0, length)),
    fc.integer({ min: 0, max: NUMBERS.length }).map((length) => NUMBERS.slice(0, length)),
  );
  const anyFields = fc.dictionary(
    fc.oneof(
      fc.string({ maxLength: 10 }),
      fc.constantFrom('_aws', 'level', 'code', 'function', 'outcome', 'Offboardings', '__proto__', 'toJSON'),
    ),
    anyValue,
    { maxKeys: 6 },
  );

  test('when a caller sends anything at all, a line with metrics has them, and no secret', () => {
    registerSecret('canary-"secret"-value');
    fc.assert(
      fc.property(
        anyFields,
        anyFields,
        HOSTILE,
        fc.double({ min: 0, max: 1e12, noNaN: true }),
        (context, fields, value, number) => {
          createLog(context).metrics(
            'offboarding_failed',
            { Offboardings: 1, Other: number },
            fields,
            ['outcome', value],
            'ERROR',
          );
          const text = last();
          const { line, metrics } = metricsIn(text);
          expect(line).toMatchObject({ level: 'ERROR', code: 'offboarding_failed', function: 'local' });
          expect(metrics.map(({ name, dimensions }) => [name, Object.keys(dimensions)])).toEqual([
            ['Offboardings', ['outcome']],
            ['Other', ['outcome']],
          ]);
          expect(metrics[0]?.value).toBe(1);
          expect(text).not.toMatch(/canary-\\*"secret/);
        },
      ),
      { numRuns: process.env.DEEP ? 5000 : 100 },
    );
  });

  test("a metric stands beside its function's name, but for an outcome, which one alarm covers for every function", () => {
    const dimensionsOf = (...dimension: [] | [string, string]) => {
      createLog({}).metrics('x', { Offboardings: 1 }, {}, dimension.length ? dimension : undefined);
      return metricsIn(last()).metrics.map(({ dimensions }) => dimensions);
    };
    expect(dimensionsOf()).toEqual([{ function: 'local' }]);
    expect(dimensionsOf('pair', 'session')).toEqual([{ function: 'local', pair: 'session' }]);
    expect(dimensionsOf('outcome', 'failed')).toEqual([{ outcome: 'failed' }]);
  });

  test('when a field is called as metrics are, a line without metrics has none', () => {
    fc.assert(
      fc.property(anyFields, anyFields, (context, fields) => {
        createLog(context).info('offboarding_requested', fields);
        expect(JSON.parse(last())).toMatchObject({ level: 'INFO', code: 'offboarding_requested', function: 'local' });
        expect(metricsIn(last()).metrics).toEqual([]);
      }),
      { numRuns: process.env.DEEP ? 5000 : 100 },
    );
  });

  test('when a line has room for a field, the field is there as it was', () => {
    const detail = {
      organization_id: 'org_a',
      connections: [{ error: null, before: { show_as_button: true } }],
      n: 1.5,
    };
    createLog({ request_id: 'r', correlation_id: undefined }).warn('x', { detail, reason: 'Vertrag “beendet”\n' });
    expect(JSON.parse(last())).toMatchObject({ level: 'WARN', request_id: 'r', detail, reason: 'Vertrag “beendet”\n' });
    expect(last()).not.toContain('correlation_id');
  });
});
