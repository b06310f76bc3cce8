import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listenerProcesses } from './cpus.ts';

const CORES = 8;
const of = (files: Record<string, string>) => listenerProcesses((path) => files[path], CORES);
const V2 = '/sys/fs/cgroup/cpu.max';
const V1 = '/sys/fs/cgroup/cpu/cpu.cfs_';

test('the CPU limit in whole cores but one, at least one, never more than there are', () => {
  assert.equal(of({ [V2]: '50000 100000\n' }), 1);
  assert.equal(of({ [V2]: '199999 100000\n' }), 1);
  assert.equal(of({ [V2]: '400000 100000\n' }), 3);
  assert.equal(of({ [`${V1}quota_us`]: '50000', [`${V1}period_us`]: '100000' }), 1);
  assert.equal(of({ [V2]: '99900000 100000\n' }), CORES - 1);
});

test('without a limit, all cores but one, and no more than four of a large node', () => {
  const without = (cores: number, cpuMax?: string) =>
    listenerProcesses((path) => (path === V2 ? cpuMax : undefined), cores);
  assert.deepEqual(
    [1, 2, 3, 5, 6, 64].map((cores) => without(cores)),
    [1, 1, 2, 4, 4, 4],
  );
  assert.equal(without(64, 'max 100000\n'), 4);
  assert.equal(without(64, '3200000 100000\n'), 31);
  assert.equal(of({ [`${V1}quota_us`]: '-1', [`${V1}period_us`]: '100000' }), 4);
});
