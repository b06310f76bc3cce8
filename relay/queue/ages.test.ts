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

/** Minutes that pass, and then a step of so many minutes. */
const lives = (least: number) =>
  fc.array(fc.tuple(fc.integer({ min: 0, max: 20_000 }), fc.integer({ min: least, max: 5_000_000 })), {
    maxLength: 20,
  });

/** Messages that came before, between and after the steps. */
function live(ages: Ages, life: readonly (readonly [number, number])[]) {
  now = 0;
  stepped = 0;
  const messages = [{ at: clocks.wall(), since: now }];
  for (const [minutes, step] of life) {
    now += minutes * MINUTE;
    messages.push({ at: clocks.wall(), since: now });
    stepped += step * MINUTE;
    ages.look();
    messages.push({ at: clocks.wall(), since: now });
  }
  now += 5 * MINUTE;
  return messages.map(({ at, since }) => ({ at, age: ages.of(at), trueAge: now - since }));
}

test('after any number of steps ahead, or sleeps, each message has its true age', () => {
  fc.assert(
    fc.property(lives(1), (life) => {
      now = 0;
      stepped = 0;
      for (const { age, trueAge } of live(new Ages(clocks), life)) assert.equal(age, trueAge);
    }),
  );
});

test('whatever steps there are, ahead and back, no message is taken for older than it is', () => {
  fc.assert(
    fc.property(lives(-5_000_000), (life) => {
      now = 0;
      stepped = 0;
      const ages = new Ages(clocks);
      for (const { at, age, trueAge } of live(ages, life)) {
        assert.ok(age <= trueAge + MINUTE);
        // So a look at all that came before then misses none.
        assert.ok(at <= ages.latest - age);
      }
    }),
  );
});

test('after a step back a message keeps its true age while it cannot have come later', () => {
  const ages = new Ages(clocks);
  const [old, older] = [clocks.wall(), clocks.wall() - 3 * DAY];
  now = MINUTE;
  stepped = -DAY;
  ages.look();
  now += DAY - 2 * MINUTE;
  assert.deepEqual([ages.of(old), ages.of(older)], [now, now + 3 * DAY]);
});

test('what came before a step was noticed has its age', () => {
  const ages = new Ages(clocks);
  stepped = DAY;
  const came = clocks.wall();
  now = 5_000;
  assert.equal(ages.of(came), 5_000);
  stepped = 0;
  const later = clocks.wall();
  now += 5_000;
  assert.equal(ages.of(later), 5_000);
});

test('a clock that is slewed is followed', () => {
  const ages = new Ages(clocks);
  const old = clocks.wall();
  for (let step = 0; step < 100; step++) {
    now += MINUTE;
    stepped += 30_000;
    ages.look();
  }
  assert.equal(ages.of(old), now + stepped);
});

for (const [way, small] of [
  ['back', -1],
  ['ahead', 1],
] as const)
  test(`behind a step back, new mail stays young while the clock goes ${way} by less than a step`, () => {
    const ages = new Ages(clocks);
    stepped = -DAY;
    ages.look();
    const came = clocks.wall();
    stepped += small * (MINUTE - 1);
    assert.ok(ages.of(came) < MINUTE);
    now += 5_000;
    assert.ok(ages.of(came) < 2 * MINUTE);
  });

test('after more sleeps than are remembered, old mail is older by those that are forgotten alone', () => {
  const ages = new Ages(clocks);
  const old = clocks.wall();
  for (let sleeps = 0; sleeps < 150; sleeps++) {
    now += 10 * MINUTE;
    stepped += DAY;
    ages.look();
  }
  assert.equal(ages.of(old), now + 51 * DAY);
  assert.equal(ages.of(clocks.wall() - MINUTE), MINUTE);
});
