// The path from Auth0's streams to the dispatcher: which of the known records and events the rules let through, and that the
// deploy role may make what the path consists of.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { matches } from '../../infra/local/aws/pattern.ts';
import { localTemplate } from '../../infra/local/aws/template.ts';
import { may } from './iam.ts';
import { deployPolicies, PLACE, stage } from './stages.ts';

const FOLDER = new URL('../data/notifications/', import.meta.url);
const recordsOf = (source: string) =>
  readdirSync(new URL(source, FOLDER)).map((file) => ({
    name: file.replace('.json', ''),
    event: JSON.parse(readFileSync(new URL(`${source}/${file}`, FOLDER), 'utf8')),
  }));
const { Resources } = localTemplate();
const taken = (rule: string, source: string) =>
  recordsOf(source)
    .filter(({ event }) => matches(Resources[rule]?.Properties.EventPattern, event))
    .map(({ name }) => name);

describe('a rule', () => {
  test('of the log stream, when the tenant logs a login, does not invoke the function', () => {
    const all = recordsOf('log-stream').map(({ name }) => name);
    expect(taken('LogNotificationRule', 'log-stream')).toEqual(all.filter((name) => name !== 'login'));
  });

  test('of the Event Stream, whatever the envelope, lets every event through', () => {
    expect(taken('NotificationRule', 'event-stream').length).toBe(recordsOf('event-stream').length);
    const [{ event } = { event: {} }] = recordsOf('event-stream');
    expect(matches(Resources.NotificationRule?.Properties.EventPattern, { ...event, source: 'billing' })).toBe(false);
  });
});

test.each([
  ['Auth0EventSource', 'aws.partner/auth0.com/travel0-1/auth0.events'],
  ['Auth0LogSource', 'aws.partner/auth0.com/travel0-1/auth0.logs'],
])('when the stage has %s, the deploy role may make its bus, and none without it', (parameter, source) => {
  const resource = `arn:aws:events:${PLACE.region}:${PLACE.account}:event-bus/${source}`;
  const mayMake = (more: Record<string, string>) =>
    may({ action: 'events:CreateEventBus', resource, context: {} }, { own: deployPolicies(stage('staging', more)) });
  expect([mayMake({ [parameter]: source }), mayMake({})]).toEqual([true, false]);
});
