/**
 * How many listener processes pay for their memory: the container's CPU limit in whole cores minus one for the router,
 * and at least one. On two cores, one process per core cost a quarter more CPU per message, because fewer sessions
 * share commits and warm code. The limit is the quota of cgroup v2 or v1. Without a quota the cores are those of the
 * node, which others use too: on 64 cores a small pod would start 63 processes of 25 MiB. So there is a low maximum,
 * and a CPU limit raises it.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

const MOST_WITHOUT_LIMIT = 4;

export function listenerProcesses(
  read: (path: string) => string | undefined = readText,
  available = availableParallelism(),
): number {
  const quota = quotaV2(read('/sys/fs/cgroup/cpu.max')) ?? quotaV1(read);
  return Math.max(1, Math.floor(Math.min(quota ?? MOST_WITHOUT_LIMIT + 1, available)) - 1);
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

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
