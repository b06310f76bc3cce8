import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Line } from './line.ts';

const names = (count: number) => Array.from({ length: count }, (_, index) => `${index}`);

/** The next ones in turn, each of which leaves the line. */
function take(line: Line, count: number): string[] {
  const taken: string[] = [];
  for (const key of line.next(() => taken.length < count)) {
    line.delete(key);
    taken.push(key);
  }
  return taken;
}

test('one that comes behind very many strangers is soon next, and the oldest go on', () => {
  const line = new Line(true);
  for (const name of names(50_000)) line.add(name);
  // A slot becomes free at a time.
  assert.deepEqual([take(line, 1), take(line, 1), take(line, 1)], [['0'], ['49999'], ['1']]);
  line.add('new');
  assert.deepEqual([take(line, 1), take(line, 1)], [['new'], ['2']]);
});

test('a line of those that are known keeps its order', () => {
  const line = new Line(false);
  for (const name of names(5)) line.add(name);
  line.add('0');
  assert.deepEqual(take(line, 9), names(5));
});

test('each has its turn once, whoever leaves and comes again', () => {
  const line = new Line(true);
  for (let round = 0; round < 100; round++)
    for (const name of names(50)) {
      line.delete(name);
      line.add(name);
    }
  for (const name of names(20)) line.delete(name);
  assert.deepEqual(take(line, 99).toSorted(), names(50).slice(20).toSorted());
  assert.deepEqual([...line.keys(), ...take(line, 1)], []);
});
