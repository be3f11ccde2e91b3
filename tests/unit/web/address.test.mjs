import assert from 'node:assert/strict';
import { test } from 'node:test';

import { TOKEN_MAX, cleanAddress, isWebAddress, readAddress, socketUrl } from '../../../app/porthole/web/static/js/address.js';
import { keep, recall } from '../../../app/porthole/web/static/js/keep.js';

const PAGE = 'http://10.0.0.5:6080/vnc_auto.html';
const nothing = { token: null, path: null, instance: null, foreign: false };

test("Nova's address names the token inside path", () => {
  const found = readAddress(`${PAGE}?path=%3Ftoken%3Dabc.DEF-_1`);
  assert.deepEqual(found, { ...nothing, token: 'abc.DEF-_1', path: '/vnc_auto.html' });
  assert.equal(socketUrl(PAGE, found.path, found.token), 'ws://10.0.0.5:6080/vnc_auto.html?token=abc.DEF-_1');
});

test('a path before the token is resolved against the page', () => {
  assert.equal(readAddress(`${PAGE}?path=websockify%3Ftoken%3Dabc`).path, '/websockify');
  assert.equal(readAddress('https://h/consoles/vnc_auto.html?path=websockify%3Ftoken%3Dabc').path, '/consoles/websockify');
});

test('a bare token is understood', () => {
  assert.deepEqual(readAddress(`${PAGE}?token=abc`), { ...nothing, token: 'abc', path: '/vnc_auto.html' });
});

test('a page over TLS uses a WebSocket over TLS', () => {
  assert.equal(socketUrl('https://h/vnc_auto.html?path=x#y', '/vnc_auto.html', 'abc'), 'wss://h/vnc_auto.html?token=abc');
});

test('IPv6 hosts keep their brackets', () => {
  assert.equal(socketUrl('http://[2001:db8::1]:6080/vnc_auto.html', '/vnc_auto.html', 'a'), 'ws://[2001:db8::1]:6080/vnc_auto.html?token=a');
});

for (const path of ['//evil.example/?token=abc', 'https://evil.example/?token=abc', '\\\\evil.example\\?token=abc', 'http://10.0.0.5:6081/?token=abc']) {
  test(`the token is not taken to another host by ${path}`, () => {
    assert.deepEqual(readAddress(`${PAGE}?path=${encodeURIComponent(path)}`), { ...nothing, foreign: true });
  });
}

test('a path that looks like a host stays a path', () => {
  assert.equal(new URL(socketUrl(PAGE, '//evil.example/', 'abc')).host, '10.0.0.5:6080');
});

test('an address without a token, or with junk for one, has none', () => {
  for (const query of ['', '?path=', '?path=websockify', '?token=', '?path=http://[', `?token=${'x'.repeat(TOKEN_MAX + 1)}`]) {
    assert.equal(readAddress(PAGE + query).token, null, query.slice(0, 30));
  }
});

test('the token leaves the address, the instance stays', () => {
  assert.equal(cleanAddress(`${PAGE}?path=%3Ftoken%3Dabc#token=abc`, null), '/vnc_auto.html');
  assert.equal(cleanAddress(`${PAGE}?token=abc`, 'id/1 2'), '/vnc_auto.html?instance=id%2F1+2');
  assert.equal(readAddress(`${PAGE}?instance=id%2F1+2`).instance, 'id/1 2');
});

test('the page goes only to addresses of the web', () => {
  assert.ok(isWebAddress('https://h/vnc_auto.html'));
  for (const address of ['javascript:alert(1)', 'data:text/html,x', '/relative', '', null, 7]) {
    assert.ok(!isWebAddress(address), String(address));
  }
});

class Storage {
  setItem(name, value) { this[name] = value; }
  getItem(name) { return this[name] ?? null; }
  removeItem(name) { delete this[name]; }
}

test('an entry is found again under its own key only', () => {
  const storage = new Storage();
  const entry = { token: 'abc', path: '/', instance: null, expiresAt: null };
  assert.ok(keep(storage, 'one', entry));
  assert.deepEqual(recall(storage, 'one'), entry);
  for (const key of ['two', undefined, null, 7]) {
    assert.equal(recall(storage, key), null);
  }
});

test('the store does not grow for ever', () => {
  const storage = new Storage();
  for (let i = 0; i < 100; i += 1) {
    keep(storage, `key${i}`, { token: 'abc' });
  }
  assert.equal(Object.keys(storage).length, 20);
  assert.ok(recall(storage, 'key99'));
});

test('a browser without a store, or with junk in it, is no failure', () => {
  const broken = { setItem() { throw new Error('full'); }, getItem() { throw new Error('denied'); } };
  assert.equal(keep(broken, 'one', {}), false);
  assert.equal(recall(broken, 'one'), null);
  assert.equal(recall({ getItem: () => '{' }, 'one'), null);
});
