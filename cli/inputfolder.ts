/**
 * Writes the folders that a relay reads in the way of a kubelet: all files of a change appear at once, because one link
 * is swapped. If the contents are the same as before, it writes nothing.
 */
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '#relay/task/folder.ts';

export type Files = Readonly<Record<string, string | Buffer>>;

export function publishFolder(dir: string, files: Files): void {
  makeFolder(dir);
  if (holds(join(dir, '..data'), files)) return;
  const fresh = `..${Date.now()}.${process.pid}`;
  mkdirSync(join(dir, fresh), { mode: 0o700 });
  for (const [name, contents] of Object.entries(files))
    writeFileSync(join(dir, fresh, name), contents, { mode: 0o600 });
  symlinkSync(fresh, join(dir, '..data.new'));
  renameSync(join(dir, '..data.new'), join(dir, '..data'));
  for (const name of readdirSync(dir)) {
    if (name !== fresh && name !== '..data') rmSync(join(dir, name), { recursive: true, force: true });
  }
}

function holds(dir: string, files: Files): boolean {
  try {
    const wanted = Object.entries(files);
    const isThere = ([name, contents]: (typeof wanted)[number]) =>
      readFileSync(join(dir, name)).equals(Buffer.from(contents));
    return readdirSync(dir).length === wanted.length && wanted.every(isThere);
  } catch {
    return false;
  }
}
