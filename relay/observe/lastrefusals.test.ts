import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RefusedClient } from '../task/messages.ts';
import { LastRefusals } from './lastrefusals.ts';

const counted = (counts: Record<string, number>, ...refused: RefusedClient[]) => ({
  counts,
  observations: {},
  refused,
});

test('refusals are listed by reason, the newest first, with the last client', () => {
  let now = Date.parse('2026-01-02T03:04:05.678Z');
  const refusals = new LastRefusals(() => now);
  const by = (client: string, helo: string): RefusedClient => ({ reason: 'rate', client, helo });
  refusals.add(
    counted({ 'refused{rate}': 2, 'accepted{smtp}': 9, spool_syncs: 1 }, by('192.0.2.1', 'old.example')),
  );
  now += 60_000;
  refusals.add(counted({ 'refused{rate}': 1 }, by('192.0.2.2', 'new.example')));
  now += 60_000;
  refusals.add(counted({ 'refused{connections}': 4 }));
  assert.deepEqual(refusals.list, [
    { reason: 'connections', count: 4, lastSeen: '2026-01-02T03:06:05Z' },
    {
      reason: 'rate',
      count: 3,
      lastSeen: '2026-01-02T03:05:05Z',
      client: '192.0.2.2',
      helo: 'new.example',
    },
  ]);
});

test('the list is bounded', () => {
  const refusals = new LastRefusals(() => 0);
  const names = Array.from({ length: 50 }, (_, index) => `refused{r${'x'.repeat(index)}}`);
  refusals.add(counted(Object.fromEntries(names.map((name) => [name, 1]))));
  assert.equal(refusals.list.length, 20);
});
