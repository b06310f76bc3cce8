import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findStanding, newHealth } from './health.ts';
import { Slots, type Standing } from './slots.ts';

function fill(slots: Slots, share: 'configured' | 'other', standing: Standing): number {
  let taken = 0;
  for (; slots.hasRoom(share, standing); taken++) slots.take(share, standing);
  return taken;
}

for (const share of ['configured', 'other'] as const)
  for (const [many, few] of [
    ['probe', 'first'],
    ['first', 'probe'],
  ] as const)
    test(`${share}: however many deliveries are of kind ${many}, there is room for those of kind ${few}`, () => {
      const slots = new Slots();
      assert.ok(fill(slots, share, many) >= 100);
      assert.ok(fill(slots, share, few) >= 50);
      assert.ok(slots.hasRoom(share, 'proven'));
    });

test('a slot that is free again is for the kind that gave it back too', () => {
  const slots = new Slots();
  const giveBack = slots.take('other', 'probe');
  const others = fill(slots, 'other', 'probe');
  giveBack();
  assert.deepEqual([fill(slots, 'other', 'probe'), others > 0], [1, true]);
});

test('a destination that an earlier process has not reached is probed, until it answers', () => {
  const away = { ...newHealth(), awayMs: 600_000 };
  assert.equal(findStanding(newHealth(), 0), 'first');
  assert.equal(findStanding(away, 0), 'probe');
  assert.equal(findStanding(away, 1), 'further');
  assert.equal(findStanding({ ...away, answers: 1 }, 0), 'proven');
});
