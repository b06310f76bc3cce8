/**
 * Opens the tables of addresses that the supervisor has built, and reads the keys for return addresses. A table that
 * cannot be opened makes its look-ups wait.
 */
import { readFileSync } from 'node:fs';
import type { Policy } from '#crds/policyfile.ts';
import type { Table } from '../addresses/addressmap.ts';
import type { SrsKeys } from '../addresses/srs.ts';
import { openTable } from '../addresses/tablefile.ts';
import { compileMaps, type Maps, UNREADABLE } from '../headers/maps.ts';
import type { Files, Materials } from '../task/materials.ts';

/** The maps of a policy, over tables that may change. */
export class MapSources {
  readonly #policy: Policy;
  #opened = new Map<string, Table>();
  maps: Maps;

  constructor(policy: Policy, materials: Materials) {
    this.#policy = policy;
    this.maps = this.#compile(materials);
  }

  use(materials: Materials): void {
    this.maps = this.#compile(materials);
  }

  #compile({ tables = {}, secrets }: Materials): Maps {
    const opened = new Map<string, Table>();
    for (const { path } of Object.values(tables)) {
      const table = path === null ? undefined : (this.#opened.get(path) ?? openFile(path));
      if (path !== null && table) opened.set(path, table);
    }
    this.#opened = opened;
    return compileMaps(
      this.#policy.addresses,
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
function readSrsKeys(files: Files = {}): SrsKeys | undefined {
  const [key, previous] = [files['key']?.trim(), files['previous']?.trim()];
  return key ? { key, old: previous ? [previous] : [] } : undefined;
}
