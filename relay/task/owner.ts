/**
 * One owner per state folder. The owner has an exclusive lock on a file in the folder, which the kernel holds while the
 * process lives. A killed relay therefore holds no lock, whatever files it left. A second relay is refused, also from
 * another container on the same kernel. Tasks share a second lock, so a new relay waits for tasks that live a moment
 * longer than their supervisor. SQLite is used only for its locks, because Node has no other lock. This avoids path
 * limits and races.
 */
import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Tasks end as soon as they see that their supervisor has ended. */
const TASKS_GONE_WITHIN_MS = 10_000;

type StoreError = Error & { readonly errcode?: number };

export interface Ownership {
  release(): void;
}

/**
 * A file lock belongs to a process: a second open in the same process would succeed, and its close would release the
 * first lock.
 */
const ownedHere = new Set<string>();

/** Throws one sentence if the folder belongs to a running relay. */
export function takeOwnership(stateDir: string): Ownership {
  const path = join(realpathSync(stateDir), 'owner.lock');
  if (ownedHere.has(path)) throw owned(stateDir);
  const lock = exclusive(path, 0, stateDir);
  try {
    exclusive(join(stateDir, 'tasks.lock'), TASKS_GONE_WITHIN_MS, stateDir).close();
  } catch (error) {
    lock.close();
    throw error;
  }
  ownedHere.add(path);
  return {
    release: () => {
      if (ownedHere.delete(path)) lock.close();
    },
  };
}

/** Without a reference the object is collected, and its lock is released. */
const sharedHere: DatabaseSync[] = [];

/** Holds the lock for the life of the task process. */
export function shareOwnership(stateDir: string): void {
  const lock = new DatabaseSync(join(stateDir, 'tasks.lock'));
  // A read takes the shared lock, and the transaction keeps it.
  lock.exec('BEGIN; SELECT count(*) FROM sqlite_schema');
  sharedHere.push(lock);
}

function exclusive(path: string, timeout: number, stateDir: string): DatabaseSync {
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(path, { timeout });
    // Nothing is ever written. The lock is the transaction, and a journal would be one more file.
    lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock?.close();
    if (/locked/.test((error as Error).message)) throw owned(stateDir);
    throw new Error(`Cannot lock "${path}": ${describe(path, error as StoreError)}`, { cause: error });
  }
}

/** Codes of https://sqlite.org/rescode.html. */
const [CANNOT_OPEN, NOT_A_DATABASE] = [14, 26];

function describe(path: string, { errcode = 0, message }: StoreError): string {
  // Mail may lie beside it, so another folder is no cure.
  if (errcode === CANNOT_OPEN && existsSync(path))
    return 'the file cannot be opened: let the user of the relay read and write it';
  if (errcode === CANNOT_OPEN) return 'the file cannot be made: choose another state folder';
  return errcode === NOT_A_DATABASE ? 'the file is not one of a relay: move it away' : message;
}

function owned(stateDir: string): Error {
  return new Error(`Another relay uses the state folder "${stateDir}": stop it, or choose another folder`);
}
