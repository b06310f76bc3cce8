/** What processes really keep: anonymous memory, each page counted once however many processes share it. */
import { readFileSync } from 'node:fs';

const EVERY_MS = 20;

/** Of all of them together, in MiB. */
export function anonymousMiB(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + anonymousKiB(pid), 0) / 1024;
}

/** The highest value, looked for again and again until `work` is done. */
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
