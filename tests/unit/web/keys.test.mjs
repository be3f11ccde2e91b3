import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  ALT, COMBINATIONS, CTRL, PASTE_MAX, SHIFT, WayOut, describeText, difference, stroke, typeText,
} from '../../../app/porthole/web/static/js/keys.js';
import { typeStrokes } from '../../../app/porthole/web/static/js/paste.js';

const codes = (text) => typeText(text).strokes.map((keys) => keys.map(({ code }) => code).join('+'));

test('text becomes the keys of a US keyboard, with Shift where it is needed', () => {
  assert.deepEqual(codes('aB1! ~'), ['KeyA', 'ShiftLeft+KeyB', 'Digit1', 'ShiftLeft+Digit1', 'Space', 'ShiftLeft+Backquote']);
  assert.equal(typeText('B').strokes[0].at(-1).keysym, 0x42);
});

test('every printable ASCII character has a key', () => {
  const ascii = Array.from({ length: 95 }, (_, i) => String.fromCharCode(0x20 + i)).join('');
  const { strokes, foreign, dropped } = typeText(ascii);
  assert.deepEqual([strokes.length, foreign, dropped], [95, 0, 0]);
});

test('line ends of all systems are one Enter each', () => {
  assert.deepEqual(codes('\r\n\r\n\t'), ['Enter', 'Enter', 'Tab']);
});

test('other characters are sent by keysym, without a key', () => {
  assert.deepEqual(typeText('ü').strokes, [[{ keysym: 0xfc, code: null }]]);
  assert.deepEqual(typeText('😀').strokes, [[{ keysym: 0x0101f600, code: null }]]);
  assert.equal(typeText('üπ').foreign, 2);
});

test('what has no keysym is left out and counted', () => {
  const { strokes, dropped } = typeText('a\u0000\u001b\u0007\u0080\ud800b');
  assert.deepEqual([strokes.length, dropped], [2, 5]);
});

test('a text has a bound', () => {
  const { strokes, cut } = typeText('x'.repeat(PASTE_MAX + 7));
  assert.deepEqual([strokes.length, cut], [PASTE_MAX, 7]);
});

test('the dialog says what will not arrive', () => {
  assert.equal(describeText('a'), '1 character of at most 4,096.');
  assert.match(describeText('aü'), /1 character not on a US keyboard: the guest may drop it\./);
  assert.match(describeText('\u001b\u001b'), /2 control characters without a key: left out\./);
  assert.match(describeText('x'.repeat(PASTE_MAX + 1)), /1 character too many: left out\./);
});

test('keys are pressed in order and released in the opposite one', () => {
  assert.deepEqual(stroke([CTRL, ALT]).map(({ code, down }) => [code, down]), [
    ['ControlLeft', true], ['AltLeft', true], ['AltLeft', false], ['ControlLeft', false],
  ]);
});

test('every key of the menu has a keysym and a place on the keyboard', () => {
  const items = COMBINATIONS.flatMap((group) => group.items);
  assert.equal(items.filter(({ spoken }) => /^Ctrl-Alt-F\d+$/.test(spoken ?? '')).length, 12);
  for (const { keysym, code } of items.flatMap(({ keys }) => keys)) {
    assert.ok(keysym > 0xff00 && keysym <= 0xffff && code);
  }
});

test('typing stops when it is told to, and releases what it pressed', async () => {
  const { strokes } = typeText('ABCDEF');
  const abort = new AbortController();
  const sent = [];
  const typed = await typeStrokes(strokes, (keysym, code, down) => sent.push([code, down]), {
    signal: abort.signal,
    progress: (done) => done === 2 && abort.abort(),
    pause: async () => {},
  });
  assert.equal(typed, 2);
  assert.equal(sent.filter(([, down]) => down).length, sent.filter(([, down]) => !down).length);
  assert.deepEqual(sent.at(-1), [SHIFT.code, false]);
});

test('an on-screen keyboard is understood from its text alone', () => {
  assert.deepEqual(difference('__', '__a'), { backspaces: 0, text: 'a' });
  assert.deepEqual(difference('__', '_'), { backspaces: 1, text: '' });
  assert.deepEqual(difference('__teh', '__the '), { backspaces: 2, text: 'he ' });
  assert.deepEqual(difference('__', '__'), { backspaces: 0, text: '' });
});

const feed = (way, ...events) => events.map(([sign, key]) => way.feed({ type: sign === '+' ? 'keydown' : 'keyup', key }));

test('Control, Alt and Shift pressed together and released lead out, once', () => {
  const way = new WayOut();
  const told = feed(way, ['+', 'Control'], ['+', 'Alt'], ['+', 'Shift'], ['-', 'Shift'], ['-', 'Alt'], ['-', 'Control']);
  assert.deepEqual(told, [false, false, false, true, false, false]);
  assert.ok(feed(way, ['+', 'Shift'], ['+', 'Control'], ['+', 'Meta'], ['-', 'Control']).at(-1), 'in any order, and again');
});

test('a longer combination belongs to the guest', () => {
  const way = new WayOut();
  const told = feed(way, ['+', 'Control'], ['+', 'Alt'], ['+', 'Shift'], ['+', 'F1'], ['-', 'F1'], ['-', 'Shift'], ['-', 'Alt'], ['-', 'Control']);
  assert.ok(!told.includes(true));
});

test('two of the three lead nowhere', () => {
  assert.ok(!feed(new WayOut(), ['+', 'Control'], ['+', 'Shift'], ['-', 'Shift'], ['-', 'Control']).includes(true));
});
