import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  FOREIGN_ADDRESS, NO_TOKEN, NO_VIEWER, STATE_WORDS, fromClose, fromProblem, gaveUp, pageTitle, securityRefusal, stoppedByUser,
} from '../../../app/porthole/web/static/js/words.js';

const problem = (code, status = 400, detail = '') => fromProblem({ status, code, detail });
const close = (code, reason = '', connected = true) => fromClose({ code, reason, connected });

for (const [code, state, retry] of [
  ['token-missing', 'refused', null],
  ['token-expired', 'expired', null],
  ['token-used', 'refused', null],
  ['token-invalid', 'refused', null],
  ['origin-refused', 'refused', null],
  ['instance-not-found', 'refused', null],
  ['instance-not-running', 'waiting', 'waiting'],
  ['console-type-unavailable', 'refused', null],
  ['compute-unavailable', 'unreachable', 'unreachable'],
  ['too-many-sessions', 'unreachable', 'unreachable'],
  ['session-limit', 'unreachable', 'unreachable'],
  ['service-stopping', 'unreachable', 'unreachable'],
  ['store-unavailable', 'unreachable', 'unreachable'],
  ['audit-unavailable', 'unreachable', 'unreachable'],
  ['not-authenticated', 'refused', null],
  ['forbidden', 'refused', null],
  ['bad-request', 'refused', null],
  ['unreachable', 'reconnecting', 'reconnecting'],
]) {
  test(`the problem ${code} is shown as ${state}, and ${retry ? 'is tried again' : 'is final'}`, () => {
    const outcome = problem(code);
    assert.equal(outcome.state, state);
    assert.equal(outcome.retry, retry);
    assert.ok(outcome.title && outcome.text);
  });
}

test("the service's own sentence comes first", () => {
  assert.equal(problem('instance-not-found', 404, 'There is no instance web-9.').text, 'There is no instance web-9.');
});

test('nobody is told to ask again while the page waits by itself', () => {
  const { text } = problem('instance-not-running', 409, 'Start it, then ask for the console again.');
  assert.match(text, /Leave this page open/);
});

test('an unknown problem is final, unless its status says that it passes', () => {
  assert.equal(problem('something-new', 418).retry, null);
  assert.equal(problem('', 500).retry, null);
  for (const status of [429, 502, 503, 504]) {
    assert.equal(problem('', status).retry, 'reconnecting');
  }
});

for (const [code, state, retry, offer] of [
  [1000, 'ended', null, 'again'],
  [1001, 'reconnecting', 'reconnecting', 'again'],
  [1002, 'ended', null, 'again'],
  [1003, 'ended', null, 'again'],
  [1006, 'reconnecting', 'reconnecting', 'again'],
  [1007, 'ended', null, 'again'],
  [1009, 'ended', null, 'again'],
  [1011, 'reconnecting', 'reconnecting', 'again'],
  [4000, 'ended', null, 'wait'],
  [4001, 'ended', null, 'new'],
  [4002, 'ended', null, null],
  [4005, 'ended', null, 'again'],
  [4006, 'ended', null, null],
  [4007, 'ended', null, 'new'],
  [4003, 'reconnecting', 'reconnecting', 'again'],
  [4004, 'reconnecting', 'reconnecting', 'again'],
]) {
  test(`close code ${code} is shown as ${state}; offered: ${offer}`, () => {
    const outcome = close(code);
    assert.deepEqual([outcome.state, outcome.retry, outcome.offer], [state, retry, offer]);
    assert.ok(outcome.title && outcome.text);
    assert.equal(close(code, 'A sentence of the service.').text, 'A sentence of the service.');
  });
}

test('of an end from elsewhere the page says what the service says of who did it, and guesses nobody', () => {
  assert.equal(close(4002, 'The person who shared this console ended this session.').text, 'The person who shared this console ended this session.');
  assert.doesNotMatch(close(4002).text, /administrator/i);
});

test('a connection that never stood is described otherwise than one that was lost', () => {
  assert.notEqual(close(1006, '', true).title, close(1006, '', false).title);
});

test('when the retries have run out nothing is promised any more', () => {
  assert.deepEqual([gaveUp(problem('instance-not-running')).state, gaveUp(close(1006)).state], ['ended', 'ended']);
  assert.equal(gaveUp(problem('compute-unavailable')).state, 'unreachable');
  assert.equal(gaveUp(close(1006)).retry, null);
});

test('what the person stopped is ended, with a way back', () => {
  assert.equal(stoppedByUser(null).offer, 'again');
  assert.deepEqual([stoppedByUser(problem('instance-not-running')).state, stoppedByUser(close(1006)).retry], ['ended', null]);
});

test("a VNC server's reason is shortened and kept on one line", () => {
  const { text } = securityRefusal(`No\n\t${'x'.repeat(10_000)}`);
  assert.ok(text.length < 350);
  assert.ok(!text.includes('\n'));
  assert.match(securityRefusal('').text, /no reason/);
});

test('every state has a word, and the title begins with the instance', () => {
  for (const outcome of [NO_TOKEN, FOREIGN_ADDRESS, NO_VIEWER, close(1006), problem('token-expired'), problem('compute-unavailable')]) {
    assert.ok(STATE_WORDS[outcome.state]);
  }
  assert.equal(pageTitle('web-1', 'connected'), 'web-1 — connected');
  assert.equal(pageTitle('', 'expired'), 'Console — expired');
});
