// The page of `npm start`: what the server sends, it shows.
import { play, say } from './actions.js';
import { element, setText } from './elements.js';
import { showOrganizations } from './organizations.js';
import { showReference } from './reference.js';
import { addEntry, setEntries, setFilter } from './timeline.js';

let isReferenceShown = false;

function showState({ organizations, outage_until, signed }) {
  showOrganizations(organizations);
  setFilter(organizations);
  const outage = document.querySelector('#outage');
  outage.hidden = outage_until === null;
  setText(outage, outage_until ? `Auth0 answers 503 until ${new Date(outage_until).toLocaleTimeString()}.` : '');
  document.querySelector('#signed').hidden = !signed;
  if (!isReferenceShown) showReference(signed);
  isReferenceShown = true;
}

function listen() {
  const events = new EventSource('/_page/events');
  const on = (name, show) => events.addEventListener(name, ({ data }) => show(JSON.parse(data)));
  on('history', setEntries);
  on('entry', addEntry);
  on('state', showState);
  events.onopen = () => say('');
  events.onerror = () => say('The service does not answer. Is “npm start” still running?');
}

function copyButton(line) {
  const onclick = async () => {
    await navigator.clipboard.writeText(line);
    say('Copied.');
  };
  return element('button', { type: 'button', 'aria-label': `Copy: ${line.slice(0, 80)}`, onclick }, 'Copy');
}

async function showCommands() {
  const all = await (await fetch('/_page/commands.json')).json();
  for (const { title, lines } of all) {
    const items = lines.map((line) =>
      element('div', { className: 'command' }, element('pre', { tabIndex: 0 }, line), copyButton(line)),
    );
    document.querySelector('#commands').append(element('h3', {}, title), ...items);
  }
}

for (const button of document.querySelectorAll('button[data-play]')) button.onclick = () => play(button.dataset.play);
listen();
void showCommands();
