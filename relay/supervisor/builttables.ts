/**
 * Builds the tables of addresses for the listener processes: one file for each table, in the state folder, so that no
 * process parses a table and none gets it over its channel. A table that cannot be read never replaces a good one. The
 * supervisor serves others meanwhile: it builds a thousand lines at a time.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { TableBuilder } from '../addresses/tablefile.ts';
import { readTable } from '../addresses/tabletext.ts';
import type { Log } from '../observe/log.ts';
import type { TableState, Tables } from '../task/materials.ts';
import type { Inputs } from './inputs.ts';
import type { TableFile, TableFiles } from './tablefiles.ts';

const FOLDER = 'tables';
const GZIP = Buffer.from([0x1f, 0x8b]);
/** A small file of gzip can become any size. */
const MOST_BYTES = 32 * 1024 * 1024;
const LINES_AT_ONCE = 1_000;

interface Known {
  readonly identity: string | null;
  readonly state: TableState;
}

type Made = { kind: 'built'; path: string } | { kind: 'fault'; fault: string };

export class BuiltTables {
  readonly #dir: string;
  readonly #log: Log;
  readonly #known = new Map<string, Known>();
  /** The files before the last change: a listener may be about to open them. */
  #before: ReadonlySet<string> = new Set();

  constructor(stateDir: string, log: Log) {
    this.#dir = join(stateDir, FOLDER);
    this.#log = log;
    // The files of an earlier life may be torn.
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** Adds the state of each table to the materials. Builds the tables that have changed. */
  async addTo(inputs: Inputs): Promise<Inputs> {
    const tables = await this.#build(inputs.tables);
    return { ...inputs, materials: { ...inputs.materials, tables } };
  }

  async #build(files: TableFiles): Promise<Tables> {
    let isChanged = false;
    for (const [name, file] of Object.entries(files)) {
      const known = this.#known.get(name);
      if (known && known.identity === file.identity) continue;
      this.#known.set(name, {
        identity: file.identity,
        state: await this.#judge(name, file, known?.state.path ?? null),
      });
      isChanged = true;
    }
    if (isChanged) this.#removeOld();
    return Object.fromEntries(
      Object.keys(files).flatMap((name) => {
        const known = this.#known.get(name);
        return known ? [[name, known.state]] : [];
      }),
    );
  }

  async #judge(name: string, { path, identity }: TableFile, last: string | null): Promise<TableState> {
    const made: Made =
      identity === null ? { kind: 'fault', fault: 'does not exist' } : await this.#make(name, path);
    if (made.kind === 'built') return { path: made.path, fault: null };
    this.#log('table_unreadable', { table: name, reason: made.fault });
    return { path: last, fault: made.fault };
  }

  async #make(name: string, path: string): Promise<Made> {
    try {
      const given = readFileSync(path);
      const isPacked = given.subarray(0, GZIP.length).equals(GZIP);
      const text = (isPacked ? gunzipSync(given, { maxOutputLength: MOST_BYTES }) : given).toString();
      return await this.#write(name, createHash('sha256').update(given).digest('hex'), text);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      return { kind: 'fault', fault: `cannot be read (${code ?? message})` };
    }
  }

  async #write(name: string, digest: string, text: string): Promise<Made> {
    const builder = new TableBuilder();
    let [lines, leftOut] = [0, 0];
    for (const line of readTable(text)) {
      if (line.kind === 'fault')
        return { kind: 'fault', fault: `has a wrong line ${line.line} (${line.reason})` };
      if (line.kind === 'entry') builder.add(line.key, line.entry);
      else leftOut += 1;
      lines += 1;
      if (lines % LINES_AT_ONCE === 0) await setImmediate();
    }
    const { bytes, entries } = builder.finish();
    if (entries === 0 && leftOut > 0) return { kind: 'fault', fault: 'has no entry with an @' };
    const path = join(this.#dir, digest);
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    writeFileSync(`${path}.new`, bytes, { mode: 0o600 });
    renameSync(`${path}.new`, path);
    this.#log('table_loaded', { table: name, entries, leftOut });
    return { kind: 'built', path };
  }

  #removeOld(): void {
    const now = new Set([...this.#known.values()].flatMap(({ state }) => state.path ?? []));
    for (const file of listFiles(this.#dir)) {
      const path = join(this.#dir, file);
      if (!now.has(path) && !this.#before.has(path)) rmSync(path, { force: true });
    }
    this.#before = now;
  }
}

function listFiles(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}
