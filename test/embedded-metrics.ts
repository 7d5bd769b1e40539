// What CloudWatch takes out of a log line, as its specification has it ("Specification: Embedded metric format", CloudWatch user
// guide): strict, so that a line which CloudWatch would pass over in silence throws.

type Json = Record<string, unknown>;
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`Not an embedded metric: ${what}`);
}

function text(value: unknown, longest: number, what: string): string {
  must(typeof value === 'string' && value.trim().length > 0 && value.length <= longest, what);
  must(/^[\x20-\x7e]+$/.test(value), `${what} is ASCII`);
  return value;
}

const UNITS = ['Seconds', 'Milliseconds', 'Count', 'Bytes', 'Percent', 'None'];

/** The line, and each metric with its dimensions and its value; throws when the line is none that CloudWatch takes. */
export function metricsIn(text_: string) {
  const line: unknown = JSON.parse(text_);
  must(isObject(line), 'the root is an object');
  if (!Object.hasOwn(line, '_aws')) return { line, metrics: [] };
  const metadata = line._aws;
  must(isObject(metadata), '_aws is an object');
  must(
    Number.isInteger(metadata.Timestamp) && Math.abs(Number(metadata.Timestamp) - Date.now()) < 7_200_000,
    'Timestamp',
  );
  must(Array.isArray(metadata.CloudWatchMetrics), 'CloudWatchMetrics is an array');
  const metrics = metadata.CloudWatchMetrics.flatMap((directive: unknown) => {
    must(isObject(directive), 'a directive is an object');
    const namespace = text(directive.Namespace, 1024, 'Namespace');
    must(Array.isArray(directive.Dimensions) && directive.Dimensions.length > 0, 'Dimensions');
    must(
      Array.isArray(directive.Metrics) && directive.Metrics.length > 0 && directive.Metrics.length <= 100,
      'Metrics',
    );
    const all = directive.Metrics as unknown[];
    return (directive.Dimensions as unknown[]).flatMap((set) => {
      must(Array.isArray(set) && set.length <= 30, 'a dimension set');
      const dimensions = Object.fromEntries(
        set.map((name: unknown) => [
          text(name, 250, 'a dimension'),
          text(line[name as string], 1024, `the value of ${name}`),
        ]),
      );
      return all.map((metric) => {
        must(isObject(metric), 'a metric is an object');
        const name = text(metric.Name, 1024, 'Name');
        must(metric.Unit === undefined || UNITS.includes(metric.Unit as string), 'Unit');
        const value = line[name];
        must(typeof value === 'number' && Math.abs(value) <= 2 ** 360, `the value of ${name} is a number`);
        return { namespace, name, dimensions, value };
      });
    });
  });
  return { line, metrics };
}
