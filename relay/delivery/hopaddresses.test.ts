import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pickAddresses } from './hopaddresses.ts';

const v4 = (count: number) => Array.from({ length: count }, (_, index) => `192.0.2.${index + 1}`);

test('a hop that is the last one may use all that is left', () => {
  assert.deepEqual(pickAddresses(v4(9), { left: 5, isLast: true }), v4(5));
  assert.deepEqual(pickAddresses(v4(2), { left: 5, isLast: true }), v4(2));
});

test('one is kept for a second host', () => {
  assert.equal(pickAddresses(v4(9), { left: 5, isLast: false }).length, 4);
  assert.equal(pickAddresses(v4(9), { left: 1, isLast: false }).length, 1);
});

test('both families are among them', () => {
  const picked = pickAddresses([...v4(9), '2001:db8::1'], { left: 5, isLast: true });
  assert.deepEqual(picked, [...v4(4), '2001:db8::1']);
  const first = ['2001:db8::1', ...v4(9)];
  assert.deepEqual(pickAddresses(first, { left: 5, isLast: true }), first.slice(0, 5));
});
