/** Keys: the combinations of the menu, text as keystrokes, the way out of the screen. Pure functions, no DOM. */

/** One key: X11 keysym, and the physical key's name (KeyboardEvent.code), which QEMU's extended key event is made from. */
const key = (keysym, code) => ({ keysym, code });

export const CTRL = key(0xffe3, 'ControlLeft');
export const ALT = key(0xffe9, 'AltLeft');
export const SHIFT = key(0xffe1, 'ShiftLeft');
export const SUPER = key(0xffeb, 'MetaLeft');
const TAB = key(0xff09, 'Tab');
const ENTER = key(0xff0d, 'Enter');
const ESCAPE = key(0xff1b, 'Escape');
const BACKSPACE = key(0xff08, 'Backspace');
const DELETE = key(0xffff, 'Delete');
const PRINT = key(0xff61, 'PrintScreen');
const F = Array.from({ length: 12 }, (_, i) => key(0xffbe + i, `F${i + 1}`));

export const MODIFIERS = [
  { label: 'Ctrl', key: CTRL },
  { label: 'Alt', key: ALT },
  { label: 'Shift', key: SHIFT },
  { label: 'Super', key: SUPER },
];

/** The menu, in groups. `keys` are pressed in this order and released in the opposite one. */
export const COMBINATIONS = [
  {
    label: 'Keys',
    items: [
      { label: 'Esc', keys: [ESCAPE] },
      { label: 'Tab', keys: [TAB] },
      { label: 'Super', keys: [SUPER] },
      { label: 'Print', keys: [PRINT] },
    ],
  },
  {
    label: 'Combinations',
    items: [
      { label: 'Ctrl-Alt-Del', keys: [CTRL, ALT, DELETE] },
      { label: 'Ctrl-Alt-Backspace', keys: [CTRL, ALT, BACKSPACE] },
      { label: 'Alt-Tab', keys: [ALT, TAB] },
      { label: 'Alt-F4', keys: [ALT, F[3]] },
      { label: 'Ctrl-Esc', keys: [CTRL, ESCAPE] },
      { label: 'Alt-SysRq', keys: [ALT, key(0xff15, 'PrintScreen')] },
    ],
  },
  { label: 'Ctrl-Alt-F1 to F12', items: F.map((f, i) => ({ label: `F${i + 1}`, spoken: `Ctrl-Alt-F${i + 1}`, keys: [CTRL, ALT, f] })) },
];

/**
 * @param {{keysym: number, code: string}[]} keys
 * @returns {{keysym: number, code: string, down: boolean}[]} the events of one stroke
 */
export function stroke(keys) {
  return [...keys.map((k) => ({ ...k, down: true })), ...[...keys].reverse().map((k) => ({ ...k, down: false }))];
}

/** The US keyboard: physical key, character, character with Shift. */
const US_KEYBOARD = new Map();
for (const [code, plain, shifted] of [
  ['Backquote', '`', '~'], ['Minus', '-', '_'], ['Equal', '=', '+'], ['BracketLeft', '[', '{'], ['BracketRight', ']', '}'],
  ['Backslash', '\\', '|'], ['Semicolon', ';', ':'], ['Quote', "'", '"'], ['Comma', ',', '<'], ['Period', '.', '>'],
  ['Slash', '/', '?'], ['Space', ' ', null],
  ...[...'1234567890'].map((digit, i) => [`Digit${digit}`, digit, '!@#$%^&*()'[i]]),
  ...[...'abcdefghijklmnopqrstuvwxyz'].map((letter) => [`Key${letter.toUpperCase()}`, letter, letter.toUpperCase()]),
]) {
  US_KEYBOARD.set(plain, { code, shift: false });
  if (shifted) {
    US_KEYBOARD.set(shifted, { code, shift: true });
  }
}

export const PASTE_MAX = 4096;

/**
 * Text as keystrokes.
 *
 * A character of the US keyboard becomes its physical key, with Shift where it needs it: QEMU presses no Shift by
 * itself. Any other character is sent by its keysym alone, which a guest without a matching layout drops. Control
 * characters other than line feed and tab have no keysym and are left out.
 *
 * @param {string} text
 * @param {(codepoint: number) => number} keysymOf Unicode to keysym (noVNC's table)
 * @returns {{strokes: {keysym: number, code: string|null}[][], foreign: number, dropped: number, cut: number}}
 *   one list of keys per character; how many were sent by keysym alone, left out, and beyond {@link PASTE_MAX}
 */
export function typeText(text, keysymOf = keysymOfUnicode) {
  const characters = [...text.replace(/\r\n?/g, '\n')];
  const result = { strokes: [], foreign: 0, dropped: 0, cut: Math.max(0, characters.length - PASTE_MAX) };
  for (const character of characters.slice(0, PASTE_MAX)) {
    const codepoint = character.codePointAt(0);
    const place = US_KEYBOARD.get(character);
    if (character === '\n') {
      result.strokes.push([ENTER]);
    } else if (character === '\t') {
      result.strokes.push([TAB]);
    } else if (place) {
      const pressed = key(codepoint, place.code);
      result.strokes.push(place.shift ? [SHIFT, pressed] : [pressed]);
    } else if (codepoint < 0x20 || (codepoint >= 0x7f && codepoint < 0xa0) || (codepoint >= 0xd800 && codepoint < 0xe000)) {
      result.dropped += 1;
    } else {
      result.strokes.push([{ keysym: keysymOf(codepoint), code: null }]);
      result.foreign += 1;
    }
  }
  return result;
}

/** X11: Latin-1 keysyms equal the code point; all others may be written as 0x01000000 + code point. */
export function keysymOfUnicode(codepoint) {
  return codepoint >= 0x20 && codepoint <= 0xff ? codepoint : 0x01000000 | codepoint;
}

/** What the paste dialog says about a text. */
export function describeText(text) {
  const { strokes, foreign, dropped, cut } = typeText(text);
  const sentences = [`${count(strokes.length, 'character')} of at most ${PASTE_MAX.toLocaleString('en')}.`];
  if (foreign) {
    sentences.push(`${count(foreign, 'character')} not on a US keyboard: the guest may drop ${foreign === 1 ? 'it' : 'them'}.`);
  }
  if (dropped) {
    sentences.push(`${count(dropped, 'control character')} without a key: left out.`);
  }
  if (cut) {
    sentences.push(`${count(cut, 'character')} too many: left out.`);
  }
  return sentences.join(' ');
}

/** @param {number} number @param {string} noun */
export function count(number, noun) {
  return `${number.toLocaleString('en')} ${noun}${number === 1 ? '' : 's'}`;
}

/** Keys that an on-screen keyboard sends as keys, not as text. */
export const EDITING_KEYS = {
  Enter: ENTER,
  Tab: TAB,
  Escape: ESCAPE,
  Backspace: BACKSPACE,
  Delete: DELETE,
  ArrowLeft: key(0xff51, 'ArrowLeft'),
  ArrowUp: key(0xff52, 'ArrowUp'),
  ArrowRight: key(0xff53, 'ArrowRight'),
  ArrowDown: key(0xff54, 'ArrowDown'),
  Home: key(0xff50, 'Home'),
  End: key(0xff57, 'End'),
  PageUp: key(0xff55, 'PageUp'),
  PageDown: key(0xff56, 'PageDown'),
};

/**
 * What changed in the field behind an on-screen keyboard: such keyboards report no keys, only the new text.
 *
 * @param {string} before
 * @param {string} after
 * @returns {{backspaces: number, text: string}} what to type so that `before` becomes `after`
 */
export function difference(before, after) {
  const old = [...before];
  const now = [...after];
  let same = 0;
  while (same < old.length && same < now.length && old[same] === now[same]) {
    same += 1;
  }
  return { backspaces: old.length - same, text: now.slice(same).join('') };
}

/**
 * The way out of the screen by keyboard: Control, Alt and Shift pressed together and released, with no other key
 * between. A combination that goes on to a fourth key belongs to the guest.
 */
export class WayOut {
  #down = new Set();
  #spoilt = false;

  /**
   * @param {{type: string, key: string}} event keydown or keyup
   * @returns {boolean} true once, at the first release
   */
  feed({ type, key: name }) {
    // With Shift held, some systems call the Alt key "Meta".
    const modifier = { Control: 'Control', Alt: 'Alt', Meta: 'Alt', AltGraph: 'Alt', Shift: 'Shift' }[name];
    if (!modifier) {
      this.#spoilt = this.#down.size > 0;
      return false;
    }
    if (type === 'keydown') {
      this.#down.add(modifier);
      return false;
    }
    const out = this.#down.size === 3 && !this.#spoilt;
    this.#down.delete(modifier);
    if (out) {
      this.#spoilt = true;
    }
    if (this.#down.size === 0) {
      this.#spoilt = false;
    }
    return out;
  }

  reset() {
    this.#down.clear();
    this.#spoilt = false;
  }
}
