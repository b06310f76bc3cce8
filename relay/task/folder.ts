/** Makes a folder, and those above it. */
import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Nobody else may enter what it makes. Node's own `recursive` never ends where the system denies that a parent is there,
 * as it does below /proc.
 */
export function makeFolder(folder: string): void {
  if (makeOne(folder)) return;
  const parent = dirname(folder);
  if (parent !== folder) makeFolder(parent);
  if (!makeOne(folder)) throw new Error('no folder can be made there');
}

/** False if the folder above it is missing. */
function makeOne(folder: string): boolean {
  try {
    mkdirSync(folder, { mode: 0o700 });
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return false;
    if (code !== 'EEXIST') throw error;
    if (statSync(folder).isDirectory()) return true;
    throw new Error('it is a file');
  }
}
