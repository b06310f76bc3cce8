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
    const lesson = batches.failed(batch, { kind: 'refused', isLasting: false }, now);
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
  return { key: name(index), value: '{}' };
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

test('an event is not given up while others fail as it does, and given up when they do no more', () => {
  const batches = new Batches();
  const [bad, good] = [makeEvent(1), makeEvent(2)];
  const broke = { kind: 'erred', isLasting: false } as const;
  let now = 0;
  const lessons = (tries: number, doOthersFail: boolean) =>
    Array.from({ length: tries }, () => {
      now += 300_000;
      const { kind } = batches.failed([bad], broke, now);
      if (doOthersFail) batches.failed([good], { ...broke, kind: 'failed' }, now);
      batches.taken([good]);
      return kind;
    });
  assert.deepEqual(lessons(4, false), ['wait', 'wait', 'wait', 'wait']);
  assert.equal(batches.isSuspect([bad]), false, 'others were taken, so it was not four times in a row');
  for (let times = 0; times < 4; times++) batches.failed([bad], broke, now);
  assert.equal(batches.isSuspect([bad]), true);
  assert.ok(lessons(100, true).every((kind) => kind !== 'giveUp'));
  assert.equal(lessons(12, false).at(-1), 'giveUp');
});

test('a batch is halved when the receiver broke at it four times in a row, and at no other failure', () => {
  const batches = new Batches();
  const events = Array.from({ length: 1_000 }, (_, index) => makeEvent(index));
  const lessons = (kind: 'erred' | 'failed', times: number) =>
    Array.from({ length: times }, () => {
      const batch = batches.pick(events, 0);
      return [batch.length, batches.failed(batch, { kind, isLasting: false }, 0).kind];
    });
  assert.ok(lessons('failed', 20).every(([size, kind]) => size === 1_000 && kind === 'wait'));
  assert.deepEqual(lessons('erred', 5), [
    [1_000, 'wait'],
    [1_000, 'wait'],
    [1_000, 'wait'],
    [1_000, 'split'],
    [500, 'wait'],
  ]);
  // What is taken after all has nothing in it that must be found.
  batches.taken(batches.pick(events, 0));
  assert.equal(batches.pick(events, 0).length, 1_000);
});

/** The sizes of the batches of a receiver that answers `kind` to what is larger than `most`. */
function sizes(kind: 'too large' | 'late', most: number, requests: number) {
  const batches = new Batches();
  const events = Array.from({ length: 2_000 }, (_, index) => makeEvent(index));
  return Array.from({ length: requests }, () => {
    const batch = batches.pick(events, 0);
    if (batch.length <= most) batches.taken(batch);
    else assert.equal(batches.failed(batch, { kind, isLasting: false }, 0).kind, LESSONS[kind]);
    return batch.length;
  });
}
const LESSONS = { 'too large': 'split', late: 'wait' };

for (const kind of ['too large', 'late'] as const)
  test(`a receiver that finds more than 200 events ${kind} gets batches of its size, and a larger one now and then`, () => {
    const asked = sizes(kind, 200, 400);
    assert.deepEqual(asked.slice(0, 7), [1_000, 500, 250, 125, 125, 125, 125]);
    assert.deepEqual(asked.slice(102, 106), [125, 250, 125, 125]);
    assert.ok(asked.slice(4).filter((size) => size > 200).length <= 4);
  });

test('a receiver that takes larger batches again gets them', () => {
  const batches = new Batches();
  const events = Array.from({ length: 2_000 }, (_, index) => makeEvent(index));
  for (let times = 0; times < 20; times++)
    batches.failed(batches.pick(events, 0), { kind: 'late', isLasting: false }, 0);
  assert.equal(batches.pick(events, 0).length, 50);
  for (let times = 0; times < 500; times++) batches.taken(batches.pick(events, 0));
  assert.equal(batches.pick(events, 0).length, 1_000);
});

test('few events that are too large are refused, and a few that are late are no reason for smaller batches', () => {
  const batches = new Batches();
  const few = Array.from({ length: 50 }, (_, index) => makeEvent(index));
  assert.equal(batches.failed(few, { kind: 'late', isLasting: false }, 0).kind, 'wait');
  assert.equal(batches.pick(few, 0).length, 50);
  assert.equal(batches.failed(few, { kind: 'too large', isLasting: false }, 0).kind, 'split');
  assert.equal(batches.pick(few, 0).length, 25);
  batches.failed(few.slice(0, 1), { kind: 'too large', isLasting: false }, 0);
  assert.equal(batches.isSuspect(few), true);
});
