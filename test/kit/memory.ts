/** The real memory of processes: anonymous memory, in which each shared page counts once. */
import { readFileSync } from 'node:fs';

const EVERY_MS = 20;

/** The sum for all processes, in MiB. */
export function anonymousMiB(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + anonymousKiB(pid), 0) / 1024;
}

/** The highest value during `work`, measured again and again. */
export async function peakMiB(pids: readonly number[], work: () => Promise<void>): Promise<number> {
  let peak = anonymousMiB(pids);
  const timer = setInterval(() => {
    peak = Math.max(peak, anonymousMiB(pids));
  }, EVERY_MS);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return Math.max(peak, anonymousMiB(pids));
}

function anonymousKiB(pid: number): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Pss_Anon:\s+(\d+) kB$/m.exec(rollup)?.[1]);
}
