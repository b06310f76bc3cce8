import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SpoolEvent } from '../spool/spool.ts';
import { Batches } from './batches.ts';

/** A receiver that never takes these events, and the events that it was asked to take. */
function receive(count: number, refuses: (key: string) => boolean) {
  const batches = new Batches();
  const asked: string[][] = [];
  const given: string[] = [];
  let waiting = Array.from({ length: count }, (_, index) => makeEvent(index));
  let now = 0;
  /** One request, or a pause. */
  const step = () => {
    const batch = batches.pick(waiting.slice(0, batches.choice), now);
    now += 500;
    if (batch.length === 0) return;
    const keys = batch.map(({ key }) => key);
    asked.push(keys);
    if (!keys.some(refuses)) {
      batches.taken(batch);
      waiting = waiting.filter(({ key }) => !keys.includes(key));
      return;
    }
    const lesson = batches.refused(batch, now);
    if (lesson.kind !== 'giveUp') return;
    given.push(lesson.key);
    waiting = waiting.filter(({ key }) => key !== lesson.key);
  };
  return {
    asked,
    given,
    step,
    steps: (times: number) => {
      for (let index = 0; index < times; index++) step();
    },
    get waiting() {
      return waiting.map(({ key }) => key);
    },
    arrive: (index: number) => waiting.push(makeEvent(index)),
  };
}

function makeEvent(index: number): SpoolEvent {
  return { key: name(index), value: Buffer.from('{}') };
}

const name = (index: number) => String(index).padStart(6, '0');

test('one event that is refused costs the others a few requests; it is given up when others were taken again and again', () => {
  const hook = receive(500, (key) => key === name(250));
  for (let steps = 0; hook.waiting.length > 1 && steps < 100; steps++) hook.step();
  assert.deepEqual(hook.waiting, [name(250)]);
  assert.ok(hook.asked.length < 30, `${hook.asked.length} requests`);
  // Nothing else is taken, so the receiver may be wrong as a whole.
  hook.steps(10_000);
  assert.deepEqual(hook.waiting, [name(250)]);
  let next = 500;
  let steps = 0;
  for (; hook.waiting.includes(name(250)); steps++) {
    hook.arrive(next++);
    hook.step();
  }
  assert.deepEqual(hook.given, [name(250)]);
  assert.ok(steps * 500 > 15 * 60_000, `after ${steps / 2} s`);
  const tries = hook.asked.filter(([key, other]) => key === name(250) && other === undefined);
  assert.ok(tries.length >= 12);
});

test('a receiver that refuses everything gives up nothing, and all events have their turn', () => {
  const hook = receive(10, () => true);
  hook.steps(10_000);
  assert.deepEqual([hook.waiting.length, hook.given], [10, []]);
  const alone = hook.asked.filter(({ length }) => length === 1).flat();
  assert.equal(new Set(alone).size, 10);
});

test('a receiver that takes events again gets those that it refused', () => {
  let isWrong = true;
  const hook = receive(10, () => isWrong);
  hook.steps(50);
  isWrong = false;
  hook.steps(50);
  assert.deepEqual([hook.waiting, hook.given], [[], []]);
});

test('several events that are refused do not hide those behind them', () => {
  const hook = receive(1_000, (key) => Number(key) < 300);
  hook.steps(1_000);
  assert.ok(hook.waiting.every((key) => Number(key) < 300));
});
