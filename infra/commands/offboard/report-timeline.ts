// How many lost access and how many were cancelled, day by day: a chart, and the same as a table.
import { type Html, html, join } from './html.ts';
import type { Offboarding } from './records.ts';

interface Day {
  day: string;
  ended: number;
  cancelled: number;
}

const [WIDTH, HEIGHT, LEFT, BOTTOM] = [900, 200, 40, 24];
const WIDEST_DAY = 60;
const LABELS = 8;

/** The days (UTC) on which access was taken or an offboarding was cancelled, in order. */
export function daysOf(all: Offboarding[]): Day[] {
  const days = new Map<string, Day>();
  const count = (time: string | null | undefined, what: 'ended' | 'cancelled') => {
    if (!time || Number.isNaN(Date.parse(time))) return;
    const day = new Date(time).toISOString().slice(0, 10);
    const found = days.get(day) ?? { day, ended: 0, cancelled: 0 };
    found[what]++;
    days.set(day, found);
  };
  for (const record of all) {
    const parts = [...record.connections, ...(record.client_grants ?? [])];
    const isTaken = parts.some(({ outcome }) => outcome === 'disabled' || outcome === 'removed');
    if (isTaken || record.cancelled) count(record.requested_at, 'ended');
    count(record.cancelled?.at, 'cancelled');
  }
  return [...days.values()].sort((a, b) => a.day.localeCompare(b.day));
}

/** The chart with its table; nothing happened where there is neither. */
export function timelineOf(all: Offboarding[]): Html {
  const days = daysOf(all);
  const content = days.length === 0 ? html`<p>Nobody lost access.</p>` : html`${chartOf(days)}${tableOf(days)}`;
  return html`<section aria-labelledby="timeline-title">
<h2 id="timeline-title">Time line by day</h2>
${content}
</section>`;
}

function chartOf(days: Day[]): Html {
  const first = Date.parse(days[0]?.day ?? '');
  const length = (Date.parse(days.at(-1)?.day ?? '') - first) / 86_400_000 + 1;
  const most = Math.max(...days.map(({ ended, cancelled }) => Math.max(ended, cancelled)));
  const step = Math.min(WIDEST_DAY, (WIDTH - LEFT) / length);
  const bar = (count: number, x: number, kind: 'ended' | 'cancelled') => {
    const height = ((HEIGHT - BOTTOM - 16) * count) / most;
    return html`<rect class="${kind}" x="${x.toFixed(1)}" y="${(HEIGHT - BOTTOM - height).toFixed(1)}" width="${Math.max(1, step * 0.4).toFixed(1)}" height="${height.toFixed(1)}"/>`;
  };
  const every = Math.max(1, Math.ceil(days.length / LABELS));
  const bars = days.map(({ day, ended, cancelled }, index) => {
    const x = LEFT + ((Date.parse(day) - first) / 86_400_000) * step;
    const label = index % every === 0 ? html`<text x="${x.toFixed(1)}" y="${HEIGHT - 6}">${day.slice(5)}</text>` : '';
    return html`${bar(ended, x, 'ended')}${bar(cancelled, x + step * 0.45, 'cancelled')}${label}`;
  });
  return html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Organizations that lost access and cancellations by day; the table below has the numbers">
<line class="axis" x1="${LEFT}" y1="${HEIGHT - BOTTOM}" x2="${WIDTH}" y2="${HEIGHT - BOTTOM}"/>
<text x="0" y="24">${most}</text><text x="0" y="${HEIGHT - BOTTOM}">0</text>
<rect class="ended" x="${WIDTH - 220}" y="2" width="10" height="10"/><text x="${WIDTH - 205}" y="11">lost access</text>
<rect class="cancelled" x="${WIDTH - 110}" y="2" width="10" height="10"/><text x="${WIDTH - 95}" y="11">cancelled</text>
${join(bars)}
</svg>`;
}

function tableOf(days: Day[]): Html {
  const row = ({ day, ended, cancelled }: Day) =>
    html`<tr><th scope="row">${day}</th><td>${ended}</td><td>${cancelled}</td></tr>`;
  return html`<table class="totals"><caption>By day of the request</caption>
<thead><tr><th scope="col">Day</th><th scope="col">Lost access</th><th scope="col">Cancelled</th></tr></thead>
<tbody>${join(days.map(row))}</tbody></table>`;
}
