/**
 * One owner per state folder: an exclusive lock on a file in it, held by the kernel for the living process. A relay
 * that was killed holds nothing, whatever files it left; a second relay is refused, also from another container on the
 * same kernel. SQLite is used for its lock alone (Node has no other), so there is no path limit and no race.
 */
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

export interface Ownership {
  release(): void;
}

/** File locks belong to processes: a second open in the same one would succeed, and its close would end the first. */
const ownedHere = new Set<string>();

/** Throws with one sentence when the folder belongs to a living relay. */
export function takeOwnership(stateDir: string): Ownership {
  const path = join(realpathSync(stateDir), 'owner.lock');
  if (ownedHere.has(path)) throw owned(stateDir);
  const lock = new DatabaseSync(path, { timeout: 0 });
  try {
    // Nothing is ever written: the lock is the transaction, and a journal would be a file more.
    lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if (/locked/.test((error as Error).message)) throw owned(stateDir);
    throw new Error(`Cannot lock "${path}": ${(error as Error).message}`, { cause: error });
  }
  ownedHere.add(path);
  return {
    release: () => {
      if (ownedHere.delete(path)) lock.close();
    },
  };
}

function owned(stateDir: string): Error {
  return new Error(`Another relay uses the state folder "${stateDir}": stop it, or choose another folder`);
}
