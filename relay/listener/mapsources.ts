/**
 * Opens the tables of addresses that the supervisor has built, and reads the keys for return addresses. A table that
 * cannot be opened makes its look-ups wait, and is tried again after some seconds.
 */
import { readFileSync } from 'node:fs';
import type { Policy } from '#crds/policyfile.ts';
import type { Table } from '../addresses/addressmap.ts';
import type { SrsKeys } from '../addresses/srs.ts';
import { openTable } from '../addresses/tablefile.ts';
import { compileMaps, type Maps, UNREADABLE } from '../headers/maps.ts';
import { monotonic } from '../task/clock.ts';
import type { Files, Materials } from '../task/materials.ts';

/** The failure may have been of the moment, such as too many open files. */
const AGAIN_MS = 5_000;

/** The maps of a policy, over tables that may change. */
export class MapSources {
  readonly #policy: Policy;
  readonly #clock: () => number;
  #materials: Materials;
  #opened = new Map<string, Table>();
  #maps: Maps;
  /** When the tables that could not be opened are tried again. */
  #againAt = Number.POSITIVE_INFINITY;

  constructor(policy: Policy, materials: Materials, clock: () => number = monotonic) {
    this.#policy = policy;
    this.#clock = clock;
    this.#materials = materials;
    this.#maps = this.#compile();
  }

  get maps(): Maps {
    if (this.#clock() >= this.#againAt) this.#maps = this.#compile();
    return this.#maps;
  }

  use(materials: Materials): void {
    this.#materials = materials;
    this.#maps = this.#compile();
  }

  #compile(): Maps {
    const { tables = {}, secrets } = this.#materials;
    const opened = new Map<string, Table>();
    this.#againAt = Number.POSITIVE_INFINITY;
    for (const { path } of Object.values(tables)) {
      if (path === null) continue;
      const table = this.#opened.get(path) ?? openFile(path);
      if (table) opened.set(path, table);
      else this.#againAt = this.#clock() + AGAIN_MS;
    }
    this.#opened = opened;
    return compileMaps(
      this.#policy,
      (name) => opened.get(tables[name]?.path ?? '') ?? UNREADABLE,
      readSrsKeys(secrets[this.#policy.addresses.srs?.secret ?? '']),
    );
  }
}

function openFile(path: string): Table | undefined {
  try {
    return openTable(readFileSync(path));
  } catch {
    return undefined;
  }
}

/** A file of an editor may end with a line break. */
export function readSrsKeys(files: Files = {}): SrsKeys | undefined {
  const [key, previous] = [files['key']?.trim(), files['previous']?.trim()];
  return key ? { key, old: previous ? [previous] : [] } : undefined;
}
