/** Replaces a small file so that a reader, or a start after a crash, finds the old text or the new one, and never a part. */
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** After the name of a file that is being written. One that a kill leaves is replaced by the next write, if there is one. */
export const UNFINISHED = '.new';

/** Resolves when the new text is on disk under its name. Rejects with the error of the disk; then the old text may still be there. */
export async function writeAtomically(path: string, text: string): Promise<void> {
  const file = await open(`${path}${UNFINISHED}`, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}${UNFINISHED}`, path);
  await syncFolder(path);
}

/** Resolves when the name of the file, or of the folder, is on disk. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(dirname(path));
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
