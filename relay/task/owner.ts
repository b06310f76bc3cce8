/**
 * One owner per state folder: an exclusive lock on a file in it, held by the kernel for the living process. A relay
 * that was killed holds nothing, whatever files it left; a second relay is refused, also from another container on the
 * same kernel. Tasks share a second lock, so that a new relay waits for those that outlived their supervisor by a
 * moment. SQLite is used for its locks alone (Node has no other), so there is no path limit and no race.
 */
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Tasks end as soon as they notice that their supervisor is gone. */
const TASKS_GONE_WITHIN_MS = 10_000;

export interface Ownership {
  release(): void;
}

/** File locks belong to processes: a second open in the same one would succeed, and its close would end the first. */
const ownedHere = new Set<string>();

/** Throws with one sentence when the folder belongs to a living relay. */
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

/** What nothing refers to is collected, and its lock goes with it. */
const sharedHere: DatabaseSync[] = [];

/** For the life of a task process. */
export function shareOwnership(stateDir: string): void {
  const lock = new DatabaseSync(join(stateDir, 'tasks.lock'));
  // Reading takes the shared lock, and the transaction keeps it.
  lock.exec('BEGIN; SELECT count(*) FROM sqlite_schema');
  sharedHere.push(lock);
}

function exclusive(path: string, timeout: number, stateDir: string): DatabaseSync {
  const lock = new DatabaseSync(path, { timeout });
  try {
    // Nothing is ever written: the lock is the transaction, and a journal would be a file more.
    lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock.close();
    if (/locked/.test((error as Error).message)) throw owned(stateDir);
    throw new Error(`Cannot lock "${path}": ${(error as Error).message}`, { cause: error });
  }
}

function owned(stateDir: string): Error {
  return new Error(`Another relay uses the state folder "${stateDir}": stop it, or choose another folder`);
}
