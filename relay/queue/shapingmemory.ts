/**
 * What must outlive the router of a policy: when deliveries under a limit began, and who asked for fewer messages. It is
 * written into the spool within a second after a change, and with the end of the router; without a change nothing is
 * written. So a new policy, a kill and a new pod on the same volume begin no minute, hour or halving anew. A kill
 * forgets the last second. Where the store fails, limits hold in this process alone.
 */
import type { Log } from '../observe/log.ts';
import type { Spool } from '../spool/spool.ts';
import { NO_ROW, type NoteChange, type Remembered, type Row, type Slowed } from './shapingnote.ts';
import { decodeRow, encodeRow, isOver, mergeBegun } from './shapingrows.ts';

const WRITE_AFTER_MS = 1_000;
/** Less than this is no step of the wall clock. Until a step, times are the same whenever they are written. */
const STEP_MS = 1_000;

export interface ShapingMemoryDeps {
  readonly table: Spool['shaping'];
  readonly clock: () => number;
  readonly wall: () => number;
  readonly log: Log;
}

export class ShapingMemory {
  readonly #deps: ShapingMemoryDeps;
  readonly #changed = new Map<string, () => Row | undefined>();
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  /** From the monotonic clock to the wall clock. */
  #offset: number;

  constructor(deps: ShapingMemoryDeps) {
    this.#deps = deps;
    this.#offset = deps.wall() - deps.clock();
  }

  /** What the router before has written. Times are those of the monotonic clock, and none is after now. */
  load(): Remembered {
    const begun = new Map<string, readonly number[]>();
    const slowed = new Map<string, Slowed>();
    for (const [key, row] of this.#readAll()) {
      if (row.kind === 'begun') begun.set(row.name, mergeBegun(begun.get(row.name), row.begun));
      else slowed.set(key, row);
    }
    return { begun, slowed };
  }

  readonly note: NoteChange = (key, row) => {
    this.#changed.set(key, row);
    this.#timer ??= setTimeout(() => void this.write(), WRITE_AFTER_MS).unref();
  };

  /** Writes what has changed. Never rejects: what cannot be written now is written with the next change. */
  write(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // One at a time: what a late failure puts back would be older than what was written meanwhile.
    this.#writing = this.#writing.then(() => this.#writeChanged());
    return this.#writing;
  }

  async #writeChanged(): Promise<void> {
    if (this.#changed.size === 0) return;
    const changed = [...this.#changed];
    this.#changed.clear();
    const now = this.#deps.clock();
    const offset = this.#findOffset();
    const values = new Map(changed.map(([key, row]) => [key, encodeRow(row(), { now, offset })] as const));
    try {
      await this.#deps.table.put(values);
      await this.#deps.table.removeDamaged();
    } catch (error) {
      for (const [key, row] of changed) if (!this.#changed.has(key)) this.#changed.set(key, row);
      this.#tell(error as Error);
    }
  }

  *#readAll(): Generator<readonly [string, Row]> {
    const now = this.#deps.clock();
    const offset = this.#findOffset();
    for (const { key, value } of this.#list()) {
      const decoded = decodeRow(value, { now, offset });
      if (!decoded || isOver(decoded.row, now)) this.note(key, NO_ROW);
      else {
        // The clock was stepped back. Without this each further start would count from its own time.
        if (decoded.isFromFuture) this.note(key, () => decoded.row);
        yield [key, decoded.row];
      }
    }
  }

  #list() {
    try {
      return this.#deps.table.list();
    } catch (error) {
      this.#tell(error as Error);
      return [];
    }
  }

  #tell({ message }: Error): void {
    this.#deps.log('not_kept', { what: 'shaping', message });
  }

  #findOffset(): number {
    const offset = this.#deps.wall() - this.#deps.clock();
    if (Math.abs(offset - this.#offset) >= STEP_MS) this.#offset = offset;
    return this.#offset;
  }
}
