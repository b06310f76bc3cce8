/**
 * The folder of a sink: one file for each message, and only the last hundred stay. The numbers go on after a restart. Other
 * files in the folder are left alone.
 */
import { readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const KEPT = 100;
const NAME = /^(\d{6,})\.eml$/;

export interface KeptFile {
  readonly number: number;
  readonly path: string;
}

export class SinkStore {
  readonly #folder: string;
  #numbers: readonly number[];

  /** Throws if the folder cannot be read. */
  constructor(folder: string) {
    this.#folder = folder;
    this.#numbers = readdirSync(folder)
      .flatMap((name) => NAME.exec(name)?.[1] ?? [])
      .map(Number)
      .toSorted((one, other) => one - other);
  }

  keep(message: Buffer): KeptFile {
    const number = (this.#numbers.at(-1) ?? 0) + 1;
    const path = this.#pathOf(number);
    writeFileSync(`${path}.part`, message, { mode: 0o600 });
    renameSync(`${path}.part`, path);
    const all = [...this.#numbers, number];
    for (const old of all.slice(0, -KEPT)) rmSync(this.#pathOf(old), { force: true });
    this.#numbers = all.slice(-KEPT);
    return { number, path };
  }

  #pathOf(number: number): string {
    return join(this.#folder, `${String(number).padStart(6, '0')}.eml`);
  }
}
