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

test('without a limit, all cores but one', () => {
  assert.equal(of({}), CORES - 1);
  assert.equal(of({ [V2]: 'max 100000\n' }), CORES - 1);
  assert.equal(of({ [`${V1}quota_us`]: '-1', [`${V1}period_us`]: '100000' }), CORES - 1);
});
