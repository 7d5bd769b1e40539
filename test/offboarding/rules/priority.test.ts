import { expect, test } from 'vitest';
import { priorityInBatch, priorityOf } from '../../../lib/offboarding/rules/priority.ts';
import { parameters, request } from '../items.ts';

test('when a batch is urgent, it goes before others; a dry run goes behind all', () => {
  expect(priorityInBatch({ parameters: parameters() })).toBe('batch');
  expect(priorityInBatch({ parameters: parameters(), urgent: true })).toBe('single');
  expect(priorityInBatch({ parameters: parameters({ dry_run: true }), urgent: true })).toBe('watch');
});

test('when a request is no member of a batch, it goes first', () => {
  const batch = { id: 'X', attempt: 1, is_accepted: true };
  expect(priorityOf(request('A', {}, { dry_run: true }))).toBe('single');
  expect(priorityOf(request('A', { batch }))).toBe('batch');
});
