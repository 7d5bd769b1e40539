// The questions of the command in a terminal, and what the bar shows beside them.
import '../own-modules.ts';
import { expect, test } from 'vitest';
import { at, makePlan, NOBODY, service } from './customers.ts';
import { offboardInTerminal } from './terminal.ts';

test('when the input ends at a question, nothing is done and the exit status is 2', async () => {
  await makePlan('remove');
  const applied = await offboardInTerminal(['apply', at('plan.json')], [[/Type 2 to go on:/, '\u0004']], 120);
  expect(applied.shown).toContain('Nothing was started.');
  expect(applied.status).toBe(2);
  expect(service.deeds()).toEqual([]);
  const done = await offboardInTerminal(['apply', at('plan.json'), '--yes'], [], 120);
  expect(done.status).toBe(0);
  for (const key of ['\u0004', '\u0003']) {
    const cancelled = await offboardInTerminal(['cancel', at('plan.json')], [[/Type cancel to go on:/, key]], 120);
    expect(cancelled.shown).toContain('Nothing was cancelled.');
    expect(cancelled.status).toBe(2);
  }
  expect(service.deeds().length).toBe(1);
});

test('a line that comes right before the end of the bar is shown', async () => {
  await makePlan();
  // Another offboarding of the stage waits, and what is applied is done at the first look.
  const last_error = { code: 'auth0_unavailable', message: 'Auth0 answers 503' };
  service.records.push({
    organization_id: NOBODY,
    status: 'working',
    requested_at: '2026-11-01',
    last_error,
    connections: [],
  });
  const { status, shown } = await offboardInTerminal(['apply', at('plan.json'), '--yes'], [], 120);
  expect(status).toBe(0);
  expect(shown).toContain('It waits: Auth0 answers 503 (auth0_unavailable)');
});

test('after apply, a warning that has become untrue is not repeated', async () => {
  const made = await makePlan();
  expect(made.stdout).toContain('the customer can enable acme-google');
  const { shown } = await offboardInTerminal(['apply', at('plan.json'), '--yes'], [], 120);
  expect(shown).toContain('acme-google (okta): disabled');
  expect(shown).not.toContain('can enable');
});
