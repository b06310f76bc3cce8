import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeSuppressed } from './suppressed.ts';

const list = Array.from({ length: 5 }, (_, index) => ({
  address: `u${index}@example.com`,
  until: '2030-01-31T18:00:00Z',
  bounces: 1,
  status: '5.1.1',
  text: '550 gone',
}));
const countLines = (text: string) => text.trimEnd().split('\n').length;

test('the list ends at a screenful, and the rest is counted', () => {
  const text = describeSuppressed(list, false, 4);
  assert.match(
    text,
    /^u0@example\.com\n.*\nu1@example\.com\n.*\n\.\.\. and 3 more: add --all to list them\n$/,
  );
  const wide = describeSuppressed(list, true, 4);
  assert.match(wide, /\nu3@example\.com\t.*\n\.\.\. and 1 more: add --all to list them\n$/);
});

test('one recipient is always shown, and what fits is whole', () => {
  assert.match(describeSuppressed(list, false, 1), /^u0@.*\n.*\n\.\.\. and 4 more/);
  for (const lines of [10, Number.POSITIVE_INFINITY])
    assert.equal(countLines(describeSuppressed(list, false, lines)), 10);
  assert.equal(describeSuppressed([], false, 40), 'Nobody is suppressed.\n');
});
