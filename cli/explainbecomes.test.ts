import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeBecomes } from './explainbecomes.ts';

test('what an address becomes is told, and nothing where it stays; of a long alias the first addresses are named', () => {
  const told = (to: readonly string[], from = '', copies: readonly string[] = [], isOfSubmitted = true) =>
    describeBecomes(
      { from: '', to: 'a@example.com' },
      { kind: 'addresses', from, to, copies, isOfSubmitted },
    );
  assert.equal(told(['a@example.com']), '');
  assert.match(
    told(['b@example.com'], 'c@example.com'),
    /^sender +becomes c@example\.com where .*\nbecomes +b@/,
  );
  assert.match(told(['a@example.com'], 'c@example.com', [], false), /^sender +becomes c@example\.com \(/);
  assert.match(told(['a@example.com'], '', ['box@example.com']), /^copy to +box@example\.com\n$/);
  const many = Array.from({ length: 25 }, (_, index) => `${index}@example.com`);
  assert.match(told(many), /, 19@example\.com and 5 more \(addresses\)\n$/);
});
