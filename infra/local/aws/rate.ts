// Rate expressions of EventBridge's rules and of Scheduler.
const UNITS = { minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const;

/** The milliseconds of `rate(5 minutes)`; undefined where the expression is no rate. */
export function millisecondsOf(expression: string): number | undefined {
  const [, count, unit] = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(expression) ?? [];
  return count && unit ? Number(count) * UNITS[unit as keyof typeof UNITS] : undefined;
}
