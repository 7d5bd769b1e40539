// What Auth0 says of a change that concerns an organization: log records of the tenant's log stream, and events of its Event
// Streams, in whatever envelope they arrive. A notification is a reason to check an organization. It is never the truth.
import * as v from 'valibot';
import { ConnectionId, OrganizationId } from '../../ids.ts';
import { parseJson } from '../../json.ts';

export interface Notification {
  organization_id: string;
  connection_id?: string;
  /** When the change happened, as Auth0 writes it (ISO 8601); undefined where Auth0 does not say. */
  time: string | undefined;
  /** False where nothing can have become enabled: a test, a removal, a call that disables. */
  isOfInterest: boolean;
  /** The administrator or the client that made the change, at most 128 characters. */
  changed_by?: string;
}

type Json = Record<string, unknown>;

/** Auth0 does not document how an event of an Event Stream lies in EventBridge's envelope. */
const DEEPEST_ENVELOPE = 5;
const LONGEST_NAME = 128;

/** Event Streams (Auth0 docs, "Event Types", and the types of Auth0's SDK 7.1). */
const ADDED_OR_UPDATED = ['organization.connection.added', 'organization.connection.updated'];
const REMOVED = 'organization.connection.removed';
/** Older events carry this before their type. */
const OLDER_PREFIX = /^com\.auth0\./;

/** A successful write of the Management API (Auth0 docs, "Log Event Type Codes"). */
const MANAGEMENT_API_WRITE = 'sapi';
/** A customer's administrator changed a connection with the My Organization API; a self-service set-up of a connection succeeded. */
const CUSTOMER_CHANGES = ['my_organization_api_idp_succeeded', 'ss_sso_success'];
const PATH = /^\/api\/v2\/organizations\/(org_\w+)\/(?:(?:enabled_)?connections|client-grants)(?:\/|$)/;
const CONNECTION_IN_PATH = /\/(con_[A-Za-z0-9]+)(?:\/|$)/;
const ENABLING_METHOD = /^(post|patch|put)$/i;

/**
 * The notification in `value`: a log record or an event of an Event Stream, at most five envelopes deep; also where it lies in
 * a list, or as JSON text. Undefined where there is none, or where Auth0 names no organization.
 */
export function notificationIn(value: unknown, depth = DEEPEST_ENVELOPE): Notification | undefined {
  const found = typeof value === 'string' ? parseJson(value) : value;
  if (typeof found !== 'object' || found === null) return undefined;
  // Whoever made the change wrote parts of a record: what looks like a notification in there is not Auth0's.
  if (isStreamEvent(found)) return ofStreamEvent(found);
  if (isLogRecord(found)) return ofLogRecord(found);
  if (depth === 0) return undefined;
  for (const member of Object.values(found)) {
    const inside = notificationIn(member, depth - 1);
    if (inside) return inside;
  }
  return undefined;
}

const eventTypeOf = ({ type }: Json) => (typeof type === 'string' ? type.replace(OLDER_PREFIX, '') : '');
const isStreamEvent = (value: object): value is Json => {
  const type = eventTypeOf(value as Json);
  return type !== '' && ('specversion' in value || type === REMOVED || ADDED_OR_UPDATED.includes(type));
};
const isLogRecord = (value: object): value is Json =>
  'type' in value && typeof value.type === 'string' && ('details' in value || 'log_id' in value);

function ofStreamEvent(event: Json): Notification | undefined {
  const type = eventTypeOf(event);
  if (type !== REMOVED && !ADDED_OR_UPDATED.includes(type)) return undefined;
  const { object, context } = members(event.data);
  const { organization, connection, is_enabled } = members(object);
  const { name, id } = members(members(context).client);
  return notification({
    organization: members(organization).id,
    connection: members(connection).id,
    time: event.time,
    isOfInterest: type !== REMOVED && event.a0purpose !== 'test' && is_enabled !== false,
    changedBy: [name, id],
  });
}

function ofLogRecord(record: Json): Notification | undefined {
  const { type, date, details, user_name, client_name, client_id } = record;
  const { method, path, body, auth } = members(members(details).request);
  const inPath = PATH.exec(String(path))?.[1];
  const isCustomerChange = CUSTOMER_CHANGES.includes(String(type));
  if (type !== MANAGEMENT_API_WRITE && !isCustomerChange) return undefined;
  const { is_enabled, connection_id } = members(body);
  const { email, name } = members(members(auth).user);
  return notification({
    organization: inPath ?? (isCustomerChange ? organizationNamedIn(record) : undefined),
    connection: CONNECTION_IN_PATH.exec(String(path))?.[1] ?? connection_id,
    time: date,
    // A record need not have a method.
    isOfInterest: (method === undefined || ENABLING_METHOD.test(String(method))) && is_enabled !== false,
    changedBy: [user_name, email, name, client_name, client_id],
  });
}

/** The organization that a record names, in itself or in its details; Auth0 does not document where these records name it. */
function organizationNamedIn(value: unknown, depth = DEEPEST_ENVELOPE): unknown {
  const record = members(value);
  const named = [record.organization_id, record.org_id, members(record.organization).id];
  const own = named.find((id) => v.is(OrganizationId, id));
  if (own !== undefined || depth === 0) return own;
  const inside = Object.values(record).filter((member) => typeof member === 'object');
  return inside.map((member) => organizationNamedIn(member, depth - 1)).find((id) => id !== undefined);
}

interface Found {
  organization: unknown;
  connection: unknown;
  time: unknown;
  isOfInterest: boolean;
  /** Whom the change may be by, the one to show first. */
  changedBy: unknown[];
}

function notification({ organization, connection, time, isOfInterest, changedBy }: Found): Notification | undefined {
  if (!v.is(OrganizationId, organization)) return undefined;
  const changed_by = changedBy.map(nameOf).find((name) => name !== '');
  return {
    organization_id: organization,
    ...(v.is(ConnectionId, connection) && { connection_id: connection }),
    time: typeof time === 'string' && !Number.isNaN(Date.parse(time)) ? time : undefined,
    isOfInterest,
    ...(changed_by !== undefined && { changed_by }),
  };
}

/** A name that people chose, fit for a log line, an event and a terminal. */
const nameOf = (value: unknown): string =>
  typeof value === 'string'
    ? value
        .replace(/[\p{Cc}\p{Cf}]/gu, ' ')
        .trim()
        .slice(0, LONGEST_NAME)
    : '';

/** The members of an object, or of JSON text; none of anything else. */
const members = (value: unknown): Json => Object(typeof value === 'string' ? parseJson(value) : value);
