/**
 * The folder of the body files, and its sync: without the sync, a crash may lose the name of a file. One sync serves
 * all callers that asked before it began. The name of an incomplete file contains the id of the process that writes it.
 */
import { closeSync, fsync, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { answer } from './diskpulse.ts';
import { makeOwnFolder } from './opening.ts';

const fullsync = promisify(fsync);

export class BodyFolder {
  readonly path: string;
  #handle: number | undefined;
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  constructor(path: string) {
    makeOwnFolder(path);
    this.path = path;
  }

  pathOf(id: string): string {
    return join(this.path, id);
  }

  unfinishedPathOf(id: string): string {
    return join(this.path, `${id}.${process.pid}`);
  }

  names(): string[] {
    return readdirSync(this.path);
  }

  /** Resolves when the present names are on disk. */
  sync(): Promise<void> {
    this.#next ??= this.#begin();
    return this.#next;
  }

  /** Call this only when nothing is under way. */
  close(): void {
    if (this.#handle !== undefined) closeSync(this.#handle);
    this.#handle = undefined;
  }

  async #begin(): Promise<void> {
    await this.#running.catch(() => undefined);
    this.#next = undefined;
    this.#handle ??= openSync(this.path, 'r');
    this.#running = answer(fullsync(this.#handle));
    await this.#running;
  }
}

/** The process that writes a file with this name. Undefined if the name belongs to a complete body. */
export function parseWriter(name: string): number | undefined {
  const pid = /\.(\d+)$/.exec(name)?.[1];
  return pid === undefined ? undefined : Number(pid);
}
