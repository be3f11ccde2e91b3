/** The first page: sign in, see the instances, open a console. */

import { isWebAddress } from './address.js';
import * as api from './api.js';
import { countSentence, filterInstances, mayOpen, obstacle, stateWord, unreachableSentence } from './instances.js';

const $ = (id) => document.getElementById(id);
const REFRESH_MS = 30_000;

const now = {
  /** @type {{user_id: string, roles: string[]}|null} */
  person: null,
  /** @type {{id: string, name: string, state: string, compute: string}[]} */
  instances: [],
  unreachable: undefined,
  failure: '',
  /** Why an instance's console was refused, by id. */
  refusals: new Map(),
  rows: new Map(),
  loading: false,
  timer: 0,
};

// ---- Signing in and out --------------------------------------------------------------------------------------------

async function main() {
  $('sign-in-form').addEventListener('submit', onSignIn);
  $('sign-out').addEventListener('click', onSignOut);
  $('refresh').addEventListener('click', () => refresh(true));
  $('search').addEventListener('input', render);
  $('state').addEventListener('change', render);
  document.addEventListener('visibilitychange', () => !document.hidden && now.person && refresh());
  try {
    enter(await api.signedIn());
  } catch (problem) {
    // Not being signed in is no failure here: it is where everybody starts.
    askToSignIn(problem.status === 401 ? '' : problem.message);
  }
}

function askToSignIn(message) {
  clearTimeout(now.timer);
  now.person = null;
  now.instances = [];
  now.refusals.clear();
  now.rows.clear();
  $('rows').replaceChildren();
  document.body.dataset.state = 'signed-out';
  document.title = 'Sign in — Porthole';
  $('loading').hidden = true;
  $('instances').hidden = true;
  $('account').hidden = true;
  $('sign-in').hidden = false;
  $('sign-in-message').textContent = message;
  $('sign-in-message').hidden = !message;
  $('sign-in-message').className = 'note note-bad';
  $('password').value = '';
  ($('username').value ? $('password') : $('username')).focus();
}

async function onSignIn(event) {
  event.preventDefault();
  const send = $('sign-in-button');
  send.disabled = true;
  send.textContent = 'Signing in…';
  try {
    enter(await api.signIn($('username').value, $('password').value));
  } catch (problem) {
    askToSignIn(problem.status === 401 ? 'User name or password is wrong.' : problem.message);
  } finally {
    send.disabled = false;
    send.textContent = 'Sign in';
  }
}

async function onSignOut() {
  try {
    await api.signOut();
  } catch (problem) {
    if (problem.status !== 401) {
      now.failure = `You are still signed in. ${problem.message}`;
      render();
      return;
    }
  }
  $('username').value = '';
  askToSignIn('');
  $('sign-in-message').textContent = 'You are signed out.';
  $('sign-in-message').className = 'note';
  $('sign-in-message').hidden = false;
}

function enter(person) {
  now.person = { user_id: String(person.user_id), roles: Array.isArray(person.roles) ? person.roles.map(String) : [] };
  $('password').value = '';
  $('who').textContent = now.person.user_id;
  $('roles').textContent = now.person.roles.length ? ` (${now.person.roles.join(', ')})` : '';
  $('sign-in').hidden = true;
  $('account').hidden = false;
  document.title = 'Instances — Porthole';
  refresh();
}

// ---- The list ------------------------------------------------------------------------------------------------------

/** @param {boolean} asked whether a person asked for it, and so wants to hear that it happened */
async function refresh(asked = false) {
  if (now.loading) {
    return;
  }
  now.loading = true;
  clearTimeout(now.timer);
  $('refresh').setAttribute('aria-busy', 'true');
  try {
    const listing = await api.listInstances();
    now.instances = listing.instances;
    now.unreachable = listing.unreachable_computes;
    now.failure = '';
  } catch (problem) {
    if (problem.status === 401) {
      askToSignIn('Your sign-in has expired. Sign in again.');
      return;
    }
    now.failure = `The list could not be loaded. ${problem.message}`;
  } finally {
    now.loading = false;
    $('refresh').removeAttribute('aria-busy');
  }
  if (asked) {
    now.refusals.clear();
  }
  render();
  if (asked && !now.failure) {
    $('announce').textContent = `Refreshed: ${$('count').textContent} instances.`;
  }
  now.timer = setTimeout(() => !document.hidden && refresh(), REFRESH_MS);
}

function render() {
  document.body.dataset.state = 'instances';
  $('loading').hidden = true;
  $('instances').hidden = false;
  const shown = filterInstances(now.instances, { words: $('search').value, state: $('state').value });
  $('count').textContent = countSentence(shown.length, now.instances.length);

  const ids = new Set(shown.map(({ id }) => id));
  for (const [id, row] of now.rows) {
    if (!ids.has(id)) {
      row.element.remove();
      now.rows.delete(id);
    }
  }
  shown.forEach((instance, place) => {
    const row = now.rows.get(instance.id) ?? makeRow(instance.id);
    now.rows.set(instance.id, row);
    fillRow(row, instance);
    // Moved only when it has to be, so that the focus stays where it is.
    if ($('rows').children[place] !== row.element) {
      $('rows').insertBefore(row.element, $('rows').children[place] ?? null);
    }
  });
  document.querySelector('.list').hidden = shown.length === 0;
  renderEmpty(shown.length);
  renderNotes();
}

function renderEmpty(shown) {
  $('empty').hidden = shown > 0;
  if (shown > 0) {
    return;
  }
  const [title, text] = now.instances.length
    ? ['Nothing matches', 'No instance matches the search and the state chosen.']
    : now.failure
      ? ['No list yet', 'The instances are shown here once the service answers.']
      : unreachableSentence(now.unreachable)
        ? ['No instances known', 'Those of the unreachable compute hosts appear once the hosts answer.']
        : ['No instances', 'There is no instance that you may see.'];
  if ($('empty').dataset.title !== title) {
    $('empty').dataset.title = title;
    $('empty').replaceChildren(textElement('h2', title), textElement('p', text));
  }
}

function renderNotes() {
  const notes = [];
  if (now.failure) {
    notes.push(['note note-bad', now.failure]);
  }
  const unreachable = unreachableSentence(now.unreachable);
  if (unreachable) {
    notes.push(['note note-warn', unreachable]);
  }
  if (now.person && !mayOpen(now.person.roles)) {
    notes.push(['note', 'You may see instances, but not open their consoles: for that an administrator has to give you the role “member”.']);
  }
  const signature = JSON.stringify(notes);
  if ($('notes').dataset.signature !== signature) {
    $('notes').dataset.signature = signature;
    $('notes').replaceChildren(...notes.map(([className, words]) => Object.assign(textElement('p', words), { className })));
  }
}

function makeRow(id) {
  const element = document.createElement('tr');
  element.setAttribute('role', 'row');
  element.dataset.instance = id;
  const [name, state, compute, action] = ['name', 'state', 'compute', 'action'].map((part) => {
    const cell = document.createElement('td');
    cell.setAttribute('role', 'cell');
    cell.className = `cell-${part}`;
    element.append(cell);
    return cell;
  });
  const title = textElement('span', '');
  title.className = 'instance-name';
  const detail = textElement('span', id);
  detail.className = 'instance-id';
  name.append(title, detail);
  const pill = textElement('span', '');
  state.append(pill);
  const open = textElement('button', 'Open console');
  open.type = 'button';
  open.className = 'button button-main';
  const why = textElement('span', '');
  why.className = 'why small muted';
  action.append(open, why);
  const row = { element, title, pill, compute, open, why };
  open.addEventListener('click', () => openConsole(id, row));
  return row;
}

function fillRow(row, instance) {
  const { word, tone } = stateWord(instance.state);
  set(row.title, instance.name);
  set(row.pill, word);
  row.pill.className = `pill pill-${tone}`;
  set(row.compute, instance.compute ?? '');
  const reason = obstacle(instance, now.person?.roles ?? []);
  const refused = now.refusals.get(instance.id) ?? '';
  row.open.hidden = reason !== null;
  row.open.setAttribute('aria-label', `Open console of ${instance.name}`);
  set(row.why, reason ?? refused);
  row.why.className = refused && !reason ? 'why small bad' : 'why small muted';
  row.why.setAttribute('role', refused && !reason ? 'alert' : 'none');
}

/** In a new tab where the browser allows it; opened at once, because later it would count as a pop-up. */
async function openConsole(id, row) {
  const tab = window.open('about:blank', '_blank');
  if (tab) {
    tab.opener = null;
  }
  row.open.disabled = true;
  now.refusals.delete(id);
  try {
    const made = await api.createConsole(id);
    if (!isWebAddress(made.url)) {
      throw new api.Problem(502, { detail: 'The service sent an address that is none.' });
    }
    if (tab) {
      tab.location.replace(made.url);
    } else {
      location.assign(made.url);
    }
  } catch (problem) {
    tab?.close();
    if (problem.status === 401) {
      askToSignIn('Your sign-in has expired. Sign in again.');
      return;
    }
    now.refusals.set(id, problem.message);
  } finally {
    row.open.disabled = false;
  }
  render();
}

function set(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

function textElement(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

main();
