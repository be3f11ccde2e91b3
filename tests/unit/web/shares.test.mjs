import assert from 'node:assert/strict';
import { test } from 'node:test';

import { describeShare, duration, sharesOf, times } from '../../../app/porthole/web/static/js/shares.js';

const SHARE = { token_id: 't1', instance_id: 'i1', user_id: 'max', expires_at: '2026-11-22T18:00:00Z', uses: 3, used: 1 };

test('a time is said in the largest unit that it fills', () => {
  assert.deepEqual([1, 90, 60, 900, 3600, 5400, 86_400, 172_800].map(duration), [
    '1 second', '90 seconds', '1 minute', '15 minutes', '1 hour', '90 minutes', '1 day', '2 days',
  ]);
});

test('the usual time is chosen, and none is longer than allowed', () => {
  const offered = times({ expires_in: 3600, longest: 86_400 });
  assert.deepEqual(offered.map(({ words }) => words), ['15 minutes', '1 hour', '4 hours', '8 hours', '1 day']);
  assert.deepEqual(offered.filter(({ usual }) => usual).map(({ seconds }) => seconds), [3600]);
});

test('what is usual or the most is offered, however odd, and once', () => {
  assert.deepEqual(times({ expires_in: 600, longest: 1000 }).map(({ seconds }) => seconds), [600, 900, 1000]);
  assert.deepEqual(times({ expires_in: 60, longest: 60 }).map(({ seconds, usual }) => [seconds, usual]), [[60, true]]);
});

test('a link says until when, how often it was opened, and by whom it was made unless by me', () => {
  const words = describeShare(SHARE, 'max', 'en-GB');
  assert.match(words, /^Until \w{3},? \d{2}:\d{2}; opened 1 of 3 times$/);
  assert.equal(describeShare(SHARE, 'ann', 'en-GB'), `${words}, by max`);
});

test('links of other instances are not listed', () => {
  assert.deepEqual(sharesOf([SHARE, { ...SHARE, instance_id: 'i2' }], 'i1'), [SHARE]);
});
