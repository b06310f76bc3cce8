import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { Allowance } from './allowance.ts';

test('who has used too much waits, and nobody else', () => {
  const allowance = new Allowance({ perSecond: 10, burst: 20 });
  allowance.spend('noisy', 20, 0);
  assert.deepEqual([allowance.pauseMs('noisy', 0), allowance.isWhole('noisy', 0)], [0, false]);
  allowance.spend('noisy', 5, 0);
  assert.deepEqual([allowance.pauseMs('noisy', 0), allowance.pauseMs('noisy', 400)], [500, 100]);
  assert.deepEqual([allowance.pauseMs('quiet', 0), allowance.isWhole('quiet', 0)], [0, true]);
  assert.deepEqual([allowance.isWhole('noisy', 2_499), allowance.isWhole('noisy', 2_500)], [false, true]);
});

test('nobody is forgotten before it has its whole allowance', () => {
  const allowance = new Allowance({ perSecond: 10, burst: 1 });
  allowance.spend('noisy', 100, 0);
  for (let user = 0; user < 5_000; user++) allowance.spend(`user ${user}`, 0, 0);
  assert.equal(allowance.pauseMs('noisy', 0), 9_900);
});

test('however it is used, nobody gets more than its share', () => {
  const amounts = fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(amounts, (used) => {
      const allowance = new Allowance({ perSecond: 100, burst: 200 });
      let [now, sum] = [0, 0];
      for (const amount of used) {
        now += allowance.pauseMs('noisy', now);
        assert.ok(sum <= 200 + (now * 100) / 1_000 + 0.001, `${sum} after ${now} ms`);
        allowance.spend('noisy', amount, now);
        sum += amount;
      }
    }),
  );
});
