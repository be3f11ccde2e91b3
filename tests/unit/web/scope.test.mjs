import assert from 'node:assert/strict';
import { test } from 'node:test';

import { scopeOf } from '../../../app/porthole/web/static/js/scope.js';

test('a project alone is of the default domain, which is not named', () => {
  assert.deepEqual(scopeOf('web', ''), { project: 'web' });
  assert.deepEqual(scopeOf('web', '  '), { project: 'web' });
});

test('a domain is the one of user and project', () => {
  assert.deepEqual(scopeOf('web', 'Customers'), { project: 'web', user_domain: 'Customers' });
});

test('blanks around a name, as copying leaves them, do not count', () => {
  assert.deepEqual(scopeOf(' web\t', ' Customers '), { project: 'web', user_domain: 'Customers' });
});
