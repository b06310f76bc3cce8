/**
 * Policies of MTA-STS that siblings handed over with their queues. The receiver writes each text into a file of its own
 * and syncs it before it acknowledges. The router takes the files in before it looks a policy up, so mail that came by
 * the same way never goes without them. A file goes after the cache that has its policies is on disk.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { mkdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder, UNFINISHED, writeAtomically } from '../task/atomicfile.ts';
import { parsePolicies } from './policiestext.ts';

type Policies = ReturnType<typeof parsePolicies>;

const SUFFIX = '.json';

export class HandedOver {
  readonly #folder: string;
  readonly #onError: (error: Error) => void;
  readonly #isRead = new Set<string>();

  /** `path`: of the file of the cache. */
  constructor(path: string, onError: (error: Error) => void) {
    this.#folder = folderBeside(path);
    this.#onError = onError;
  }

  /**
   * Removes what a receiver that was killed did not finish: nothing else ever would. Call this at the start of the router. A
   * file that is being written then fails, and the sibling hands its policies over again.
   */
  removeUnfinished(): void {
    if (!existsSync(this.#folder)) return;
    try {
      const names = readdirSync(this.#folder).filter((name) => name.endsWith(UNFINISHED));
      for (const name of names) rmSync(join(this.#folder, name), { force: true });
    } catch (error) {
      this.#failed(error as NodeJS.ErrnoException);
    }
  }

  /** What came since the last time. The folder is there only after a hand-over. */
  read(): Policies[] {
    if (!existsSync(this.#folder)) return [];
    try {
      const names = readdirSync(this.#folder).filter(
        (name) => name.endsWith(SUFFIX) && !this.#isRead.has(name),
      );
      return names.map((name) => this.#readFile(name));
    } catch (error) {
      this.#failed(error as NodeJS.ErrnoException);
      return [];
    }
  }

  /** Returns what removes the files that were read until now. */
  forgetRead(): () => Promise<void> {
    const names = [...this.#isRead];
    return async () => {
      for (const name of names) {
        await rm(join(this.#folder, name), { force: true });
        this.#isRead.delete(name);
      }
      // A file that came meanwhile keeps the folder.
      if (names.length > 0) await rmdir(this.#folder).catch(() => undefined);
    };
  }

  #readFile(name: string): Policies {
    this.#isRead.add(name);
    try {
      return parsePolicies(readFileSync(join(this.#folder, name), 'utf8'));
    } catch (error) {
      this.#failed(error as NodeJS.ErrnoException);
      return [];
    }
  }

  #failed(error: NodeJS.ErrnoException): void {
    if (error.code !== 'ENOENT') this.#onError(error);
  }
}

/** Resolves when the policies are on disk. `name` is that of no other hand-over. */
export async function keepHandedOver(path: string, name: string, text: string): Promise<void> {
  const folder = folderBeside(path);
  await mkdir(folder, { recursive: true });
  await syncFolder(folder);
  await writeAtomically(join(folder, `${name}${SUFFIX}`), text);
}

function folderBeside(path: string): string {
  return `${path}.handed-over`;
}
