import assert from 'node:assert/strict';
import { test } from 'node:test';
import { paint, paintNames } from './styles.ts';
import { note, row } from './terminal.ts';

test('where the output is no terminal nothing is added', () => {
  const text = `${row('not in force', 'a  b')}\n${note('c')}\n${row('at Encrypt', 'mail')}\n`;
  assert.equal(paintNames(text), text);
  assert.equal(paint('red', 'x'), 'x');
});
