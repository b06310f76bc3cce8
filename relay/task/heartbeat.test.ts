import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { BEAT_MS, DiskWait, Heart, LOOK_MS, OwnTime } from './heartbeat.ts';

/** A supervisor that watches one process. `beats` returns the process's report at each look. */
function watch(seconds: number, beats: (second: number) => number | undefined): string[] {
  const heart = new Heart();
  return Array.from({ length: seconds }, (_, second) => {
    const told = beats(second);
    if (told !== undefined) heart.beat(told);
    return heart.after(LOOK_MS).kind;
  });
}

test('a process that beats is well; one that stops is late, then lost; one that goes on again is well', () => {
  assert.deepEqual(new Set(watch(600, (second) => (second % 2 === 0 ? 0 : undefined))), new Set(['well']));
  const silent = watch(60, (second) => (second === 0 ? 0 : undefined));
  assert.deepEqual([...new Set(silent)], ['well', 'late', 'lost']);
  const stopped = watch(14, (second) => (second === 0 || second > 12 ? 0 : undefined));
  assert.deepEqual([stopped.at(-2), stopped.at(-1)], ['late', 'well']);
});

test('a process that beats is late, then lost, while its disk owes it an answer', () => {
  const hung = watch(60, (second) => (second % 2 === 0 ? second * 1_000 : undefined));
  assert.deepEqual([...new Set(hung)], ['well', 'late', 'lost']);
  assert.match(String(Reflect.get(lateBy(new Heart(), 15_000, 0), 'why')), /disk/);
  assert.match(String(Reflect.get(lateBy(new Heart(), 0, 15_000), 'why')), /no sign of life/);
});

function lateBy(heart: Heart, diskWaitMs: number, silentMs: number) {
  heart.beat(diskWaitMs);
  return heart.after(silentMs);
}

test('with patience a process is late as soon as any other, and lost later', () => {
  const heart = new Heart();
  const kinds = Array.from({ length: 60 }, () => heart.after(LOOK_MS, 2).kind);
  assert.deepEqual([kinds.indexOf('late'), kinds.indexOf('lost')], [7, 39]);
});

test('however long the one who looks was stopped itself, nobody is late by that', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 86_400_000 }), { maxLength: 50 }), (gaps) => {
      let now = 0;
      const time = new OwnTime(() => now, LOOK_MS);
      const heart = new Heart();
      for (const gap of gaps) {
        now += gap;
        // The timer runs before the waiting beat is read.
        assert.equal(heart.after(time.passed()).kind, 'well');
        heart.beat(0);
      }
    }),
  );
});

test('a write waits as long as it is the oldest, in the own time of its process', () => {
  const wait = new DiskWait();
  assert.deepEqual(
    [undefined, 5, 5, 5, 6, undefined].map((since) => wait.after(BEAT_MS, since)),
    [0, 0, BEAT_MS, 2 * BEAT_MS, 0, 0],
  );
});
