/**
 * The key of the hashes in a log. Every relay makes its own and keeps it beside the queue, so a list of guessed addresses
 * cannot be compared with a log. All processes of the relay read the same file. If the disk takes no file, this process uses
 * a key of its own, and its hashes differ from those of the others.
 */
import { randomBytes } from 'node:crypto';
import { linkSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const FILE = 'log.key';
const BYTES = 32;

export function readLogKey(stateDir: string): Buffer {
  const path = join(stateDir, FILE);
  return readWhole(path) ?? makeKey(path);
}

/** A link is whole or absent, and the first one wins. */
function makeKey(path: string): Buffer {
  const key = randomBytes(BYTES);
  const own = `${path}.${process.pid}`;
  try {
    writeFileSync(own, key, { mode: 0o600, flush: true });
    try {
      linkSync(own, path);
    } finally {
      unlinkSync(own);
    }
  } catch {
    return readWhole(path) ?? key;
  }
  return key;
}

function readWhole(path: string): Buffer | undefined {
  try {
    const key = readFileSync(path);
    return key.length === BYTES ? key : undefined;
  } catch {
    return undefined;
  }
}
