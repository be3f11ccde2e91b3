import assert from 'node:assert/strict';
import { test } from 'node:test';

import { untilWarning } from '../../../app/porthole/web/static/js/ending.js';
import { keep, recall, secretOf } from '../../../app/porthole/web/static/js/keep.js';
import { isSecret, newSecret, subprotocols } from '../../../app/porthole/web/static/js/secret.js';

/** As a browser's, as far as it is used: entries are properties. */
class MadeUpStorage {
  setItem(name, value) { this[name] = value; }
  getItem(name) { return this[name] ?? null; }
  removeItem(name) { delete this[name]; }
}

const entry = (token, secret) => ({ token, secret, path: '/', instance: null, expiresAt: null });

test('a secret is 32 bytes in base64url, and never the same', () => {
  const secrets = Array.from({ length: 200 }, newSecret);
  for (const secret of secrets) {
    assert.match(secret, /^[A-Za-z0-9_-]{43}$/);
    assert.ok(isSecret(secret));
  }
  assert.equal(new Set(secrets).size, 200);
});

test('what is kept and is no secret is not offered', () => {
  for (const wrong of [null, undefined, '', 'short', 'x'.repeat(44), `${'x'.repeat(42)}!`, 7, {}]) {
    assert.ok(!isSecret(wrong));
  }
});

test('it is offered beside a name that may be echoed', () => {
  assert.deepEqual(subprotocols('S'), ['binary', 'porthole.resume.S']);
});

test('the same address opened again in the same tab finds its secret, another address does not', () => {
  const storage = new MadeUpStorage();
  keep(storage, 'k1', entry('t1', 's1'));
  keep(storage, 'k2', entry('t2', 's2'));
  assert.equal(secretOf(storage, 't1'), 's1');
  assert.equal(secretOf(storage, 't3'), null);
  assert.equal(recall(storage, 'k2').secret, 's2');
});

test('a storage that throws keeps nothing and breaks nothing', () => {
  const storage = new Proxy({}, { get() { throw new Error('SecurityError'); }, ownKeys() { throw new Error('SecurityError'); } });
  assert.equal(secretOf(storage, 't1'), null);
  assert.equal(recall(storage, 'k1'), null);
  assert.equal(keep(storage, 'k1', entry('t1', 's1')), false);
});

test('the warning comes a minute before the end', () => {
  const left = (seconds) => ({ id: 's', seconds_left: seconds, renewable: true });
  assert.equal(untilWarning(left(600)), 540);
  assert.equal(untilWarning(left(60)), 0);
  assert.equal(untilWarning(left(3)), 0);
  assert.ok(untilWarning(left(10 ** 9)) * 1000 < 2 ** 31, 'a timer would fire at once');
});

test('a session without an end is not asked about again', () => {
  assert.equal(untilWarning(null), null);
  assert.equal(untilWarning({ id: 's', seconds_left: null, renewable: false }), null);
});
