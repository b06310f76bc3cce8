/**
 * Finds out when the files of a manifest have changed. They are the files that `readManifests` reads, and are known from
 * before it does, so no edit is lost while a relay starts. Standard input and pipes can be read once, so they never change. What
 * cannot be read is a content like others.
 */
import { type FSWatcher, readFileSync, statSync, watch } from 'node:fs';
import { listYamlFiles } from './yamlfiles.ts';

const WATCH_MS = 1_000;

export class ManifestWatch {
  readonly #path: string;
  readonly #isReadOnce: boolean;
  #seen: string;

  constructor(path: string) {
    this.#path = path;
    this.#isReadOnce = isReadOnce(path);
    this.#seen = this.#isReadOnce ? '' : readContents(path);
  }

  /** Calls `apply` after each change, one call after the other. Returns a function that stops this. */
  follow(apply: () => Promise<void>): () => void {
    if (this.#isReadOnce) return () => undefined;
    const look = async () => {
      const contents = readContents(this.#path);
      if (contents === this.#seen) return;
      this.#seen = contents;
      await apply();
    };
    let work = Promise.resolve();
    const lookInTurn = () => {
      work = work.then(look);
    };
    const poll = setInterval(lookInTurn, WATCH_MS);
    const watcher = watchOrPoll(this.#path, lookInTurn);
    return () => {
      clearInterval(poll);
      watcher?.close();
    };
  }
}

function watchOrPoll(path: string, onHint: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(path, onHint);
    return watcher.on('error', () => watcher.close());
  } catch {
    return undefined;
  }
}

function isReadOnce(path: string): boolean {
  if (path === '-') return true;
  const found = statSync(path, { throwIfNoEntry: false });
  return found !== undefined && !found.isFile() && !found.isDirectory();
}

function readContents(path: string): string {
  try {
    // One character for each byte.
    return listYamlFiles(path)
      .map((file) => (isReadOnce(file) ? file : `${file}\n${readFileSync(file, 'latin1')}`))
      .join('\n');
  } catch (error) {
    return `unreadable: ${(error as Error).message}`;
  }
}
