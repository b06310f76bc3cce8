import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REPLIES } from './reply.ts';

test('every reply carries an enhanced code of its own class, and fits on a line', () => {
  for (const [name, { code, text }] of Object.entries(REPLIES)) {
    assert.match(text, new RegExp(`^${Math.floor(code / 100)}\\.\\d{1,2}\\.\\d{1,3} [A-Z]`), name);
    assert.ok(`${code} ${text}\r\n`.length <= 512, name);
  }
});
