import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Backoff } from '#crds/policyfile.ts';
import fc from '#test/kit/property.ts';
import { destinationRetryMs, failuresWithin, listPauses, loginRetryMs, messageRetryMs } from './schedule.ts';

const HALF = 0.5;
const MINUTE = 60_000;

test('a message waits 1, 2, 5, 10, 20 minutes, then half an hour each time, whatever the jitter', () => {
  for (const random of [0, HALF, 0.999]) {
    const pauses: number[] = [];
    for (let age = 0; pauses.length < 8; age += messageRetryMs(age, random))
      pauses.push(messageRetryMs(age, HALF));
    assert.deepEqual(
      pauses.map((ms) => ms / 60_000),
      [1, 2, 5, 10, 20, 30, 30, 30],
    );
  }
});

test('a destination that was away for long is probed as late as one that was probed all the while', () => {
  assert.deepEqual(
    [0, 999, 1_000, 3_000, 3_600_000].map((ms) => failuresWithin(ms)),
    [0, 0, 1, 2, 19],
  );
});

test('a destination is probed after a second, and for five minutes at most half a minute apart', () => {
  const seconds = Array.from({ length: 14 }, (_, index) => destinationRetryMs(index + 1, HALF) / 1000);
  assert.deepEqual(seconds, [1, 2, 4, 8, 16, ...Array.from({ length: 9 }, () => 30)]);
  assert.ok(seconds.reduce((sum, pause) => sum + pause) >= 300);
  assert.equal(destinationRetryMs(1000, HALF), 15 * 60_000);
});

test('pauses never shrink, and jitter stays within a fifth', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 50 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (count, random) => {
        for (const pause of [loginRetryMs, destinationRetryMs]) {
          assert.ok(pause(count + 1, HALF) >= pause(count, HALF));
          const ratio = pause(count, random) / pause(count, HALF);
          assert.ok(ratio > 0.799 && ratio < 1.201, `${ratio}`);
        }
      },
    ),
  );
});

const anyRandom = fc.double({ min: 0, max: 0.999999, noNaN: true });
const anyBackoff: fc.Arbitrary<Backoff> = fc
  .tuple(fc.integer({ min: 1, max: 1_000_000 }), fc.integer({ min: 0, max: 500_000_000 }))
  .map(([minSeconds, more]) => ({ minSeconds, maxSeconds: minSeconds + more }));

test('a backoff of the spec grows from its least pause to its most, for messages and for probes alike', () => {
  const backoff = { minSeconds: 300, maxSeconds: 2 * 3600 };
  assert.deepEqual(
    listPauses(backoff).map((seconds) => seconds / 60),
    [5, 10, 25, 50, 100, 120],
  );
  assert.deepEqual(listPauses({ minSeconds: 60, maxSeconds: 60 }), [60]);
  // The first pause is jittered upwards alone, and the last one downwards.
  assert.deepEqual(
    [0, 5, 15, 40, 90, 190, 310, 10_000].map((age) => messageRetryMs(age * MINUTE, HALF, backoff) / MINUTE),
    [5.5, 10, 25, 50, 100, 108, 108, 108],
  );
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 7, 1_000].map((failures) => destinationRetryMs(failures, HALF, backoff) / MINUTE),
    [5.5, 10, 25, 50, 100, 108, 108, 108],
  );
});

test('no pause is shorter than the least or longer than the most, and none is shorter than an earlier one', () => {
  fc.assert(
    fc.property(
      anyBackoff,
      anyRandom,
      fc.nat(2 ** 45),
      fc.nat(2 ** 45),
      fc.nat(99),
      (backoff, random, a, b, n) => {
        const [younger, older] = [Math.min(a, b), Math.max(a, b)];
        const first = messageRetryMs(younger, random, backoff);
        const probe = destinationRetryMs(n + 1, random, backoff);
        for (const pause of [first, probe])
          assert.ok(pause >= backoff.minSeconds * 1000 && pause <= backoff.maxSeconds * 1000, `${pause}`);
        assert.ok(messageRetryMs(older, random, backoff) >= first);
        assert.ok(destinationRetryMs(n + 2, random, backoff) >= probe);
      },
    ),
  );
});

test('the pauses follow each other whatever the jitter, and reach the most', () => {
  fc.assert(
    fc.property(anyBackoff, fc.array(anyRandom, { minLength: 40, maxLength: 40 }), (backoff, randoms) => {
      const wanted = listPauses(backoff);
      let age = 0;
      for (const [index, random] of randoms.entries()) {
        const nominal = (wanted[Math.min(index, wanted.length - 1)] ?? 0) * 1000;
        const pause = messageRetryMs(age, random, backoff);
        assert.ok(pause > 0.799 * nominal && pause < 1.201 * nominal, `attempt ${index}: ${pause}`);
        age += pause;
      }
    }),
  );
});

test('a destination that was away for long is probed as late by its own backoff as well', () => {
  fc.assert(
    fc.property(anyBackoff, fc.integer({ min: 0, max: 60 }), (backoff, failures) => {
      let away = 0;
      const steps = listPauses(backoff).map((seconds) => seconds * 1000);
      for (let n = 0; n < failures; n++) away += steps[Math.min(n, steps.length - 1)] ?? 0;
      const known = failuresWithin(away, backoff);
      assert.equal(
        destinationRetryMs(known + 1, HALF, backoff),
        destinationRetryMs(failures + 1, HALF, backoff),
      );
    }),
  );
});

test('a refused login is tried no sooner than without a backoff', () => {
  fc.assert(
    fc.property(anyBackoff, anyRandom, fc.integer({ min: 1, max: 30 }), (backoff, random, failures) => {
      const pause = loginRetryMs(failures, random, backoff);
      assert.ok(pause >= loginRetryMs(failures, random));
      assert.ok(pause >= destinationRetryMs(failures, random, backoff));
    }),
  );
});
