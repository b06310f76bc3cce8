import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { dropOldest } from './oldest.ts';

test('there are never more than allowed, the newest stay, and few go at a time', () => {
  const bound = fc.integer({ min: 1, max: 40 });
  fc.assert(
    fc.property(bound, fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 200 }), (most, keys) => {
      const entries = new Map<number, true>();
      let order: number[] = [];
      for (const key of keys) {
        entries.delete(key);
        entries.set(key, true);
        order = [...order.filter((one) => one !== key), key];
        const before = entries.size;
        dropOldest(entries, most);
        assert.ok(entries.size <= most && entries.size > 0);
        assert.ok(before - entries.size <= 1 + most / 8);
        order = order.slice(-entries.size);
        assert.deepEqual([...entries.keys()], order);
      }
    }),
  );
});

test('a set is bounded too', () => {
  const entries = new Set(Array.from({ length: 9 }, (_, index) => index));
  dropOldest(entries, 8);
  assert.deepEqual([...entries], [2, 3, 4, 5, 6, 7, 8]);
});
