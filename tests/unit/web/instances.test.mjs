import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  countSentence, filterInstances, hasScreen, mayOpen, obstacle, stateWord, unreachableSentence,
} from '../../../app/porthole/web/static/js/instances.js';

const INSTANCES = [
  { id: '6a0e7c52', name: 'web-1', state: 'running', compute: 'compute-a' },
  { id: '6a0e7c53', name: 'web-2', state: 'paused', compute: 'compute-b' },
  { id: '77777777', name: 'batch', state: 'shutdown', compute: 'compute-b' },
];
const names = (words, state = 'all') => filterInstances(INSTANCES, { words, state }).map(({ name }) => name);

test('every word of the search has to occur somewhere', () => {
  assert.deepEqual(names(''), ['web-1', 'web-2', 'batch']);
  assert.deepEqual(names('WEB'), ['web-1', 'web-2']);
  assert.deepEqual(names('web compute-b'), ['web-2']);
  assert.deepEqual(names('7777'), ['batch']);
  assert.deepEqual(names('shut down'), ['batch']);
  assert.deepEqual(names('nothing'), []);
});

test('the list can be limited to instances with or without a screen', () => {
  assert.deepEqual(names('', 'console'), ['web-1', 'web-2']);
  assert.deepEqual(names('', 'off'), ['batch']);
});

test('a running and a paused guest have a screen', () => {
  assert.deepEqual(['running', 'paused', 'shutdown', 'crashed', 'suspended', 'nostate'].map(hasScreen), [true, true, false, false, false, false]);
});

test('a state that is not known yet is shown as the service names it', () => {
  assert.equal(stateWord('running').word, 'Running');
  assert.deepEqual(stateWord('rescued'), { word: 'rescued', tone: 'idle' });
});

test('readers are told why they cannot open a console', () => {
  assert.equal(obstacle({ state: 'running' }, ['member']), null);
  assert.equal(obstacle({ state: 'running' }, ['reader', 'admin']), null);
  assert.match(obstacle({ state: 'running' }, ['reader']), /role/);
  assert.match(obstacle({ state: 'shutdown' }, ['member']), /Not running/);
  assert.ok(!mayOpen([]));
});

test('unreachable computes are named to whom the service names them, and counted for others', () => {
  assert.equal(unreachableSentence([]), '');
  assert.equal(unreachableSentence(0), '');
  assert.equal(unreachableSentence(undefined), '');
  assert.match(unreachableSentence(['compute-a']), /^One compute host cannot be reached: compute-a\./);
  assert.match(unreachableSentence(2), /^2 compute hosts cannot be reached\./);
});

test('the count says how many of how many are shown', () => {
  assert.deepEqual([countSentence(3, 3), countSentence(1, 3)], ['3', '1 of 3']);
});
