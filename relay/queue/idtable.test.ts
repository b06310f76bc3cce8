import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { newQueueId, oldestQueueId } from '../spool/record.ts';
import { IdTable } from './idtable.ts';

const time = fc.oneof(fc.nat(3_000), fc.nat(4_000_000_000_000));
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('set' as const), at: time, value: fc.nat() }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('again' as const), which: fc.nat(), value: fc.nat() }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('shift' as const) }) },
);

test('it is what a sorted map would be, over many blocks', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1_000, maxLength: 3_000, size: 'max' }), (steps) => {
      const table = new IdTable();
      const model = new Map<string, number>();
      const some = (which: number) => [...model.keys()][which % Math.max(1, model.size)] ?? newQueueId(1);
      const set = (id: string, value: number) => {
        table.set(id, value);
        model.set(id, value);
      };
      const remove = (id: string) => {
        assert.equal(table.take(id), model.get(id));
        model.delete(id);
      };
      for (const one of steps) {
        if (one.kind === 'set') set(newQueueId(one.at), one.value);
        else if (one.kind === 'again') set(some(one.which), one.value);
        else if (one.kind === 'delete') remove(some(one.which));
        else remove(table.next() ?? newQueueId(1));
        assert.equal(table.size, model.size);
      }
      const sorted = [...model].toSorted(([a], [b]) => (a < b ? -1 : 1));
      assert.deepEqual(
        [...table.ids()].map((id) => [id, table.get(id)]),
        sorted,
      );
    }),
    { numRuns: 20 },
  );
});

test('in order of age it takes a hundred thousand, and gives those behind one, or behind a time', () => {
  const table = new IdTable();
  const ids = Array.from({ length: 100_000 }, (_, index) => newQueueId(index * 10));
  for (const [index, id] of ids.entries()) table.set(id, index);
  assert.deepEqual([...table.ids(ids[50_000])], ids.slice(50_001));
  assert.equal(table.next(oldestQueueId(600_000)), ids[60_000]);
  assert.equal(table.next(ids.at(-1)), undefined);
  for (const [index, id] of ids.entries()) {
    assert.equal(table.next(), id);
    assert.equal(table.take(id), index);
  }
  assert.equal(table.size, 0);
  assert.equal(table.next(), undefined);
});

test('what goes while it is listed is passed over, and what comes behind is listed', () => {
  const table = new IdTable();
  const [first, second, third, last] = [1, 2, 3, 4].map((at) => newQueueId(at)) as [
    string,
    string,
    string,
    string,
  ];
  for (const id of [first, second, third]) table.set(id, 0);
  const seen: string[] = [];
  for (const id of table.ids()) {
    seen.push(id);
    table.take(id);
    table.take(second);
    if (id === third) table.set(last, 0);
  }
  assert.deepEqual(seen, [first, third, last]);
});

test('what is no queue id is refused', () => {
  assert.throws(() => new IdTable().set('short', 1), RangeError);
});
