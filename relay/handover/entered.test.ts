/** What a receiver remembers of the entries that it has entered. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Entered } from './entered.ts';
import { UNANSWERED_MS } from './entry.ts';

test('an entry is remembered for longer than a giver asks for it, and then no more', () => {
  let now = 0;
  const entered = new Entered(() => now);
  entered.add('a');
  now = UNANSWERED_MS + 60_000;
  entered.add('b');
  assert.deepEqual([entered.has('a'), entered.has('b')], [true, true]);
  now += 60_000;
  assert.deepEqual([entered.has('a'), entered.has('b'), entered.isEmpty], [false, true, false]);
  now += UNANSWERED_MS + 60_000;
  assert.equal(entered.isEmpty, true);
});

test('of too many the oldest are forgotten, and one that comes again is no longer the oldest', () => {
  const entered = new Entered(() => 0, 2);
  for (const id of ['a', 'b', 'a', 'c']) entered.add(id);
  assert.deepEqual(
    ['a', 'b', 'c'].map((id) => entered.has(id)),
    [true, false, true],
  );
});
