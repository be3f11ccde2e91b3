import assert from 'node:assert/strict';
import { test } from 'node:test';

import { LONGEST_MS, SCHEDULES, nextPause } from '../../../app/porthole/web/static/js/backoff.js';

const at = (kind, tries, time = {}) => nextPause(kind, tries, { now: 0, began: 0, expires: null, random: 0, ...time });

for (const kind of Object.keys(SCHEDULES)) {
  test(`${kind}: pauses grow up to a bound, and end`, () => {
    const { first, longest, tries } = SCHEDULES[kind];
    const pauses = Array.from({ length: tries }, (_, i) => at(kind, i + 1));
    assert.equal(pauses[0], first);
    assert.deepEqual(pauses, [...pauses].sort((a, b) => a - b));
    assert.equal(pauses.at(-1), longest);
    assert.equal(at(kind, tries + 1), null);
  });
}

test('pauses are spread by a fifth at most', () => {
  assert.equal(at('waiting', 1, { random: 1 }), SCHEDULES.waiting.first * 1.2);
});

test('the last pause ends a second after the token, so that the service says that it has expired', () => {
  assert.equal(at('waiting', 9, { now: 1000, expires: 2500 }), 2500);
});

test('a token that has expired already does not hurry', () => {
  assert.equal(at('waiting', 1, { now: 5000, expires: 1000 }), SCHEDULES.waiting.first);
});

test('nothing is tried for ever', () => {
  assert.equal(at('waiting', 2, { now: LONGEST_MS }), null);
});
