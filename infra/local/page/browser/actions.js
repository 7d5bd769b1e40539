// What the buttons do: calls of the API, which the page's server signs, and plays of the stand-ins.
import { setText } from './elements.js';

/** Shows one sentence where screen readers say it. */
export function say(sentence) {
  setText(document.querySelector('#answer'), sentence);
}

/** Calls the API and says what it answers. */
export async function callApi(method, path, body) {
  say(`${method} ${path} …`);
  const headers = body ? { 'content-type': 'application/json' } : {};
  const answer = await fetch(`/_page/call${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  const text = await answer.text();
  const { code, detail, status } = text ? JSON.parse(text) : {};
  const parts = [answer.status, code ?? (typeof status === 'string' ? status : ''), detail ?? ''];
  say(`${method} ${path}: ${parts.filter(Boolean).join(' ')}`);
}

/** Has the stand-ins play something and says what came of it. */
export async function play(name, input = {}) {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`/_page/play/${name}`, { method: 'POST', headers, body: JSON.stringify(input) });
  say((await answer.json()).message);
}
