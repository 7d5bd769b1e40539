// Two states that differ in names alone are one.
import type { Offboarding, Organization } from '../../../lib/offboarding/offboarding.ts';
import { iso, type World } from './state.ts';

const short = (record: Offboarding) => {
  const { offboarding_id, status, asked_at, accept_by, removal_due_at, attempts, last_error, error, version } = record;
  const { superseded_by, cancelled, watch, unpublished, connections } = record;
  const own = [
    offboarding_id,
    status,
    asked_at,
    accept_by,
    removal_due_at,
    attempts > 0,
    last_error?.code,
    error?.code,
  ];
  const each = connections.map((one) => [
    ...[one.connection_id, one.outcome, one.attempted, one.disabled_by_offboarding, one.error?.code, one.ended_earlier],
    ...[one.added, one.drifted_at !== undefined, one.reenabled_at?.length, one.disabling_again, one.untold?.outcome],
  ]);
  return [...own, version, superseded_by, cancelled?.at, watch, unpublished, each];
};

const common = (organization: Organization) => {
  const { version, open, holder, held_until, removing, cancelled, cancelled_ones, due_at, look_at, priority } =
    organization;
  const cancellations = [cancelled, ...(cancelled_ones ?? [])].map((one) => one && [one.at, one.ids, one.pending]);
  return [version, open, holder, held_until, removing, cancellations, due_at, look_at, priority === 'watch'];
};

// Parts of a world are never changed: what a part is, with the times and versions in it apart (every second one), is found once.

const partsOf = new WeakMap<object, string[]>();
function part(of: object | undefined, text: (of: never) => unknown = (same) => same): string[] {
  if (!of) return NONE;
  const found = partsOf.get(of) ?? JSON.stringify(text(of as never)).split(/(20\d\d-[^"]+?Z|v\d+v)/);
  partsOf.set(of, found);
  return found;
}
const NONE = ['-'];

/** All but what may still go wrong. */
export function keyOf(world: World): string {
  const { now, organization, records, auth0, late, asks, cancels, worker, told, last, touched, refused } = world;
  const { overBefore, broken } = world;
  const known = (record: Offboarding) => part(record, short);
  const ids = Object.keys(records).sort();
  const parts = [['', iso(now)], part(organization, common), ...ids.map((id) => known(records[id] as Offboarding))];
  for (const one of [auth0, late, asks, cancels, told, last, touched, refused, overBefore]) parts.push(part(one));
  if (worker) {
    const { lease, looked, records: own, listed, postponed, call, ...rest } = worker;
    parts.push(part(lease, common), ['', looked.look_at ?? '-'], ...own.map(known), part(listed), part(postponed));
    if (call) parts.push(known(call.record), [call.connection.connection_id]);
    const { cancels: c, abandoned, transient, unknown, about } = rest;
    parts.push([[c, abandoned, transient, unknown, about].join()]);
  }
  const times = new Set<string>();
  for (const one of parts)
    for (let i = 1; i < one.length; i += 2) if (one[i]?.startsWith('20')) times.add(one[i] as string);
  const names = new Map<string, string>();
  for (const time of [...times].sort()) names.set(time, `t${names.size}`);
  let key = broken ?? '';
  for (const one of parts) {
    for (let i = 0; i < one.length; i += 2) {
      key += one[i];
      const name = one[i + 1];
      if (name === undefined) continue;
      if (!names.has(name)) names.set(name, `n${names.size}`);
      key += names.get(name);
    }
    key += '\n';
  }
  return key;
}
