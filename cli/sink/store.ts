/**
 * The folder of a sink: for each message one file, and one with what is known of it, and only those of the last hundred stay.
 * The numbers go on after a restart. Other files in the folder are left alone.
 */
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TakenMessage } from './taken.ts';

const KEPT = 100;
const NAME = /^(\d{6,})\.eml$/;

export class SinkStore {
  readonly #folder: string;
  #numbers: readonly number[];

  /** Throws if the folder cannot be read. */
  constructor(folder: string) {
    this.#folder = folder;
    this.#numbers = listNumbers(folder);
  }

  keep(message: Buffer, facts: Omit<TakenMessage, 'number' | 'file'>): TakenMessage {
    const number = (this.#numbers.at(-1) ?? 0) + 1;
    const file = pathOf(this.#folder, number, 'eml');
    const taken = { number, ...facts, file };
    write(pathOf(this.#folder, number, 'json'), JSON.stringify(taken));
    write(file, message);
    const all = [...this.#numbers, number];
    for (const old of all.slice(0, -KEPT))
      for (const kind of ['eml', 'json'] as const) rmSync(pathOf(this.#folder, old, kind), { force: true });
    this.#numbers = all.slice(-KEPT);
    return taken;
  }
}

/** What is known of the messages in the folder of a sink, the latest first. Empty if there is no such folder. */
export function readTaken(folder: string): readonly TakenMessage[] {
  try {
    return listNumbers(folder)
      .toReversed()
      .flatMap((number) => readFacts(pathOf(folder, number, 'json')));
  } catch {
    return [];
  }
}

/** Nothing where a message has gone meanwhile. */
function readFacts(path: string): TakenMessage[] {
  try {
    return [JSON.parse(readFileSync(path, 'utf8')) as TakenMessage];
  } catch {
    return [];
  }
}

function listNumbers(folder: string): number[] {
  return readdirSync(folder)
    .flatMap((name) => NAME.exec(name)?.[1] ?? [])
    .map(Number)
    .toSorted((one, other) => one - other);
}

function write(path: string, content: string | Buffer): void {
  writeFileSync(`${path}.part`, content, { mode: 0o600 });
  renameSync(`${path}.part`, path);
}

function pathOf(folder: string, number: number, kind: 'eml' | 'json'): string {
  return join(folder, `${String(number).padStart(6, '0')}.${kind}`);
}
