import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import fc from '#test/kit/property.ts';
import { SlowDowns, slow } from './slowdowns.ts';

const MINUTE = 60_000;
const failure = makeFailure({ cause: 'reply', status: '4.7.0', text: '421 4.7.0 slow down', slowDown: true });
const LIMITS = { connections: 16, messagesPerMinute: 100 };
const request = (underWay = 16) => ({ name: 'big', underWay, failure });

test('a request halves the pace, those of the same minute count once, and each five minutes undo one halving', () => {
  const slowDowns = new SlowDowns();
  assert.equal(slowDowns.apply('a', LIMITS, 0), LIMITS);
  assert.deepEqual(
    [0, 1, 59_999, 60_000].map((now) => slowDowns.asked('a', request(), now)),
    [true, false, false, true],
  );
  assert.deepEqual(slowDowns.apply('a', LIMITS, MINUTE), { connections: 4, messagesPerMinute: 25 });
  assert.equal(slowDowns.apply('b', LIMITS, MINUTE), LIMITS);
  assert.deepEqual(slowDowns.list(MINUTE, 1_000_000), [
    { destination: 'big', pace: '1/4', since: 940_000, message: '4.7.0 421 4.7.0 slow down' },
  ]);
  assert.deepEqual(slowDowns.apply('a', LIMITS, 6 * MINUTE), { connections: 8, messagesPerMinute: 50 });
  assert.equal(slowDowns.apply('a', LIMITS, 11 * MINUTE), LIMITS);
  assert.deepEqual(slowDowns.list(11 * MINUTE, 0), []);
  slowDowns.asked('a', request(), 12 * MINUTE);
  assert.equal(slowDowns.list(13 * MINUTE, 13 * MINUTE)[0]?.since, 12 * MINUTE);
});

test('what is under way is halved where the limit is higher, or where there is none', () => {
  const slowDowns = new SlowDowns();
  slowDowns.asked('a', request(6), 0);
  assert.equal(slowDowns.apply('a', LIMITS, 0).connections, 3);
  assert.deepEqual(slowDowns.apply('a', { connections: null, messagesPerMinute: null }, 0), {
    connections: 3,
    messagesPerMinute: null,
  });
});

test('one connection without a limit in time is slowed by messages in a minute', () => {
  const none = { connections: null, messagesPerMinute: null };
  const perMinute = (halvings: number) => slow(none, 4, halvings).messagesPerMinute;
  assert.deepEqual([1, 2, 3, 4, 5, 9, 10].map(perMinute), [null, null, 60, 30, 15, 1, 1]);
});

test('a pace never grows by a request, never ends, and is whole again in the end', () => {
  const limit = fc.option(fc.integer({ min: 1, max: 1_000 }));
  fc.assert(
    fc.property(
      fc.record({ connections: limit, messagesPerMinute: limit }),
      fc.array(
        fc.record({
          pause: fc.integer({ min: 0, max: 10 * MINUTE }),
          underWay: fc.integer({ min: 1, max: 400 }),
        }),
      ),
      (limits, requests) => {
        const slowDowns = new SlowDowns();
        let now = 0;
        for (const { pause, underWay } of requests) {
          now += pause;
          const before = slowDowns.apply('a', limits, now);
          slowDowns.asked('a', request(underWay), now);
          const after = slowDowns.apply('a', limits, now);
          for (const key of ['connections', 'messagesPerMinute'] as const) {
            assert.ok(
              (after[key] ?? Infinity) <= (before[key] ?? Infinity),
              `${key} ${JSON.stringify({ before, after })}`,
            );
            assert.ok((after[key] ?? 1) >= 1);
          }
        }
        assert.equal(slowDowns.apply('a', limits, now + 50 * MINUTE), limits);
      },
    ),
  );
});
