import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Provider } from '#crds/policyfile.ts';
import fc from '#test/kit/property.ts';
import { warmUpRate } from './warmup.ts';

const HOUR = 3_600_000;
const START = Date.parse('2026-12-01T00:00:00Z');

function providerWith(days: number, messagesPerHour: number, messagesPerMinute: number): Provider {
  const limits = { connections: null, messagesPerMinute, messagesPerConnection: 100 };
  const warmUp = { startDate: '2026-12-01', days, messagesPerHour };
  return { name: 'big', mxHosts: ['*.big.example'], limits, warmUp, retry: null };
}
const mostAt = (provider: Provider, hours: number) => warmUpRate(provider, START + hours * HOUR)?.most;

test('a warm-up doubles each day where that reaches the limit at its end', () => {
  const provider = providerWith(4, 60, 16);
  assert.deepEqual(
    [-1_000, 0, 23.99, 24, 48, 72, 95.99, 96].map((hours) => mostAt(provider, hours)),
    [60, 60, 60, 120, 240, 480, 480, undefined],
  );
  assert.equal(warmUpRate({ ...provider, warmUp: null }, START), undefined);
});

test('a warm-up never shrinks, and stays between its first day and the limit', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 365 }),
      fc.integer({ min: 1, max: 1_000_000 }),
      fc.integer({ min: 1, max: 60_000_000 }),
      (days, messagesPerMinute, wanted) => {
        const first = Math.min(wanted, messagesPerMinute * 60);
        const provider = providerWith(days, first, messagesPerMinute);
        const all = Array.from({ length: days }, (_, day) => mostAt(provider, 24 * day) ?? 0);
        assert.equal(all[0], first);
        assert.deepEqual(
          all,
          all.toSorted((a, b) => a - b),
        );
        assert.ok((all.at(-1) ?? 0) <= messagesPerMinute * 60);
        assert.equal(mostAt(provider, 24 * days), undefined);
      },
    ),
  );
});
