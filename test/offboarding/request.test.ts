import fc from 'fast-check';
import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { addDuration } from '../../lib/duration.ts';
import { EventParameters } from '../../lib/offboarding/model/request.ts';
import { eventSchemas, isRequested } from '../contract.ts';
import { wordOf } from '../generated-text.ts';

describe('durations', () => {
  test.each([
    ['P30D', '2026-12-24T09:00:00.000Z'],
    ['P1M', '2026-12-24T09:00:00.000Z'],
    ['P1Y', '2027-11-24T09:00:00.000Z'],
    ['P2W', '2026-12-08T09:00:00.000Z'],
    ['PT1M', '2026-11-24T09:01:00.000Z'],
    ['P1DT12H30M15S', '2026-11-25T21:30:15.000Z'],
  ])('when %s is added to a time, calendar days and hours count', (duration, expected) => {
    expect(addDuration(new Date('2026-11-24T09:00:00Z'), duration)?.toISOString()).toBe(expected);
  });

  test("when a month is added to the 31st, the result is the next month's last day", () => {
    expect(addDuration(new Date('2027-01-31T00:00:00Z'), 'P1M')?.toISOString()).toBe('2027-02-28T00:00:00.000Z');
  });

  test.each(['', 'P', 'PT', 'P1', '1D', 'P1H', 'PT1D', 'P-1D', 'p1d', 'P1.5D', 'P1D ', 'P1DT'])(
    'when a duration is written as "%s", it is none',
    (text) => {
      expect(addDuration(new Date(), text)).toBeUndefined();
    },
  );
});

test('when a publisher checks a request by the schema, the worker takes exactly what the schema takes', () => {
  const anything = fc.record(
    {
      organization_id: fc.oneof(
        fc.constant('org_bCE84ZIRjtX58FeO'),
        wordOf(50, '/.%').map((word) => `org_${word}`),
        fc.anything(),
      ),
      action: fc.oneof(fc.constantFrom('disable', 'remove', 'disable_then_remove'), fc.anything()),
      grace_period: fc.constantFrom('P30D', 'PT1H', 'P1Y', 'soon', 7, null),
      connection_ids: fc.oneof(
        fc.array(fc.constantFrom('con_a', 'con_b', '', 'con_/'), { maxLength: 3 }),
        fc.anything(),
      ),
      requested_by: fc.oneof(fc.constant('billing'), fc.anything()),
      reason: fc.oneof(fc.constant('contract ended'), fc.anything()),
      dry_run: fc.oneof(fc.boolean(), fc.anything()),
      correlation_id: fc.anything(),
      more: fc.anything(),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(anything, (detail) => {
      // What both see is JSON; blanks alone are no reason, which JSON Schema has no word for.
      const json = JSON.parse(JSON.stringify(detail));
      for (const name of ['requested_by', 'reason']) if (typeof json[name] === 'string') json[name] = json[name].trim();
      expect(v.is(EventParameters, json)).toBe(isRequested(json));
    }),
    { numRuns: process.env.DEEP ? 50_000 : 1000 },
  );
  const [example] = eventSchemas.get('organization.offboarding.requested')?.examples ?? [];
  expect(v.is(EventParameters, example?.detail)).toBe(true);
});
