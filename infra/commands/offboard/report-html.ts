// A report for an auditor: one file that any browser shows and prints. It has no script, and loads nothing.
import { type Html, html, join } from './html.ts';
import { type Line, titleOf } from './lines.ts';
import {
  type Act,
  type ClientGrant,
  type Connection,
  grantOf,
  nameOf,
  type Offboarding,
  PENDING,
  type Sessions,
  whatBecame,
  whatBecameOfGrant,
} from './records.ts';
import type { About } from './report.ts';
import { STYLE } from './report-style.ts';
import { timelineOf } from './report-timeline.ts';

/** What each report says of itself, and no other page. */
export const MARK = 'from the records of org-connections.';

/** The whole document. */
export function htmlOf(lines: Line[], { title, where }: About): string {
  const made = new Date().toISOString();
  const real = lines.flatMap(({ record }) => (record && !record.dry_run ? [record] : []));
  const body = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}, ${where}</title>
<style>${STYLE}</style>
</head>
<body>
<a class="skip" href="#organizations">Skip to the organizations</a>
<header>
<h1>${title}</h1>
<p>${where}. Made on ${timeOf(made)} ${MARK} All times are UTC.</p>
${lines.some(({ record }) => record?.dry_run) ? html`<p class="warning">This is a dry run: nothing was changed.</p>` : ''}
</header>
<main>
${totalsOf(lines)}
${timelineOf(real)}
<section id="organizations" aria-labelledby="organizations-title">
<h2 id="organizations-title">Organizations</h2>
${join(lines.map(organizationOf))}
</section>
</main>
</body>
</html>
`;
  return String(body);
}

const timeOf = (time: string | null | undefined): Html => {
  const date = new Date(time ?? '');
  if (Number.isNaN(date.getTime())) return html`not known`;
  return html`<time datetime="${date.toISOString()}">${date.toISOString().slice(0, 16).replace('T', ' ')}</time>`;
};

function totalsOf(lines: Line[]): Html {
  const all = lines.flatMap(({ record }) => record ?? []);
  const connections = all.flatMap((record) => record.connections);
  const grants = all.flatMap(({ client_grants }) => client_grants ?? []);
  const rows: [string, number][] = [
    ['Organizations', new Set(lines.map(({ organization_id }) => organization_id)).size],
    ...counted(
      'Offboardings',
      all.map(({ status }) => status),
    ),
    ...counted(
      'Connections',
      connections.map(({ outcome }) => outcome ?? 'not known yet'),
    ),
    ...counted(
      'Client grants',
      grants.map(({ outcome }) => outcome ?? 'not known yet'),
    ),
    ['Client grants that remain', all.flatMap(({ remaining_access }) => remaining_access ?? []).length],
    ['Offboardings whose client grants are not known', all.filter(({ remaining_access }) => !remaining_access).length],
    ['Offboardings that were cancelled by somebody', all.filter(({ cancelled }) => cancelled).length],
  ];
  return html`<section aria-labelledby="totals-title">
<h2 id="totals-title">Totals</h2>
<table class="totals"><caption class="hidden">Totals</caption>
<thead><tr><th scope="col">What</th><th scope="col">How many</th></tr></thead>
<tbody>${join(rows.map(([name, count]) => html`<tr><th scope="row">${name}</th><td>${count}</td></tr>`))}</tbody>
</table>
</section>`;
}

const counted = (name: string, values: string[]): [string, number][] =>
  [...Map.groupBy(values, (value) => value)].map(([value, all]) => [`${name}, ${value}`, all.length]);

function organizationOf(line: Line, index: number): Html {
  const { record, notes } = line;
  const id = `organization-${index + 1}`;
  return html`<article aria-labelledby="${id}">
<h3 id="${id}">${titleOf(line)}</h3>
${record ? recordOf(record) : html`<p>Not on record.</p>`}
${notes.length > 0 ? html`<ul>${join(notes.map((note) => html`<li>${note}</li>`))}</ul>` : ''}
</article>`;
}

function recordOf(record: Offboarding): Html {
  const facts: [string, Html | string][] = [
    ['Status', record.status],
    ['What', `${record.action}${record.grace_period ? `, grace period ${record.grace_period}` : ''}`],
    ['Requested', html`${timeOf(record.requested_at)} by ${record.requested_by}`],
    ['Signed by', record.caller ?? 'not known'],
    ['Why', record.reason],
    ...(record.removal_due_at && PENDING.includes(record.status)
      ? [['Removal due', timeOf(record.removal_due_at)] as [string, Html]]
      : []),
    ...(record.ended_at ? [['Ended', timeOf(record.ended_at)] as [string, Html]] : []),
    ...actOf('Cancelled', record.cancelled),
    ...actOf('Watch ended', record.watch_ended),
    ...(record.drift_count ? [['Found enabled again', `${record.drift_count} times`] as [string, string]] : []),
    ...(record.sessions ? [['Sessions', sessionsOf(record.sessions)] as [string, string]] : []),
    ...(record.error ? [['Error', `${record.error.message} (${record.error.code})`] as [string, string]] : []),
    ['Offboarding', record.offboarding_id],
  ];
  return html`<dl>${join(facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`))}</dl>
${connectionsOf(record)}
${grantsOf(record)}
${remainingOf(record)}`;
}

function actOf(name: string, act: Act | null | undefined): [string, Html][] {
  if (!act) return [];
  const who = act.requested_by ? html`${act.requested_by} (${act.caller})` : html`${act.caller}`;
  return [[name, html`${timeOf(act.at)} by ${who}${act.reason ? html`: ${act.reason}` : ''}`]];
}

const sessionsOf = ({ status, members, revocations_requested, skipped, failed, error }: Sessions) =>
  `${status}: revocations requested of ${revocations_requested} of ${members} members, ${skipped} skipped, ${failed} failed${error ? ` (${error.message})` : ''}`;

function connectionsOf(record: Offboarding): Html {
  if (record.connections.length === 0) return html`<p>No connections.</p>`;
  const row = (one: Connection) => html`<tr><th scope="row">${nameOf(one)}<br><code>${one.connection_id}</code></th>
<td>${whatBecame(record, one)}</td><td>${settingsOf(one.before)}</td></tr>`;
  return html`<table><caption>Connections</caption>
<thead><tr><th scope="col">Connection</th><th scope="col">What became of it</th><th scope="col">Settings before</th></tr></thead>
<tbody>${join(record.connections.map(row))}</tbody></table>`;
}

function settingsOf(before: Record<string, unknown> | null | undefined): Html {
  if (!before) return html`none on record`;
  const text = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));
  return join(Object.entries(before).map(([name, value]) => html`<code>${name}: ${text(value)}</code><br>`));
}

function grantsOf(record: Offboarding): Html | string {
  const grants = record.client_grants ?? [];
  if (grants.length === 0) return '';
  const row = (one: ClientGrant) => html`<tr><th scope="row">${grantOf(one)}</th><td>${one.scope.join(' ')}</td>
<td>${whatBecameOfGrant(record, one)}</td></tr>`;
  return html`<table><caption>Client grants</caption>
<thead><tr><th scope="col">Client grant</th><th scope="col">Scope</th><th scope="col">What became of it</th></tr></thead>
<tbody>${join(grants.map(row))}</tbody></table>`;
}

/** Where a member is missing the record says nothing; an empty list says that nothing remains. */
function remainingOf({ remaining_access }: Offboarding): Html {
  if (!remaining_access)
    return html`<p>Remaining access: not known; Auth0 was not asked, or the scope to read it is missing.</p>`;
  if (remaining_access.length === 0) return html`<p>Remaining access: no client grants.</p>`;
  return html`<p class="warning">Remaining access: these let machines in.</p>
<ul>${join(remaining_access.map((one) => html`<li>${grantOf(one)}: ${(one.scope ?? []).join(' ') || 'no scope'}</li>`))}</ul>`;
}
