/**
 * The state folder as a disk could have it after a power cut: all synced data, and some of the rest. A file has the
 * data that was written before the begin of its last successful sync. A name is there if its folder was synced after
 * the name was created, or else by chance, then with all earlier names (file systems keep names in order, and nothing
 * else). Of the unsynced writes, each may be there, missing or torn. After a failed sync the data written before it is
 * never safe again, because the kernel then takes the pages for clean.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { DiskCall } from './diskrecord.ts';

/** Units that a disk writes whole. */
const SECTORS = [512, 4096] as const;

/** Which of the unsynced data survives. */
export interface Luck {
  /** `mixed`: chance decides for each write whether it is kept, lost or torn. */
  readonly writes: 'none' | 'all' | 'mixed';
  readonly names: 'none' | 'all' | 'mixed';
  readonly seed: number;
}

interface Change {
  readonly at: number;
  /** Undefined for a truncation. */
  readonly data: Buffer | undefined;
  readonly offset: number;
  safe: boolean;
  /** True if a sync failed after this change. */
  doubtful: boolean;
}

interface StoredFile {
  readonly isFolder: boolean;
  readonly changes: Change[];
}

interface Naming {
  readonly at: number;
  readonly folders: readonly string[];
  readonly apply: (names: Map<string, StoredFile>) => void;
  safe: boolean;
}

class Disk {
  /** The names as the processes saw them. */
  readonly names = new Map<string, StoredFile>();
  readonly #inodes = new Map<bigint, StoredFile>();
  readonly namings: Naming[] = [];

  learn(call: DiskCall): void {
    if (call.call === 'synced') this.#synced(call);
    // The folder itself existed before.
    else if (call.error !== 0 || call.name === '.') return;
    else if (call.call === 'mkdir') this.#name(call, [call.name], put(call.name, fresh(true)));
    else if (call.call === 'open') this.#opened(call);
    else if (call.call === 'write') this.#changed(call, call.data, call.offset);
    else if (call.call === 'truncate') this.#changed(call, undefined, call.length ?? 0);
    else if (call.call === 'unlink') this.#name(call, [call.name], (names) => names.delete(call.name));
    else if (call.call === 'rename') this.#name(call, [call.name, call.other], renamed(call));
    else if (call.call === 'link') throw new Error(`nobody here makes links, but ${call.name}`);
  }

  #name({ at }: DiskCall, changed: readonly string[], apply: Naming['apply']): void {
    apply(this.names);
    this.namings.push({ at, folders: changed.map(dirname), apply, safe: false });
  }

  #opened(call: DiskCall): void {
    if (call.created) {
      const file = fresh(false);
      this.#inodes.set(call.inode, file);
      this.#name(call, [call.name], put(call.name, file));
    } else if (call.length !== undefined) this.#changed(call, undefined, call.length);
  }

  #changed({ at, inode, name }: DiskCall, data: Buffer | undefined, offset: number): void {
    const file = this.#inodes.get(inode);
    if (!file) throw new Error(`${name} was written, and not recorded from its begin`);
    file.changes.push({ at, data, offset, safe: false, doubtful: false });
  }

  #synced({ inode, name, begun, error }: DiskCall): void {
    for (const change of this.#inodes.get(inode)?.changes ?? []) {
      if (change.at >= begun || change.safe) continue;
      if (error !== 0) change.doubtful = true;
      else if (!change.doubtful) change.safe = true;
    }
    if (error !== 0) return;
    for (const naming of this.namings)
      if (naming.at < begun && naming.folders.includes(name)) naming.safe = true;
  }
}

/** Writes the files that are left after a power cut, which comes after these calls, into an empty folder. */
export function rebuild(calls: readonly DiskCall[], luck: Luck, into: string): void {
  const disk = new Disk();
  for (const call of calls) disk.learn(call);
  const random = randomFrom(luck.seed);
  const names = namesAfter(disk.namings, luck, random);
  for (const [name, file] of [...names].toSorted(([one], [other]) => (one < other ? -1 : 1))) {
    const folder = dirname(name);
    if (folder !== '.' && !names.get(folder)?.isFolder) continue;
    const path = join(into, name);
    if (file.isFolder) mkdirSync(path, { mode: 0o700 });
    else writeFileSync(path, contentAfter(file, luck, random), { mode: 0o600 });
  }
}

function namesAfter(namings: readonly Naming[], luck: Luck, random: () => number): Map<string, StoredFile> {
  const open = namings.filter(({ safe }) => !safe);
  const kept = { none: 0, all: open.length, mixed: Math.floor(random() * (open.length + 1)) }[luck.names];
  const lucky = new Set(open.slice(0, kept));
  const names = new Map<string, StoredFile>();
  for (const naming of namings) if (naming.safe || lucky.has(naming)) naming.apply(names);
  return names;
}

function contentAfter({ changes }: StoredFile, luck: Luck, random: () => number): Buffer {
  const kept = changes.flatMap((change) => (change.safe ? [change] : survivors(change, luck, random)));
  let content: Buffer = Buffer.alloc(0);
  for (const { data, offset } of joined(kept)) {
    if (!data) content = resized(content, offset);
    else {
      if (content.length < offset + data.length) content = resized(content, offset + data.length);
      data.copy(content, offset);
    }
  }
  return content;
}

/** Joins changes that follow each other, so that a long file does not grow piece by piece. */
function joined(changes: readonly Change[]): readonly Change[] {
  const end = Math.max(0, ...changes.map(({ data, offset }) => offset + (data?.length ?? 0)));
  const truncates = changes.some(({ data }) => !data);
  const nothing = { at: -1, data: undefined, offset: end, safe: true, doubtful: false };
  return truncates ? changes : [nothing, ...changes];
}

function survivors(change: Change, { writes }: Luck, random: () => number): readonly Change[] {
  if (writes === 'all') return [change];
  if (writes === 'none') return [];
  const lot = random();
  if (lot < 0.4 || !change.data) return lot < 0.6 ? [change] : [];
  return lot < 0.7 ? torn(change, change.data, random) : [];
}

/** Some sectors of a change, chosen by chance. */
function torn(change: Change, data: Buffer, random: () => number): readonly Change[] {
  const sector = SECTORS[random() < 0.5 ? 0 : 1];
  const pieces: Change[] = [];
  for (let from = 0; from < data.length; ) {
    const to = Math.min(data.length, from + sector - ((change.offset + from) % sector));
    if (random() < 0.5)
      pieces.push({ ...change, data: data.subarray(from, to), offset: change.offset + from });
    from = to;
  }
  return pieces;
}

function resized(content: Buffer, bytes: number): Buffer {
  if (bytes <= content.length) return content.subarray(0, bytes);
  const larger = Buffer.alloc(bytes);
  content.copy(larger);
  return larger;
}

function fresh(isFolder: boolean): StoredFile {
  return { isFolder, changes: [] };
}

function put(name: string, file: StoredFile): Naming['apply'] {
  return (names) => names.set(name, file);
}

function renamed({ name, other }: DiskCall): Naming['apply'] {
  return (names) => {
    const file = names.get(name);
    names.delete(name);
    if (file) names.set(other, file);
  };
}

/** mulberry32: the same seed gives the same numbers. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
