/** The keyboard: into the guest's screen, out of it, and on the screen of a phone. */

import { $ } from './dom.js';
import { EDITING_KEYS, WayOut, difference, typeText } from './keys.js';
import { send } from './keysmenu.js';
import { setCollapsed } from './toolbar.js';

/** @param {() => any} rfb noVNC's RFB while connected, else null */
export function wireKeyboard(rfb) {
  const screen = $('screen');
  screen.addEventListener('focus', () => rfb()?.focus({ preventScroll: true }));
  screen.addEventListener('focusout', () => {
    // noVNC releases held keys only when the window loses the focus; a key held here must not stay down in the guest.
    window.dispatchEvent(new Event('blur'));
  });
  const way = new WayOut();
  for (const type of ['keydown', 'keyup']) {
    window.addEventListener(type, (event) => {
      if (way.feed(event) && screen.contains(document.activeElement)) {
        setCollapsed(false);
        ($('cad').disabled ? $('help-button') : $('cad')).focus();
      }
    }, true);
  }
  window.addEventListener('blur', () => way.reset());
  wireTouchKeyboard(rfb);
}

/** A tap on the screen must not close an open on-screen keyboard. */
function focusOnClick(rfb, on) {
  if (rfb()) {
    rfb().focusOnClick = on;
  }
}

/** Never empty, so that Backspace always has something to delete. */
const FILLER = '_'.repeat(64);

function wireTouchKeyboard(rfb) {
  const field = $('touch-input');
  const toggle = $('touch-keyboard');
  let before = FILLER;
  const refill = () => {
    field.value = FILLER;
    before = FILLER;
    field.setSelectionRange(FILLER.length, FILLER.length);
  };
  // The button must not take the focus, or pressing it would close the keyboard it is to close.
  toggle.addEventListener('pointerdown', (event) => event.preventDefault());
  toggle.addEventListener('click', () => (document.activeElement === field ? field.blur() : field.focus()));
  field.addEventListener('focus', () => {
    refill();
    toggle.setAttribute('aria-pressed', 'true');
    focusOnClick(rfb, false);
  });
  field.addEventListener('blur', () => {
    toggle.setAttribute('aria-pressed', 'false');
    focusOnClick(rfb, true);
  });
  field.addEventListener('keydown', (event) => {
    const key = EDITING_KEYS[event.key];
    if (key) {
      event.preventDefault();
      send(rfb(), [key]);
    }
  });
  field.addEventListener('input', () => {
    const { backspaces, text } = difference(before, field.value);
    for (let i = 0; i < Math.min(backspaces, FILLER.length); i += 1) {
      send(rfb(), [EDITING_KEYS.Backspace]);
    }
    for (const keys of typeText(text).strokes) {
      send(rfb(), keys);
    }
    before = field.value;
    if (!field.value.startsWith('_') || field.value.length > 4 * FILLER.length) {
      refill();
    }
  });
}
