/**
 * Body files that belong to no message, because their process was killed. They are moved into a folder beside the
 * bodies, and brought back if a record names them after all. After a week they are deleted. They are kept if the store
 * was replaced by a new one beside existing bodies: they may then be the only rest of mail, and a person decides.
 */
import { existsSync, readdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BodyFolder, parseWriter } from './bodyfolder.ts';
import { makeOwnFolder } from './opening.ts';

const KEPT_MS = 7 * 24 * 3_600_000;
/** A complete body gets its record within seconds. A body without a record after this time is a stray. */
const UNNAMED_MS = 10 * 60_000;
const KEEP = 'KEEP';
const WHY =
  'The queue began anew while these bodies lay here. Delete this folder when none of them is wanted.\n';

export class Strays {
  readonly #bodies: BodyFolder;
  readonly #path: string;
  readonly #isNamed: (id: string) => boolean;
  /** Complete bodies without a record, and since when (monotonic clock). */
  #unnamed = new Map<string, number>();

  constructor(bodies: BodyFolder, path: string, isNamed: (id: string) => boolean) {
    this.#bodies = bodies;
    this.#path = path;
    this.#isNamed = isNamed;
  }

  /** The store is new, so no body file in this folder may be deleted automatically, now or later. */
  keepAll(): void {
    this.#prepare();
    writeFileSync(join(this.#path, KEEP), WHY);
  }

  /** Call this only while nobody writes. */
  sweepAll(): void {
    for (const name of this.#bodies.names())
      if (parseWriter(name) !== undefined || !this.#isNamed(name)) this.#moveAway(name);
    this.#forgetOld();
  }

  /** Sweeps while other processes write: only files of dead processes are moved. `now` is monotonic. */
  sweepLeft(now: number): void {
    try {
      this.#sweepLeft(now);
    } catch {
      // It is never urgent: a later call does it.
    }
  }

  /** Brings a body back that a record names. */
  bringBack(id: string): void {
    const path = join(this.#path, id);
    if (existsSync(path)) renameSync(path, this.#bodies.pathOf(id));
  }

  #sweepLeft(now: number): void {
    const unnamed = new Map<string, number>();
    for (const name of this.#bodies.names()) {
      const writer = parseWriter(name);
      if (writer !== undefined) {
        if (!isAlive(writer)) this.#moveAway(name);
      } else if (!this.#isNamed(name)) {
        const since = this.#unnamed.get(name) ?? now;
        if (now - since > UNNAMED_MS) this.#moveAway(name);
        else unnamed.set(name, since);
      }
    }
    this.#unnamed = unnamed;
    this.#forgetOld();
  }

  #prepare(): void {
    makeOwnFolder(this.#path);
  }

  #moveAway(name: string): void {
    try {
      this.#prepare();
      const to = join(this.#path, name);
      renameSync(this.#bodies.pathOf(name), to);
      // The week begins now.
      utimesSync(to, new Date(), new Date());
    } catch {
      // Another process was faster, or the next call will do it.
    }
  }

  #forgetOld(): void {
    if (existsSync(join(this.#path, KEEP))) return;
    for (const name of listNames(this.#path)) {
      const path = join(this.#path, name);
      const found = statSync(path, { throwIfNoEntry: false });
      // A folder is none of ours.
      if (found?.isFile() && Date.now() - found.mtimeMs > KEPT_MS) rmSync(path, { force: true });
    }
  }
}

/** None if it is not there, or no folder. */
function listNames(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // The process exists and belongs to another user.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
