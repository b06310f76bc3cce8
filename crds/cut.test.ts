import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { cutBytes, cutText } from './cut.ts';

const text = fc.string({ unit: 'binary' });
const most = fc.integer({ min: 0, max: 40 });

for (const [what, cut, lengthOf] of [
  ['units', cutText, (one: string) => one.length],
  ['bytes', cutBytes, (one: string) => Buffer.byteLength(one)],
] as const)
  test(`text is cut to a number of ${what}, between characters, and no earlier than it must be`, () => {
    fc.assert(
      fc.property(text, most, (whole, length) => {
        const short = cut(whole, length);
        assert.ok(whole.startsWith(short) && short.isWellFormed());
        assert.ok(lengthOf(short) <= length);
        const [next = ''] = whole.slice(short.length);
        assert.ok(next === '' || lengthOf(short + next) > length);
      }),
    );
  });

test('a pair is not halved', () => {
  assert.deepEqual(
    [1, 2, 3].map((length) => cutText('a😀', length)),
    ['a', 'a', 'a😀'],
  );
  assert.deepEqual(
    [3, 4, 5].map((length) => cutBytes('a😀', length)),
    ['a', 'a', 'a😀'],
  );
});
