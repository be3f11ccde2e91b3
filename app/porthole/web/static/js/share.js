/** The dialog in which a view-only link is made, copied and revoked. */

import { isWebAddress } from './address.js';
import * as api from './api.js';
import { $, button, textElement } from './dom.js';
import { describeShare, sharesOf, times } from './shares.js';

/** What the dialog is about while it is open. */
const now = {
  /** @type {{id: string, name: string}|null} */
  instance: null,
  me: '',
  signedOut: () => {},
};

/** @param {{signedOut: () => void}} parts called when the sign-in has expired meanwhile */
export function wireShareDialog({ signedOut }) {
  now.signedOut = signedOut;
  $('share-form').addEventListener('submit', onMake);
  $('share-close').addEventListener('click', () => $('share-dialog').close());
  $('share-copy').addEventListener('click', onCopy);
  // Whoever has the link can watch: it does not stay behind in the page.
  $('share-dialog').addEventListener('close', () => {
    now.instance = null;
    forgetLink();
  });
}

/**
 * @param {{id: string, name: string}} instance
 * @param {{user_id: string, sharing: import('./shares.js').Sharing}} person
 */
export function openShareDialog(instance, person) {
  now.instance = instance;
  now.me = person.user_id;
  $('share-title').textContent = `Share a view-only link to ${instance.name}`;
  $('share-time').replaceChildren(...times(person.sharing).map(({ seconds, words, usual }) => new Option(words, String(seconds), usual, usual)));
  $('share-uses').value = '1';
  $('share-make').disabled = false;
  $('share-live').replaceChildren();
  complain('');
  say('');
  $('share-dialog').showModal();
  $('share-time').focus();
  list();
}

async function onMake(event) {
  event.preventDefault();
  const { id } = now.instance;
  $('share-make').disabled = true;
  forgetLink();
  complain('');
  try {
    const made = await api.createShare(id, Number($('share-time').value), Number($('share-uses').value));
    if (now.instance?.id !== id) {
      return;
    }
    if (!isWebAddress(made.url)) {
      throw new api.Problem(502, { detail: 'The service sent an address that is none.' });
    }
    $('share-url').value = made.url;
    $('share-made').hidden = false;
    $('share-copy').focus();
    say('The link is made. Copy it now.');
  } catch (problem) {
    fail(problem);
  } finally {
    $('share-make').disabled = false;
  }
  await list();
}

async function onCopy() {
  if (await copy($('share-url'))) {
    // What is selected has the focus; who copies it by hand needs that, and nobody else.
    $('share-copy').focus();
    say('The link is copied.');
  } else {
    say('The link is selected. Copy it with Ctrl+C.');
  }
}

/** To the clipboard. Browsers have the newer way only over TLS. */
async function copy(field) {
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    return true;
  } catch {
    return document.execCommand('copy');
  }
}

/** Show the links of this instance that work now. */
async function list() {
  const instance = now.instance;
  if (!instance) {
    return;
  }
  try {
    const { shares } = await api.listShares();
    if (now.instance === instance) {
      show(sharesOf(shares, instance.id));
    }
  } catch (problem) {
    fail(problem);
  }
}

/** @param {import('./shares.js').Share[]} shares */
function show(shares) {
  const items = shares.map((share) => {
    const words = describeShare(share, now.me);
    const revoke = button('Revoke', () => onRevoke(share.token_id, revoke));
    revoke.setAttribute('aria-label', `Revoke the link: ${words}`);
    const item = document.createElement('li');
    item.append(textElement('span', words), revoke);
    return item;
  });
  const none = textElement('li', 'There is none.');
  none.className = 'muted';
  $('share-live').replaceChildren(...(items.length ? items : [none]));
}

async function onRevoke(tokenId, pressed) {
  pressed.disabled = true;
  complain('');
  try {
    await api.revokeToken(tokenId);
    // The button is about to go, and with it the focus.
    $('share-live-title').focus();
    say('The link is revoked. Nobody watches by it any more.');
  } catch (problem) {
    pressed.disabled = false;
    fail(problem);
  }
  await list();
}

function forgetLink() {
  $('share-url').value = '';
  $('share-made').hidden = true;
}

function fail(problem) {
  if (problem.status === 401) {
    $('share-dialog').close();
    now.signedOut();
    return;
  }
  complain(problem.message);
}

function complain(text) {
  $('share-message').textContent = text;
  $('share-message').hidden = !text;
}

function say(text) {
  $('share-status').textContent = text;
}
