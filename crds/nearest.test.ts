import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findNearest } from './nearest.ts';

test('findNearest finds what was meant, and nothing where nothing is near', () => {
  const known = ['starttls', 'listeners', 'limits', 'enabled'];
  for (const [word, meant] of [
    ['startls', 'starttls'],
    ['STARTTLS', 'starttls'],
    ['listener', 'listeners'],
    ['limtis', 'limits'],
    ['enable', 'enabled'],
    ['x', undefined],
    ['', undefined],
    ['clients', undefined],
  ] as const)
    assert.equal(findNearest(word, known), meant, word);
});
