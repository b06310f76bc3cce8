import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import fc from '#test/kit/property.ts';
import { Ages } from './ages.ts';

const MINUTE = 60_000;
const DAY = 86_400_000;
const BEGIN = 1_700_000_000_000;
let now = 0;
let stepped = 0;

const clocks = { clock: () => now, wall: () => BEGIN + now + stepped };

beforeEach(() => {
  now = 0;
  stepped = 0;
});

test('without a step the age is the time since the message came', () => {
  const ages = new Ages(clocks);
  const before = clocks.wall() - DAY;
  now = 5 * MINUTE;
  assert.deepEqual([ages.of(before), ages.of(clocks.wall())], [DAY + now, 0]);
});

test('in a step of any length, ahead or back, each message keeps its true age while the step lasts', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -3_650, max: 3_650 }).filter((days) => days !== 0),
      fc.double({ min: 0, max: 0.99, noNaN: true }),
      fc.integer({ min: 0, max: 30 }),
      (days, part, queuedDays) => {
        now = 0;
        stepped = 0;
        const ages = new Ages(clocks);
        const old = { at: clocks.wall(), since: now };
        now += Math.min(queuedDays, Math.abs(days) / 2) * DAY;
        ages.of(old.at);
        stepped = days * DAY;
        ages.of(old.at);
        const fresh = { at: clocks.wall(), since: now };
        now += Math.round(part * Math.abs(stepped) * 0.5);
        assert.deepEqual([ages.of(old.at), ages.of(fresh.at)], [now - old.since, now - fresh.since]);
      },
    ),
  );
});

test('a step that is taken back leaves nothing, and one that lasts is believed in the end', () => {
  const ages = new Ages(clocks);
  const old = clocks.wall();
  now = MINUTE;
  stepped = 6 * DAY;
  assert.equal(ages.of(old), MINUTE);
  stepped = 0;
  assert.equal(ages.of(old), MINUTE);
  stepped = DAY;
  assert.equal(ages.of(old), MINUTE);
  now += DAY - 1;
  assert.equal(ages.of(old), now);
  now += 1;
  assert.equal(ages.of(old), now + DAY);
  const fresh = clocks.wall();
  now += MINUTE;
  assert.equal(ages.of(fresh), MINUTE);
});

test('a clock that is slewed is followed', () => {
  const ages = new Ages(clocks);
  const old = clocks.wall();
  for (let step = 0; step < 100; step++) {
    now += MINUTE;
    stepped += 30_000;
    ages.of(old);
  }
  assert.equal(ages.of(old), now + stepped);
});
