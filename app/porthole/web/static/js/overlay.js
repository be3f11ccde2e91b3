/** Says what is happening: the card over the screen, the pill, the page's title, and the line for screen readers. */

import { $, button, link } from './dom.js';
import { count } from './keys.js';
import { STATE_WORDS, pageTitle } from './words.js';

let ticking = 0;

/** @param {string} name of the instance, or '' @param {string|undefined} state */
export function showName(name, state) {
  $('name').textContent = name || 'Console';
  $('screen').setAttribute('aria-label', name ? `Screen of ${name}` : 'Screen of the guest');
  if (state) {
    document.title = pageTitle(name, state);
  }
}

/**
 * @param {import('./words.js').Outcome & {nextAt?: number}} outcome
 * @param {string} name of the instance, or ''
 * @param {boolean} watching whether the console was given for viewing only
 */
export function showWords(outcome, name, watching) {
  const connected = outcome.state === 'connected';
  document.body.dataset.state = outcome.state;
  showName(name, outcome.state);
  $('pill').textContent = connected && watching ? 'View only' : STATE_WORDS[outcome.state];
  $('overlay').hidden = connected;
  // The ring turns while something is going on or about to.
  $('overlay').dataset.busy = String(outcome.state === 'connecting' || Boolean(outcome.nextAt));
  const title = titleFor(outcome, name);
  $('overlay-title').textContent = title;
  $('overlay-text').textContent = outcome.text;
  $('overlay-text').hidden = !outcome.text;
  announce(connected ? `Connected to ${name || 'the guest'}${watching ? ', for viewing only' : ''}.` : `${title}. ${outcome.text}`.trim());
  countDown(outcome.nextAt);
}

/**
 * Replaces the buttons below the words, and moves the focus to the first where it would otherwise be lost.
 *
 * @param {HTMLElement[]} actions
 */
export function showActions(actions) {
  const focused = document.activeElement;
  const lost = focused === document.body || focused?.disabled || $('overlay').contains(focused) || $('screen').contains(focused);
  $('overlay-actions').replaceChildren(...actions);
  if (lost && !document.querySelector('dialog[open]')) {
    actions[0]?.focus({ preventScroll: true });
  }
}

/**
 * What may be done in a state.
 *
 * @param {import('./words.js').Outcome} outcome
 * @param {{alive: boolean, known: boolean}} console whether there is a token to try again with; whether the instance is known
 * @param {{start: () => void, stop: () => void, hurry: () => void, renew: (event: Event) => void, reload: () => void}} session
 */
export function actionsFor(outcome, { alive, known }, session) {
  if (outcome.retry) {
    return [button('Try now', session.hurry, true), button('Stop', session.stop)];
  }
  if (outcome.state === 'connecting') {
    return [button('Cancel', session.stop)];
  }
  const actions = [];
  if (alive && outcome.offer === 'again') {
    actions.push(button('Connect again', session.start, true));
  } else if (alive && outcome.offer === 'wait') {
    actions.push(button('Wait for the guest', session.start, true));
  }
  if (outcome.offer === 'reload') {
    actions.push(button('Load the page again', session.reload, true));
  } else if (known && outcome.offer) {
    actions.push(button('Open a new console', session.renew, actions.length === 0));
  }
  return [...actions, link('All instances', './', actions.length === 0)];
}

function titleFor({ state, title }, name) {
  return (name && { connecting: `Connecting to ${name}`, waiting: `${name} is not running` }[state]) || title;
}

/** Once for each thing that happens, not for each retry. */
function announce(text) {
  if ($('announce').textContent !== text) {
    $('announce').textContent = text;
  }
}

function countDown(nextAt) {
  clearInterval(ticking);
  $('overlay-next').hidden = !nextAt;
  if (!nextAt) {
    return;
  }
  const tick = () => {
    const seconds = Math.max(0, Math.ceil((nextAt - Date.now()) / 1000));
    $('overlay-next').textContent = seconds ? `Next try in ${count(seconds, 'second')}.` : 'Trying now…';
  };
  tick();
  ticking = setInterval(tick, 500);
}
