/**
 * Builds the tables of addresses for the listener processes: one file for each table, in the state folder, so that no
 * process parses a table and none gets it over its channel. A table that cannot be read never replaces a good one. The
 * supervisor serves others meanwhile: it builds a thousand lines at a time. What the system refuses is tried again.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type BuiltTable, buildTable, type TableFault } from '../addresses/buildtable.ts';
import type { Log } from '../observe/log.ts';
import type { TableState, Tables } from '../task/materials.ts';
import type { Inputs } from './inputs.ts';
import type { Retry } from './retry.ts';
import {
  readTableFile,
  type TableFailure,
  type TableFile,
  type TableFiles,
  tableFailure,
} from './tablefiles.ts';

const FOLDER = 'tables';

interface Known {
  /** undefined: the file is to be tried again. */
  readonly identity: string | null | undefined;
  readonly state: TableState;
}

type Made = { kind: 'written'; path: string } | TableFault | TableFailure;

export class BuiltTables {
  readonly #dir: string;
  readonly #log: Log;
  readonly #retry: Retry;
  readonly #known = new Map<string, Known>();
  /** The files before the last change: a listener may be about to open them. */
  #before: ReadonlySet<string> = new Set();

  constructor(stateDir: string, log: Log, retry: Retry) {
    this.#dir = join(stateDir, FOLDER);
    this.#log = log;
    this.#retry = retry;
    // The files of an earlier life may be torn.
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** Adds the state of each table to the materials. Builds the tables that have changed. */
  async addTo(inputs: Inputs): Promise<Inputs> {
    const tables = await this.#build(inputs.tables);
    return { ...inputs, materials: { ...inputs.materials, tables } };
  }

  /** True if a table should be tried again, although no file has changed. */
  isDue(): boolean {
    return this.#retry.isDue();
  }

  async #build(files: TableFiles): Promise<Tables> {
    let isChanged = false;
    for (const [name, file] of Object.entries(files)) {
      const known = this.#known.get(name);
      if (known && known.identity === file.identity) continue;
      this.#known.set(name, await this.#judge(name, file, known?.state.path ?? null));
      isChanged = true;
    }
    if (isChanged) this.#removeOld();
    const all = Object.keys(files).flatMap((name) => {
      const known = this.#known.get(name);
      return known ? [[name, known] as const] : [];
    });
    if (all.some(([, { identity }]) => identity === undefined)) this.#retry.failed();
    else this.#retry.forget();
    return Object.fromEntries(all.map(([name, { state }]) => [name, state]));
  }

  async #judge(name: string, file: TableFile, last: string | null): Promise<Known> {
    const made = await this.#make(name, file);
    const { identity } = file;
    if (made.kind === 'written') return { identity, state: { path: made.path, fault: null } };
    this.#log('table_unreadable', { table: name, reason: made.fault });
    const state = { path: last, fault: made.fault };
    return { identity: made.kind === 'failed' ? undefined : identity, state };
  }

  async #make(name: string, file: TableFile): Promise<Made> {
    const contents = readTableFile(file);
    if (!Buffer.isBuffer(contents)) return contents;
    const built = await buildInTurns(contents);
    if (built.kind === 'fault') return built;
    const { bytes, entries, leftOut } = built;
    try {
      const path = this.#write(createHash('sha256').update(contents).digest('hex'), bytes);
      this.#log('table_loaded', { table: name, entries, leftOut });
      return { kind: 'written', path };
    } catch (error) {
      return tableFailure('written', error);
    }
  }

  #write(digest: string, bytes: Buffer): string {
    const path = join(this.#dir, digest);
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    writeFileSync(`${path}.new`, bytes, { mode: 0o600 });
    renameSync(`${path}.new`, path);
    return path;
  }

  #removeOld(): void {
    const now = new Set([...this.#known.values()].flatMap(({ state }) => state.path ?? []));
    for (const file of listFiles(this.#dir)) {
      const path = join(this.#dir, file);
      if (!now.has(path) && !this.#before.has(path)) removeIfPossible(path);
    }
    this.#before = now;
  }
}

async function buildInTurns(contents: Buffer): Promise<BuiltTable> {
  const steps = buildTable(contents);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    await setImmediate();
  }
}

/** A volume that became read-only keeps the file. The next change of a table tries again. */
function removeIfPossible(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // It takes room, and nobody opens it.
  }
}

function listFiles(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}
