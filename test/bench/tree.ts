/**
 * What a tree of processes costs, read from /proc: CPU of all that live and of those that were waited for, memory as
 * the kernel shares it out (PSS). A process that ends while it is read counts with its parent. Linux only.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ, fixed for user space on Linux. */
const TICKS_PER_SECOND = 100;

interface Stat {
  readonly pid: number;
  readonly parent: number;
  readonly ticks: number;
}

/** `root` and everything below it. */
export function treeOf(root: number): number[] {
  return below(root, allStats());
}

export function cpuMsOf(root: number): number {
  const stats = allStats();
  const tree = new Set(below(root, stats));
  const ticks = stats.filter(({ pid }) => tree.has(pid)).reduce((sum, stat) => sum + stat.ticks, 0);
  return (ticks * 1000) / TICKS_PER_SECOND;
}

/** Of all processors, without waiting for disks. */
export function busyMs(): number {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n', 1);
  const [, user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.split(/\s+/).map(Number);
  return ((user + nice + system + irq + softirq) * 1000) / TICKS_PER_SECOND;
}

export interface Memory {
  readonly pssMb: number;
  /** Without files, which a memory-mapped store is. */
  readonly anonMb: number;
}

export function memoryOf(root: number): Memory {
  const texts = treeOf(root).map((pid) => textOf(`/proc/${pid}/smaps_rollup`));
  const sum = (key: string) =>
    texts.reduce(
      (total, text) => total + Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0),
      0,
    ) / 1024;
  return { pssMb: sum('Pss'), anonMb: sum('Pss_Anon') };
}

function below(root: number, stats: readonly Stat[]): number[] {
  const found = [root];
  for (const pid of found) for (const stat of stats) if (stat.parent === pid) found.push(stat.pid);
  return found;
}

function allStats(): Stat[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    const fields = textOf(`/proc/${pid}/stat`)
      .replace(/^.*\) /s, '')
      .split(' ')
      .map(Number);
    // After the name: state, parent, ...; user, system and those of children that were waited for are 14 to 17.
    const [, parent, user = 0, system = 0, childUser = 0, childSystem = 0] = [
      0,
      fields[1],
      ...fields.slice(11, 15),
    ];
    return parent === undefined
      ? []
      : [{ pid: Number(pid), parent, ticks: user + system + childUser + childSystem }];
  });
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
