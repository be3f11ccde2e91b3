/** The console page: puts address, session, noVNC and the controls together. */

import { cleanAddress, isWebAddress, readAddress } from './address.js';
import * as api from './api.js';
import { askCredentials, stopPasting, wireDialogs } from './dialogs.js';
import { $, link } from './dom.js';
import { Ending } from './ending.js';
import { keep, newKey, recall, secretOf } from './keep.js';
import { wireKeyboard } from './keyboard.js';
import { buildKeysMenu, releaseHeld } from './keysmenu.js';
import { actionsFor, showActions, showName, showWords } from './overlay.js';
import { isSecret, newSecret } from './secret.js';
import { ConsoleSession } from './session.js';
import { applyScaling, enableControls, wireToolbar } from './toolbar.js';
import * as words from './words.js';

/** Pauses between attempts to load noVNC. */
const VIEWER_PAUSES_MS = [500, 2000];

/** Everything that changes while the page lives. */
const now = {
  /** @type {import('./keep.js').Entry} */
  entry: { token: null, secret: null, path: null, instance: null, expiresAt: null, shared: false },
  key: newKey(),
  /** @type {ConsoleSession|null} */
  session: null,
  /** @type {import('./words.js').Outcome|null} */
  outcome: null,
  /** Whether the console was given for viewing only. */
  watching: false,
};

const rfb = () => (now.outcome?.state === 'connected' ? (now.session?.rfb ?? null) : null);
const instanceName = () => now.entry.instance?.name ?? '';
const commands = {
  start: () => now.session?.start(),
  stop: () => now.session?.stop(),
  hurry: () => now.session?.hurry(),
  renew,
  reload: () => location.reload(),
};
const ending = new Ending(
  async () => (await api.checkConsole(now.entry.token, now.entry.secret)).session,
  (id) => api.renewSession(id),
);
const toolbar = wireToolbar({ rfb, stop: commands.stop, instanceName });

async function main() {
  const foreign = takeToken();
  buildKeysMenu(rfb);
  wireDialogs({ rfb, stop: commands.stop });
  wireKeyboard(rfb);
  if (foreign) {
    show(words.FOREIGN_ADDRESS);
  } else if (!now.entry.token) {
    show(now.entry.instance ? words.EXPIRED : words.NO_TOKEN);
  } else {
    await open();
  }
}

// ---- The token -----------------------------------------------------------------------------------------------------

/**
 * Take the token out of the address before anything else happens.
 *
 * @returns {boolean} whether the address would take it to another host
 */
function takeToken() {
  const address = readAddress(location.href);
  const kept = recall(tabStorage(), history.state?.porthole);
  if (address.token) {
    now.entry = {
      token: address.token,
      secret: secretOf(tabStorage(), address.token),
      path: address.path,
      instance: null,
      expiresAt: null,
      shared: false,
    };
  } else if (kept) {
    now.entry = kept;
    now.key = history.state.porthole;
  } else if (address.instance) {
    now.entry.instance = { id: address.instance, name: '' };
  }
  if (now.entry.token && !isSecret(now.entry.secret)) {
    now.entry.secret = newSecret();
  }
  keepEntry();
  return address.foreign;
}

function keepEntry() {
  keep(tabStorage(), now.key, now.entry);
  history.replaceState({ porthole: now.key }, '', cleanAddress(location.href, now.entry.instance?.id ?? null));
}

function tabStorage() {
  try {
    return window.sessionStorage;
  } catch {
    // Switched off, or a frame without an origin of its own: a reload then needs a new console.
    return /** @type {any} */ ({ setItem() {}, getItem: () => null, removeItem() {} });
  }
}

// ---- The connection ------------------------------------------------------------------------------------------------

async function open() {
  const RFB = await loadViewer();
  if (!RFB) {
    show(words.NO_VIEWER);
    return;
  }
  now.session = new ConsoleSession(now.entry.token, now.entry.secret, now.entry.path, {
    check: api.checkConsole,
    view: (socket) => makeViewer(RFB, socket),
    show,
    learn,
    askCredentials: (viewer, types) => askCredentials(viewer, types, commands.stop),
  });
  window.addEventListener('pagehide', () => now.session.abandon());
  // Back from the browser's page cache: the connection was given up when the page went there.
  window.addEventListener('pageshow', (event) => event.persisted && now.session.start());
  window.addEventListener('online', commands.hurry);
  now.session.start();
}

/** noVNC's RFB class; null when it cannot be loaded, even after a pause for the network to settle. */
async function loadViewer() {
  for (const pause of [...VIEWER_PAUSES_MS, null]) {
    try {
      const module = await import(new URL(`${document.body.dataset.novnc}core/rfb.js`, location.href).href);
      return module.default;
    } catch {
      if (pause !== null) {
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  }
  return null;
}

function makeViewer(RFB, socket) {
  $('screen').replaceChildren();
  const viewer = new RFB($('screen'), socket, { shared: true });
  viewer.showDotCursor = true;
  viewer.background = 'transparent';
  viewer.viewOnly = $('view-only').checked;
  applyScaling(viewer);
  return viewer;
}

function learn({ instance, expiresAt, mode, shared }) {
  if (instance) {
    const name = String(instance.name || now.entry.instance?.name || '');
    now.entry.instance = { id: String(instance.id), name };
  }
  now.entry.expiresAt = expiresAt ?? now.entry.expiresAt;
  now.entry.shared ||= shared;
  if (mode !== 'full') {
    now.watching = true;
    $('view-only').checked = true;
    $('view-only').disabled = true;
    $('view-only-why').textContent = 'this console was given for viewing only';
    $('leave').textContent = `This console is for viewing only: keys do not go to the guest. ${$('leave').dataset.how}`;
  }
  keepEntry();
  showName(instanceName(), now.outcome?.state);
}

// ---- What is happening ---------------------------------------------------------------------------------------------

/** @param {import('./words.js').Outcome & {nextAt?: number}} outcome */
function show(outcome) {
  const before = now.outcome;
  now.outcome = outcome;
  if (outcome.state === 'expired') {
    // Of no more use to anybody.
    now.entry.token = now.entry.secret = null;
    keepEntry();
  }
  const connected = outcome.state === 'connected';
  enableControls(connected);
  if (connected !== (before?.state === 'connected')) {
    connected ? ending.begin() : ending.stop();
  }
  showWords(outcome, instanceName(), now.watching);
  if (before?.state !== outcome.state || before.text !== outcome.text || before.retry !== outcome.retry) {
    const known = { alive: Boolean(now.entry.token && now.session), known: Boolean(now.entry.instance) && !now.entry.shared };
    showActions(connected ? [] : actionsFor(outcome, known, commands));
  }
  if (connected && !document.querySelector('dialog[open]')) {
    rfb()?.focus({ preventScroll: true });
  } else if (before?.state === 'connected') {
    stopPasting();
    releaseHeld();
    toolbar.closePanels();
    $('touch-input').blur();
  }
}

/** Ask for a new console of the same instance, as the person who is signed in. */
async function renew(event) {
  event.currentTarget.disabled = true;
  try {
    const made = await api.createConsole(now.entry.instance.id);
    if (!isWebAddress(made.url)) {
      throw new api.Problem(502, { detail: 'The service sent an address that is none.' });
    }
    location.assign(made.url);
  } catch (problem) {
    // No retries by itself: the person asked once.
    const outcome = { ...words.fromProblem(problem), state: 'refused', text: problem.message, retry: null, offer: 'new' };
    show(problem.status === 401 ? words.NOT_SIGNED_IN : outcome);
    if (problem.status === 401) {
      showActions([link('Sign in', './', true)]);
    }
  }
}

main();
