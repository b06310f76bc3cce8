/**
 * How many listener processes are worth their memory: the CPU limit of the container in whole cores, at least one.
 * Reads the quota of cgroup v2 or v1; without one, the number of cores.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

export function listenerProcesses(read: (path: string) => string | undefined = textOf): number {
  const quota = quotaV2(read('/sys/fs/cgroup/cpu.max')) ?? quotaV1(read);
  return Math.max(1, Math.floor(Math.min(quota ?? Number.POSITIVE_INFINITY, availableParallelism())));
}

function quotaV2(text: string | undefined): number | undefined {
  const [quota, period] = (text ?? '').trim().split(' ').map(Number);
  return quota && period ? quota / period : undefined;
}

function quotaV1(read: (path: string) => string | undefined): number | undefined {
  const quota = Number(read('/sys/fs/cgroup/cpu/cpu.cfs_quota_us'));
  const period = Number(read('/sys/fs/cgroup/cpu/cpu.cfs_period_us'));
  return quota > 0 && period > 0 ? quota / period : undefined;
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
