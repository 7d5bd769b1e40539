// What Auth0's log records and events say, in each form that is known: test/data/notifications, a folder for each source.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { notificationIn } from '../../../lib/offboarding/intake/auth0-notification.ts';

const FOLDER = new URL('../../data/notifications/', import.meta.url);
const read = (name: string) => JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER), 'utf8'));

const organization_id = 'org_bCE84ZIRjtX58FeO';
const connection_id = 'con_PmFe8KxCsPJvZRrj';
const logged = { organization_id, connection_id, time: '2026-11-25T09:00:00.123Z', isOfInterest: true };
const streamed = { organization_id, connection_id, time: '2026-11-25T09:00:00.000Z', isOfInterest: true };
const byTerraform = { ...logged, changed_by: 'terraform' };
const byPortal = { ...streamed, changed_by: 'Acme admin portal' };
const byAdministrator = { ...logged, changed_by: 'ann@acme.example' };
const { connection_id: _, ...withoutConnection } = byTerraform;
const { connection_id: __, ...customerWithoutConnection } = byAdministrator;

const KNOWN: Record<string, object | undefined> = {
  'log-stream/sapi-enables': byTerraform,
  'log-stream/sapi-without-method': byTerraform,
  'log-stream/sapi-adds': byTerraform,
  'log-stream/sapi-adds-older-route': byTerraform,
  'log-stream/sapi-adds-client-grant': withoutConnection,
  'log-stream/sapi-from-dashboard': { ...logged, changed_by: 'ada@travel0.example' },
  'log-stream/sapi-disables': { ...byTerraform, isOfInterest: false },
  'log-stream/sapi-body-as-text': { ...byTerraform, isOfInterest: false },
  'log-stream/sapi-removes': { ...byTerraform, isOfInterest: false },
  'log-stream/sapi-of-members': undefined,
  'log-stream/sapi-with-event-in-body': undefined,
  'log-stream/my-organization-api': byAdministrator,
  'log-stream/my-organization-api-without-request': customerWithoutConnection,
  'log-stream/my-organization-api-removes': { ...byAdministrator, isOfInterest: false },
  'log-stream/self-service': logged,
  'log-stream/self-service-without-organization': undefined,
  'log-stream/login': undefined,
  'event-stream/added': streamed,
  'event-stream/updated': streamed,
  'event-stream/updated-with-previous-and-client': byPortal,
  'event-stream/updated-client-without-name': { ...streamed, changed_by: 'Zk3wq8Lm1nOpQrStUvWxYz0123456789' },
  'event-stream/disabled': { ...streamed, isOfInterest: false },
  'event-stream/removed': { ...streamed, isOfInterest: false },
  'event-stream/test': { ...streamed, isOfInterest: false },
  'event-stream/data-as-text': byPortal,
  'event-stream/detail-as-text': streamed,
  'event-stream/in-message': streamed,
  'event-stream/older-type': streamed,
  'event-stream/user-updated': undefined,
};

const files = readdirSync(FOLDER).flatMap((source) =>
  readdirSync(new URL(source, FOLDER)).map((file) => `${source}/${file.replace('.json', '')}`),
);

test.each(files)('when Auth0 sends %s, the service reads exactly what it says', (file) => {
  expect(Object.keys(KNOWN)).toContain(file);
  const { detail } = read(file);
  expect(notificationIn(detail)).toEqual(KNOWN[file]);
});

test('when the record or event comes without its envelope, or in a list or as text, it is found all the same', () => {
  const { detail } = read('event-stream/added');
  for (const value of [detail, [{ a: 1 }, detail], JSON.stringify(detail), { body: JSON.stringify({ event: detail }) }])
    expect(notificationIn(value)).toEqual(streamed);
  expect(notificationIn(read('log-stream/sapi-enables').detail.data)).toEqual(byTerraform);
});

test('when envelopes lie deeper than five, nothing is found', () => {
  const { detail } = read('event-stream/added');
  const nested = (depth: number): unknown => (depth === 0 ? detail : { in: nested(depth - 1) });
  expect(notificationIn(nested(5))).toEqual(streamed);
  expect(notificationIn(nested(6))).toBeUndefined();
});

test.each([undefined, null, 7, 'x', '', {}, [], { type: 7, details: {} }, { type: 'sapi', log_id: 'x' }])(
  'when the value is %j, nothing is found and nothing is thrown',
  (value) => {
    expect(notificationIn(value)).toBeUndefined();
  },
);

test('when an id is none, it becomes part of nothing', () => {
  const event = structuredClone(read('event-stream/added').detail);
  event.data.object.connection.id = 'con_a/../b';
  expect(notificationIn(event)).not.toHaveProperty('connection_id');
  event.data.object.organization.id = 'org_a/../b';
  expect(notificationIn(event)).toBeUndefined();
  const record = structuredClone(read('log-stream/sapi-enables').detail.data);
  record.details.request.path = `/x${record.details.request.path}`;
  expect(notificationIn(record)).toBeUndefined();
});

test('when Auth0 does not say when, or not as a time, the time is unknown', () => {
  const { detail } = read('event-stream/added');
  for (const time of [undefined, null, 17, 'yesterday'])
    expect(notificationIn({ ...detail, time })).toEqual({ ...streamed, time: undefined });
});

test('when a name is long or has control characters, it is cut and has none', () => {
  const { data } = read('log-stream/my-organization-api').detail;
  expect(notificationIn({ ...data, user_name: `\u001b[31mann\u202e${'n'.repeat(500)}` })?.changed_by).toBe(
    `[31mann ${'n'.repeat(120)}`,
  );
  expect(notificationIn({ ...data, user_name: ' ', client_name: '' })?.changed_by).toBe(
    'Zk3wq8Lm1nOpQrStUvWxYz0123456789',
  );
});

describe('what looks like a notification', () => {
  const event = () => structuredClone(read('event-stream/added').detail);
  const record = (changes: object = {}) => ({ ...read('log-stream/sapi-enables').detail.data, ...changes });
  const customer = (changes: object) => ({ ...read('log-stream/self-service').detail.data, ...changes });

  test('when an event of another type names an organization, it is about something else', () => {
    expect(notificationIn({ ...event(), type: 'organization.deleted' })).toBeUndefined();
  });
  test('when an event does not name its version, its type tells what it is', () => {
    for (const name of ['added', 'removed']) {
      const { specversion: _, ...detail } = read(`event-stream/${name}`).detail;
      expect(notificationIn(detail)).toMatchObject({ organization_id, isOfInterest: name === 'added' });
    }
  });
  test('when an envelope has a version, or a type that is no text, the event inside is found', () => {
    expect(notificationIn({ specversion: '1.0', data: event() })).toEqual(streamed);
    expect(notificationIn({ type: 7, details: {}, data: event() })).toEqual(streamed);
    expect(notificationIn({ details: {}, data: event() })).toEqual(streamed);
    expect(notificationIn({ type: 'envelope', data: event() })).toEqual(streamed);
  });
  test('when a record has an id or details, what it says counts, and nothing that somebody wrote into it', () => {
    const { details, log_id, ...rest } = record();
    expect(notificationIn({ ...rest, details })).toEqual(byTerraform);
    expect(notificationIn({ ...rest, log_id, note: event() })).toBeUndefined();
    expect(log_id).toBeDefined();
  });
  test('when a call was not carried out, its record is no notification', () => {
    for (const type of ['fapi', 'sapi_', '']) expect(notificationIn(record({ type }))).toBeUndefined();
  });
  test('when Auth0 does not say who it was, nobody is named', () => {
    expect(notificationIn(event())).not.toHaveProperty('changed_by');
  });
  test('when the time is a number, it is unknown', () => {
    expect(notificationIn({ ...event(), time: 7 })?.time).toBeUndefined();
  });
  test('when a record of a customer’s change names its organization somewhere in it, that is found, at most five deep', () => {
    const nested = (depth: number): object => (depth === 0 ? { organization_id } : { in: nested(depth - 1) });
    const named = (details: unknown) =>
      notificationIn(customer({ organization_id: undefined, details }))?.organization_id;
    expect(named({ other: { a: 1 }, second: { org_id: organization_id } })).toBe(organization_id);
    expect(named({ organization: { id: organization_id } })).toBe(organization_id);
    expect(named(nested(4))).toBe(organization_id);
    expect(named(nested(5))).toBeUndefined();
  });
  test('when a text in such a record names an organization, somebody wrote that', () => {
    const note = JSON.stringify({ organization_id });
    expect(notificationIn(customer({ organization_id: undefined, details: { note } }))).toBeUndefined();
  });
});
