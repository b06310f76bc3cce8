import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeSchedule } from './explainretry.ts';

const schedule = { rule: null, expireAfterSeconds: 432_000, expiryRule: 'queue.expireAfter' };
const told = (...pausesSeconds: number[]) => describeSchedule({ ...schedule, pausesSeconds });

test('the schedule is told with its pauses, its end and the fields that set them', () => {
  assert.equal(
    told(60, 120, 300, 600, 1_200, 1_800),
    'tried again   after 1m, 2m, 5m, 10m, 20m, then every 30m (the schedule of the relay; a host that cannot be had is probed sooner)\n' +
      'returned      after 5d (queue.expireAfter)\n',
  );
  assert.match(told(300, 600, 1_500, 3_000, 6_000, 7_200), /after 5m, 10m, 25m, 50m, 1h40m, then every 2h /);
  assert.match(told(1, 2, 5, 10, 20, 40, 80, 90), /after 1s, 2s, 5s, 10s, 20s, and so on up to every 1m30s /);
  assert.match(told(90_061), /^tried again {3}every 1d1h1m1s /);
  const named = { ...schedule, pausesSeconds: [60], rule: 'outbound.routes[0].retry' };
  assert.match(describeSchedule(named), /every 1m \(outbound\.routes\[0\]\.retry\)$/m);
});
