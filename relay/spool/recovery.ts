/**
 * What is done to the store, while nobody has it open, before anybody writes on after an error, and at each start. The
 * log is written anew into a fresh file: after a failed sync the kernel may show pages that the disk never got, so it is
 * read past the kernel's cache where the file system can, and what is not whole ends it, as SQLite reads it. Everything
 * that was ever acknowledged lies before that. A store whose structure is damaged is set aside by name, and what can be
 * read of it goes into a new one. A kill at any point is finished at the next start; what cannot be done is thrown.
 */
import { existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { faultOf, type StoreError, tellsOfDamage } from './fault.ts';
import { copyDurably, syncFolderOf } from './files.ts';
import { OpenStore } from './openstore.ts';
import { enterMissing, rowsBehindBreak, type Salvaged, salvage } from './salvage.ts';
import type { Row } from './sqlitefile.ts';

export type Recovered =
  /** Another process has done it. */
  | { kind: 'reopened' }
  | { kind: 'log-renewed'; reason: string }
  /** So many messages were found behind a part of the log that cannot be read. */
  | { kind: 'log-damaged'; messages: number }
  /** The damaged store has this name now. */
  | ({ kind: 'rebuilt'; reason: string; setAside: string } & Salvaged);

/** At a start a store up to this size is looked through, which takes a second; larger ones tell as they are read. */
const LOOKED_THROUGH_BYTES = 64 * 2 ** 20;

/** `notice`: what was posted; empty at a start after which nothing is known to be wrong. */
export function recover(path: string, notice: string): Recovered | undefined {
  removeStore(`${path}.building`);
  // It was whole before it got this name.
  if (existsSync(`${path}.new`)) putInPlace(path);
  if (!existsSync(path)) return undefined;
  renewLog(`${path}-wal`, notice === '');
  // After an error what lies behind was not acknowledged; otherwise it may have been.
  const behind = notice === '' ? rowsBehindBreak(path) : [];
  const damage = tellsOfDamage(notice) ? notice : damageOf(path);
  const rebuilt = damage === undefined ? undefined : rebuild(path, damage.trim());
  const messages = behind.length > 0 ? enterInto(path, behind) : 0;
  if (rebuilt) return rebuilt;
  if (messages > 0) return { kind: 'log-damaged', messages };
  return notice === '' ? undefined : { kind: 'log-renewed', reason: notice.trim() };
}

function enterInto(path: string, rows: readonly Row[]): number {
  const store = new OpenStore(path, 'late');
  try {
    return enterMissing(store, rows);
  } finally {
    store.close();
  }
}

/** `mayStay`: nothing is known to be wrong with it, and a full disk is no reason not to start. */
function renewLog(log: string, mayStay: boolean): void {
  if (!existsSync(log)) return;
  const fresh = `${log}.new`;
  try {
    copyDurably(log, fresh);
    renameSync(fresh, log);
    syncFolderOf(log);
  } catch (error) {
    rmSync(fresh, { force: true });
    if (!mayStay || faultOf(error as StoreError) === 'bug') throw error;
  }
}

function damageOf(path: string): string | undefined {
  const { size } = statSync(path);
  try {
    const store = new OpenStore(path, 'late');
    try {
      return size > LOOKED_THROUGH_BYTES ? undefined : store.problem();
    } finally {
      store.close();
    }
  } catch (error) {
    if (faultOf(error as StoreError) !== 'damage') throw error;
    return (error as Error).message;
  }
}

function rebuild(path: string, reason: string): Recovered {
  const building = `${path}.building`;
  try {
    const salvaged = salvage(path, building);
    syncFolderOf(building);
    renameSync(building, `${path}.new`);
    syncFolderOf(path);
    return { kind: 'rebuilt', reason, setAside: putInPlace(path), ...salvaged };
  } catch (error) {
    removeStore(building);
    throw new Error(
      `Cannot copy what is left of the damaged queue "${path}" (${(error as Error).message}): make room on its volume`,
      { cause: error },
    );
  }
}

/** Sets the store aside and puts its successor in its place; gives the name of what was set aside. */
function putInPlace(path: string): string {
  const aside = unusedName(`${path}.damaged-${new Date().toISOString().replace(/[-:]|\.\d+/g, '')}`);
  for (const part of ['', '-wal']) if (existsSync(path + part)) renameSync(path + part, aside + part);
  rmSync(`${path}-shm`, { force: true });
  renameSync(`${path}.new`, path);
  syncFolderOf(path);
  return aside;
}

function unusedName(name: string): string {
  for (let count = 1; ; count++) {
    const candidate = count === 1 ? name : `${name}-${count}`;
    if (!existsSync(candidate) && !existsSync(`${candidate}-wal`)) return candidate;
  }
}

function removeStore(path: string): void {
  for (const part of ['', '-wal', '-shm', '-journal']) rmSync(path + part, { force: true });
}
