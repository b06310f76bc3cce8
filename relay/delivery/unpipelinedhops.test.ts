import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hopTo } from '#test/kit/relayrig.ts';
import { KEPT_MS, UnpipelinedHops } from './unpipelinedhops.ts';

test('a hop gets one command at a time for a day after each shift, and no other hop does', () => {
  let now = 0;
  const hops = new UnpipelinedHops(() => now);
  const isStopped = (port: number) => {
    let stopped = false;
    hops.prepare(hopTo(port), {
      stopPipelining: () => {
        stopped = true;
      },
    });
    return stopped;
  };
  hops.learn(hopTo(25), { hasShiftedTogether: true });
  hops.learn(hopTo(26), { hasShiftedTogether: false });
  assert.deepEqual([isStopped(25), isStopped(26)], [true, false]);
  now = KEPT_MS - 1;
  assert.equal(isStopped(25), true);
  hops.learn(hopTo(25), { hasShiftedTogether: true });
  now += KEPT_MS - 1;
  assert.equal(isStopped(25), true);
  now += 1;
  assert.deepEqual([isStopped(25), isStopped(25)], [false, false]);
});
