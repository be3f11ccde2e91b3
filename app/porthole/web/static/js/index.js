/** The first page: sign in, see the instances, open a console. */

import { isWebAddress } from './address.js';
import * as api from './api.js';
import { $, textElement } from './dom.js';
import { countSentence, filterInstances, mayOpen, unreachableSentence } from './instances.js';
import { fillRow, makeRow } from './rows.js';
import { scopeOf } from './scope.js';
import { openShareDialog, wireShareDialog } from './share.js';

const REFRESH_MS = 30_000;
/** Whether Keystone knows the users: then one signs in to a project. */
const HAS_PROJECTS = document.body.dataset.signIn === 'keystone';
const WRONG = HAS_PROJECTS ? 'User name, password, project or domain is wrong.' : 'User name or password is wrong.';
const SIGN_IN_EXPIRED = 'Your sign-in has expired. Sign in again.';

const now = {
  /** @type {{user_id: string, name: string, roles: string[], sharing: import('./shares.js').Sharing|null}|null} */
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
  $('scope').hidden = !HAS_PROJECTS;
  $('project').disabled = $('domain').disabled = !HAS_PROJECTS;
  $('sign-out').addEventListener('click', onSignOut);
  $('refresh').addEventListener('click', () => refresh(true));
  $('search').addEventListener('input', render);
  $('state').addEventListener('change', render);
  wireShareDialog({ signedOut: () => askToSignIn(SIGN_IN_EXPIRED) });
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
    const scope = HAS_PROJECTS ? scopeOf($('project').value, $('domain').value) : {};
    enter(await api.signIn($('username').value, $('password').value, scope));
  } catch (problem) {
    askToSignIn(problem.status === 401 ? WRONG : problem.message);
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
  now.person = {
    user_id: String(person.user_id),
    name: String(person.user_name ?? person.user_id),
    roles: Array.isArray(person.roles) ? person.roles.map(String) : [],
    sharing: person.sharing ?? null,
  };
  $('password').value = '';
  $('who').textContent = now.person.name;
  $('roles').textContent = now.person.roles.length ? ` (${now.person.roles.join(', ')})` : '';
  $('of-project').textContent = HAS_PROJECTS ? `, project ${String(person.project_name ?? '')}` : '';
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
      askToSignIn(SIGN_IN_EXPIRED);
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
    const row = now.rows.get(instance.id) ?? makeRow(instance.id, { open: openConsole, share });
    now.rows.set(instance.id, row);
    fillRow(row, instance, now.person, now.refusals.get(instance.id) ?? '');
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

/** In a new tab where the browser allows it; opened at once, because later it would count as a pop-up. */
async function openConsole(id, row, mode) {
  const tab = window.open('about:blank', '_blank');
  if (tab) {
    tab.opener = null;
  }
  const pressed = mode === 'view' ? row.view : row.open;
  pressed.disabled = true;
  now.refusals.delete(id);
  try {
    const made = await api.createConsole(id, mode);
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
      askToSignIn(SIGN_IN_EXPIRED);
      return;
    }
    now.refusals.set(id, problem.message);
  } finally {
    pressed.disabled = false;
  }
  render();
}

function share(id) {
  const instance = now.instances.find((one) => one.id === id);
  if (instance && now.person?.sharing) {
    openShareDialog(instance, now.person);
  }
}

main();
