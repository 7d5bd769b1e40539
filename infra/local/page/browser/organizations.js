// The organizations of the demo tenant, each with its offboarding, connections, client grants and members.
import { callApi, play } from './actions.js';
import { element, keepChildren, setText } from './elements.js';

const ACTIONS = { disable_then_remove: 'Disable, then remove', disable: 'Disable', remove: 'Remove' };
const GRACE_PERIODS = { PT1M: 'a minute', PT5M: 'five minutes', P30D: '30 days' };
const PENDING = ['requested', 'working', 'scheduled', 'removing', 'cancelling'];
const time = (text) => new Date(text).toLocaleTimeString();

function button(text, label, onclick, kind = '') {
  return element('button', { type: 'button', className: kind, 'aria-label': `${text}: ${label}`, onclick }, text);
}

function createConnection(organizationId, { connection_id, connection: { name, strategy } }) {
  const path = `/organizations/${organizationId}/connections/${connection_id}`;
  const input = { organization_id: organizationId, connection_id };
  const state = element('span', { className: 'state' });
  const level = element('td');
  const actions = element(
    'div',
    { className: 'actions' },
    button('Disable', name, () => callApi('PATCH', path, { is_enabled: false })),
    button('Remove', name, () => callApi('DELETE', path)),
    button('Enable by hand', name, () => play('enableConnection', input), 'play'),
    button('Customer enables', name, () => play('customerEnables', input), 'play'),
  );
  const row = element(
    'tr',
    { 'data-connection': connection_id },
    element('th', { scope: 'row' }, `${name} (${strategy})`, element('br'), element('code', {}, connection_id)),
    element('td', {}, state),
    level,
    element('td', {}, actions),
  );
  const update = ({ is_enabled, organization_access_level }) => {
    setText(state, is_enabled ? 'enabled' : 'disabled');
    state.dataset.state = is_enabled ? 'enabled' : 'disabled';
    setText(level, organization_access_level ?? 'none');
  };
  return [row, update];
}

function choice(labelText, options) {
  const select = element(
    'select',
    {},
    ...Object.entries(options).map(([value, text]) => element('option', { value }, text)),
  );
  return [element('label', {}, `${labelText} `, select), select];
}

/** The form that offboards an organization, and the button that cancels. */
function createForm(id, name) {
  const path = `/organizations/${id}/offboarding`;
  const [actionLabel, action] = choice('Action', ACTIONS);
  const [graceLabel, grace] = choice('Grace period', GRACE_PERIODS);
  const reason = element('input', { value: 'contract ended', maxLength: 500, required: true });
  const sessions = element('input', { type: 'checkbox' });
  action.onchange = () => {
    graceLabel.hidden = action.value !== 'disable_then_remove';
  };
  const submit = (event) => {
    event.preventDefault();
    void callApi('POST', path, {
      action: action.value,
      ...(action.value === 'disable_then_remove' && { grace_period: grace.value }),
      ...(sessions.checked && { end_sessions: true }),
      reason: reason.value,
      requested_by: 'a visitor of the page',
    });
  };
  return element(
    'form',
    { onsubmit: submit, 'aria-label': `Offboard ${name}` },
    actionLabel,
    graceLabel,
    element('label', {}, 'Reason ', reason),
    element('label', {}, sessions, ' End sessions'),
    element('button', { type: 'submit', 'aria-label': `Offboard ${name}` }, 'Offboard'),
    button('Cancel', `the offboarding of ${name}`, () => callApi('DELETE', path)),
    button('Customer adds a connection', name, () => play('customerAdds', { organization_id: id }), 'play'),
  );
}

function showOffboarding(node, offboarding) {
  node.dataset.status = offboarding?.status ?? 'none';
  if (!offboarding) return setText(node, 'No offboarding');
  const { status, action, removal_due_at, reason } = offboarding;
  const due = removal_due_at && PENDING.includes(status) ? `, removal due at ${time(removal_due_at)}` : '';
  setText(node, `Offboarding: ${status} (${ACTIONS[action] ?? action}${due}${reason ? `; ${reason}` : ''})`);
}

const line = (tag, textOf) => (item) => {
  const node = element(tag);
  const update = (now) => setText(node, textOf(now));
  update(item);
  return [node, update];
};

function createOrganization({ id, name }) {
  const status = element('p', { className: 'offboarding', 'data-offboarding': id });
  const rows = element('tbody');
  const [grants, members] = [element('ul'), element('ul')];
  const [noGrants, noMembers] = [element('p', {}, 'none'), element('p', {}, 'none')];
  const headings = ['Connection', 'State', 'Customer’s access', 'Do'];
  const title = `organization-${id}`;
  const table = element(
    'table',
    {},
    element('caption', {}, `Connections of ${name}`),
    element('thead', {}, element('tr', {}, ...headings.map((text) => element('th', { scope: 'col' }, text)))),
    rows,
  );
  const article = element(
    'article',
    { 'aria-labelledby': title, tabIndex: -1 },
    element('h3', { id: title }, name, ' ', element('code', {}, id)),
    status,
    table,
    createForm(id, name),
    element(
      'div',
      { className: 'lists' },
      element('div', {}, element('h4', {}, 'Client grants'), grants, noGrants),
      element('div', {}, element('h4', {}, 'Members'), members, noMembers),
    ),
  );
  const update = (organization) => {
    showOffboarding(status, organization.offboarding);
    const { connections, client_grants, members: all } = organization;
    keepChildren(
      rows,
      connections,
      ({ connection_id }) => connection_id,
      (one) => createConnection(id, one),
    );
    const grantText = ({ client_id, audience }) => `${client_id} → ${audience}`;
    keepChildren(grants, client_grants, (grant) => grant.id, line('li', grantText));
    const countOf = (count, noun) => `${count ?? 0} ${noun}${count === 1 ? '' : 's'}`;
    const memberText = (member) =>
      `${member.id}: ${countOf(member.sessions, 'session')}, ${countOf(member.refresh_tokens, 'refresh token')}`;
    keepChildren(members, all, (member) => member.id, line('li', memberText));
    [grants.hidden, noGrants.hidden] = [client_grants.length === 0, client_grants.length > 0];
    [members.hidden, noMembers.hidden] = [all.length === 0, all.length > 0];
  };
  return [article, update];
}

/** Brings the organizations up to date. */
export function showOrganizations(organizations) {
  keepChildren(document.querySelector('#organizations'), organizations, ({ id }) => id, createOrganization);
}
