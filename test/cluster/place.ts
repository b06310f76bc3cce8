/**
 * Where a cluster lives: its folder, its namespaces and its control groups, all named after it, and whose it is. Two
 * clusters share nothing, so that a test run never meets another one or a cluster that was left running. What a killed
 * run left behind is found by its folder, whose owner has ended, and cleared; a cluster that is kept is never stale.
 */
import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endContainers, removeCgroups, removeNetwork } from './isolation.ts';
import { endRecorded, isRunning, readIfThere, startTimeOf } from './supervise.ts';

const PREFIX = 'mailrelay-cluster-';
const KEPT = 'kept';

export interface Place {
  readonly name: string;
  /** Logs, kubeconfigs, the data of every program. */
  readonly dir: string;
  readonly netns: string;
  readonly cgroup: string;
  /** Of containerd. */
  readonly socket: string;
}

export function placeOf(name: string): Place {
  const dir = join(tmpdir(), `${PREFIX}${name}`);
  return {
    name,
    dir,
    netns: `mailrelay-${name}`,
    cgroup: `mailrelay-${name}`,
    socket: join(dir, 'containerd.sock'),
  };
}

/** Makes the folder, with nothing in it but that this process answers for it: never for a moment without an owner. */
export async function take(place: Place): Promise<void> {
  await clear(place);
  const dir = mkdtempSync(join(tmpdir(), 'mailrelay-place-'));
  writeFileSync(ownerFile({ ...place, dir }), `${process.pid} ${startTimeOf(process.pid)}`);
  renameSync(dir, place.dir);
}

/** The cluster outlives the process that started it. */
export function keep(place: Place): void {
  writeFileSync(ownerFile(place), KEPT);
}

export function isKept(place: Place): boolean {
  return ownerOf(place) === KEPT;
}

/** Clears what killed runs left. */
export async function clearStale(): Promise<void> {
  const names = readdirSync(tmpdir())
    .filter((entry) => entry.startsWith(PREFIX))
    .map((entry) => entry.slice(PREFIX.length));
  for (const place of names.map(placeOf)) {
    const [pid, started] = ownerOf(place).split(' ');
    if (!isKept(place) && !isRunning(Number(pid), started)) await clear(place);
  }
}

/** Ends and removes everything of this place, its containers included. */
export async function clear(place: Place): Promise<void> {
  await endRecorded(place.dir);
  await endContainers(place.cgroup, place.dir);
  removeNetwork(place.netns);
  removeCgroups(place.cgroup);
  rmSync(place.dir, { recursive: true, force: true });
}

const ownerFile = ({ dir }: Place) => join(dir, 'owner');

function ownerOf(place: Place): string {
  return readIfThere(ownerFile(place));
}
