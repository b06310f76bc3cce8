import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { compareDue, DueHeap } from './dueheap.ts';

const entry = fc.tuple(fc.string({ maxLength: 2 }), fc.nat(9)).map(([id, due]) => ({ id, due }));

test('entries come in the order of their times, and of their ids, however they were added', () => {
  fc.assert(
    fc.property(fc.array(entry), fc.array(fc.option(entry, { nil: null })), (first, steps) => {
      const heap = new DueHeap([...first]);
      const left = [...first];
      for (const step of steps) {
        left.sort(compareDue);
        assert.equal(heap.size, left.length);
        if (step === null) assert.deepEqual(heap.takeFirst(), left.shift());
        else {
          heap.add(step);
          left.push(step);
        }
      }
      left.sort(compareDue);
      for (const one of left) assert.deepEqual([heap.first, heap.takeFirst()], [one, one]);
      assert.deepEqual([heap.first, heap.takeFirst(), heap.size], [undefined, undefined, 0]);
    }),
  );
});
