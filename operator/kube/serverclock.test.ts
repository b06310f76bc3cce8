/** The time is that of the API server, and does not jump where several of them are apart. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServerClock } from './serverclock.ts';

const HOUR = 3_600_000;
const MINUTE = 60_000;
const NOW = Date.parse('2026-01-01T00:00:00.400Z');

/** Each answer comes after a second, from the API server whose turn it is. */
function hears() {
  const own = { wall: NOW, monotonic: 0 };
  const clock = new ServerClock({ wall: () => own.wall, monotonic: () => own.monotonic });
  const pass = (ms: number) => {
    own.wall += ms;
    own.monotonic += ms;
  };
  /** How far the time is before ours after an answer of a server that is so far before ours. */
  const answer = (aheadMs: number, tookMs = 10) => {
    const date = new Date(own.wall + aheadMs).toUTCString();
    const begunAt = own.monotonic;
    pass(tookMs);
    clock.hear(date, begunAt);
    pass(1_000 - tookMs);
    return clock.now() - own.wall;
  };
  return { own, clock, pass, answer };
}

test('the first answer counts, and an answer without a date says nothing', () => {
  for (const apart of [3 * HOUR, -5 * HOUR, 31_500]) {
    const { clock, own, answer } = hears();
    assert.ok(Math.abs(answer(apart) - apart) < 1_500, `${apart}`);
    for (const date of [undefined, '', 'no date', []]) clock.hear(date, own.monotonic);
    assert.ok(Math.abs(clock.now() - own.wall - apart) < 1_500);
  }
  assert.equal(hears().answer(20_000), 0);
});

test('whole seconds of dates, and drift, do not shift the time from answer to answer', () => {
  const { answer, pass } = hears();
  const first = answer(3 * HOUR);
  for (let count = 0; count < 50; count++) {
    pass(70 * count);
    assert.equal(answer(3 * HOUR + 200 * count), first);
  }
});

for (const servers of [
  [0, -2 * MINUTE],
  [-2 * MINUTE, 0],
  [2 * MINUTE, 4 * MINUTE],
  [2 * HOUR, -HOUR, 0],
])
  test(`of API servers that are ${servers.map((ms) => ms / MINUTE)} minutes apart that nearest to ours counts`, () => {
    const { answer } = hears();
    const told = Array.from({ length: 300 }, (_, turn) => answer(servers[turn % servers.length] ?? 0));
    const settled = new Set(told.slice(servers.length));
    assert.equal(settled.size, 1);
    const nearest = Math.min(...servers.map(Math.abs));
    assert.ok(Math.abs([...settled][0] ?? Number.NaN) <= nearest);
  });

test('another time counts when none was as before for a minute, and the own one at once', () => {
  const { answer, own } = hears();
  answer(0);
  const counted = Array.from({ length: 120 }, () => answer(HOUR)).findIndex((ms) => ms > 0);
  assert.ok(counted > 50 && counted < 70, `${counted}`);
  // Somebody sets the own clock right.
  own.wall += HOUR;
  assert.equal(answer(0), 0);
});

test('an answer that took long has an old date', () => {
  const { answer, pass } = hears();
  answer(0);
  pass(10 * MINUTE);
  assert.equal(answer(-3 * MINUTE, 3 * MINUTE), 0);
});
