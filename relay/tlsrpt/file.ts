/**
 * The days that are not reported yet, in one file of the state folder. It is written atomically, one write after another,
 * at most once a minute: a crash loses the counts of a minute. A file that cannot be read or written is told, and costs
 * only counts.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeAtomically } from '../task/atomicfile.ts';
import type { Days } from './tally.ts';

const FORMAT = 1;

export interface Kept {
  /** Names this relay in the ids of its reports, for as long as its volume lives. */
  readonly instance: string;
  readonly days: Days;
}

export class TallyFile {
  readonly #path: string;
  readonly #onError: (error: Error) => void;
  #writing: Promise<void> = Promise.resolve();

  constructor(path: string, onError: (error: Error) => void) {
    this.#path = path;
    this.#onError = onError;
  }

  read(): Kept {
    try {
      const { format, instance, days } = JSON.parse(readFileSync(this.#path, 'utf8'));
      if (format === FORMAT && typeof instance === 'string' && typeof days === 'object')
        return { instance, days };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#onError(error as Error);
    }
    return { instance: randomUUID(), days: {} };
  }

  /** Resolves when it is on disk, or could not be written. */
  write(kept: Kept): Promise<void> {
    const text = JSON.stringify({ format: FORMAT, ...kept });
    this.#writing = this.#writing.then(() => writeAtomically(this.#path, text)).catch(this.#onError);
    return this.#writing;
  }
}
