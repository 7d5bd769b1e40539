// The timeline: what has happened, newest first, filtered by organization.
import { element } from './elements.js';

const MOST = 500;
const KINDS = { request: 'request', status: 'status', auth0: 'Auth0', event: 'event', play: 'play' };
const entries = document.querySelector('#entries');
const nothing = document.querySelector('#no-entries');
const filter = document.querySelector('#filter');
const pause = document.querySelector('#pause');
let waiting = [];
// Who has no mouse scrolls it with the arrow keys.
document.querySelector('#scroll').tabIndex = 0;

const isPaused = () => pause.getAttribute('aria-pressed') === 'true';
const isShown = (node) => filter.value === '' || node.dataset.organizations.split(' ').includes(filter.value);

function show({ at, kind, organization_ids, text, detail, failed }) {
  const node = element(
    'li',
    {
      'data-at': at,
      'data-kind': kind,
      'data-organizations': organization_ids.join(' '),
      className: failed ? 'failed' : '',
    },
    element('time', { dateTime: at }, at.slice(11, 23)),
    element('span', { className: 'kind' }, KINDS[kind] ?? kind),
    element('span', { className: 'detail' }, detail),
    element('span', { className: 'text' }, text),
  );
  node.hidden = !isShown(node);
  // What began earlier may be told later.
  const older = [...entries.children].find((one) => one.dataset.at <= at);
  entries.insertBefore(node, older ?? null);
  while (entries.children.length > MOST) entries.lastChild.remove();
  nothing.hidden = true;
}

/** Shows a new entry, or keeps it while the timeline is paused. */
export function addEntry(entry) {
  if (isPaused()) waiting.push(entry);
  else show(entry);
}

/** Shows these entries alone: what there was before the page was opened. */
export function setEntries(all) {
  entries.replaceChildren();
  waiting = [];
  for (const entry of all) show(entry);
}

/** The organizations that the timeline can be filtered by. */
export function setFilter(organizations) {
  const known = new Set([...filter.options].map(({ value }) => value));
  for (const { id, name } of organizations)
    if (!known.has(id)) filter.append(element('option', { value: id }, name === id ? id : `${name} (${id})`));
}

filter.onchange = () => {
  for (const node of entries.children) node.hidden = !isShown(node);
};
pause.onclick = () => {
  pause.setAttribute('aria-pressed', String(!isPaused()));
  if (isPaused()) return;
  for (const entry of waiting) show(entry);
  waiting = [];
};
document.querySelector('#clear').onclick = () => {
  entries.replaceChildren();
  nothing.hidden = false;
};
