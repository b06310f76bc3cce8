import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClientCounts } from './clientcounts.ts';

test('ClientCounts counts up and down, never below zero', () => {
  const counts = new ClientCounts();
  counts.add('a');
  counts.add('a');
  counts.add('b');
  assert.deepEqual([counts.of('a'), counts.of('b'), counts.of('c'), counts.total], [2, 1, 0, 3]);
  assert.deepEqual([counts.remove('b'), counts.remove('b'), counts.remove('c')], [true, false, false]);
  assert.deepEqual([counts.of('b'), counts.total], [0, 2]);
});

test('what a dead process had open is subtracted at once', () => {
  const all = new ClientCounts();
  const dead = new ClientCounts();
  for (const client of ['a', 'a', 'b']) dead.add(client);
  for (const client of ['a', 'a', 'a', 'b', 'c']) all.add(client);
  all.subtract(dead);
  assert.deepEqual([all.of('a'), all.of('b'), all.of('c'), all.total], [1, 0, 1, 2]);
  assert.deepEqual([dead.total, dead.remove('a')], [0, false]);
});
