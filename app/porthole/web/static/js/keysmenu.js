/** The menu of keys: single ones, combinations, and modifiers that stay down. */

import { $, button } from './dom.js';
import { COMBINATIONS, MODIFIERS, stroke } from './keys.js';

/** @param {any} viewer noVNC's RFB, or null @param {{keysym: number, code: string|null}[]} keys */
export function send(viewer, keys) {
  for (const { keysym, code, down } of stroke(keys)) {
    viewer?.sendKey(keysym, code, down);
  }
}

/** @param {() => any} rfb noVNC's RFB while connected, else null */
export function buildKeysMenu(rfb) {
  const panel = $('keys-panel');
  const held = group('Hold down', 'grid grid-4');
  for (const { label, key } of MODIFIERS) {
    const toggle = button(label, () => hold(rfb, toggle, key));
    toggle.className = 'item';
    toggle.dataset.modifier = key.code;
    toggle.setAttribute('aria-pressed', 'false');
    toggle.setAttribute('aria-label', `Hold ${label}`);
    held.grid.append(toggle);
  }
  panel.append(held.section);
  for (const { label, items } of COMBINATIONS) {
    const { section, grid } = group(label, items.length > 6 ? 'grid grid-6' : items.length > 4 ? 'grid grid-2' : 'grid grid-4');
    for (const item of items) {
      const entry = button(item.label, () => send(rfb(), item.keys));
      entry.className = 'item';
      if (item.spoken) {
        entry.setAttribute('aria-label', item.spoken);
      }
      grid.append(entry);
    }
    panel.append(section);
  }
}

function group(label, className) {
  const section = document.createElement('div');
  section.setAttribute('role', 'group');
  section.setAttribute('aria-label', label);
  const heading = document.createElement('p');
  heading.className = 'panel-label';
  heading.setAttribute('aria-hidden', 'true');
  heading.textContent = label;
  const grid = document.createElement('div');
  grid.className = className;
  section.append(heading, grid);
  return { section, grid };
}

function hold(rfb, toggle, key) {
  const down = toggle.getAttribute('aria-pressed') !== 'true';
  rfb()?.sendKey(key.keysym, key.code, down);
  press(toggle, down);
}

/** The connection has ended, and with it every key that was down. */
export function releaseHeld() {
  for (const toggle of document.querySelectorAll('[data-modifier]')) {
    press(toggle, false);
  }
}

function press(toggle, down) {
  toggle.setAttribute('aria-pressed', String(down));
  const any = document.querySelector('[data-modifier][aria-pressed="true"]');
  $('keys-button').classList.toggle('held', Boolean(any));
}
