/**
 * Queue ids, the oldest first, each with a number. Packed into blocks outside the heap, at 24 bytes a row: a queue of a
 * million messages costs little memory and the garbage collector nothing, and one that comes or goes moves few others.
 * Takes ids as newQueueId makes them, of 16 ASCII characters; another one throws a RangeError.
 */
const ID_BYTES = 16;
const ROWS_AT_FIRST = 8;
const ROWS_AT_MOST = 512;

export class IdTable {
  /** None is empty. */
  readonly #blocks: Block[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(id: string): boolean {
    return this.get(id) !== undefined;
  }

  get(id: string): number | undefined {
    return this.#blocks[this.#indexOf(id)]?.get(id);
  }

  set(id: string, value: number): void {
    if (id.length !== ID_BYTES) throw new RangeError(`Not a queue id: "${id}"`);
    const index = this.#indexOf(id);
    if (this.#blocks[index]?.replace(id, value)) return;
    this.#makeRoom(id, index);
    this.#blocks[this.#indexOf(id)]?.insert(id, value);
    this.#size += 1;
  }

  /** Takes it out, and gives its number. */
  take(id: string): number | undefined {
    const index = this.#indexOf(id);
    const block = this.#blocks[index];
    const value = block?.take(id);
    if (value === undefined) return undefined;
    this.#size -= 1;
    if (block?.isEmpty) this.#blocks.splice(index, 1);
    return value;
  }

  /** The oldest behind `after`. */
  next(after = ''): string | undefined {
    const index = this.#indexOf(after);
    return this.#blocks[index]?.next(after) ?? this.#blocks[index + 1]?.next(after);
  }

  /** Those behind `after`. What comes and goes meanwhile is no matter. */
  *ids(after = ''): Generator<string> {
    for (let id = this.next(after); id !== undefined; id = this.next(id)) yield id;
  }

  #makeRoom(id: string, index: number): void {
    const block = this.#blocks[index];
    if (block?.hasRoom) return;
    // Mostly it is the newest of all: then those before it stay together.
    const next = !block || block.endsBefore(id) ? new Block() : block.split();
    this.#blocks.splice(index + 1, 0, next);
  }

  /** Of the last block that does not start after it, or the first. */
  #indexOf(id: string): number {
    let [low, high] = [0, this.#blocks.length - 1];
    // What is new is in the last one.
    if (this.#blocks[high]?.startsAfter(id) === false) return high;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#blocks[middle]?.startsAfter(id)) high = middle - 1;
      else low = middle;
    }
    return low;
  }
}

class Block {
  #ids = Buffer.alloc(ROWS_AT_FIRST * ID_BYTES);
  #values = new Float64Array(ROWS_AT_FIRST);
  #rows = 0;

  get isEmpty(): boolean {
    return this.#rows === 0;
  }

  get hasRoom(): boolean {
    return this.#rows < ROWS_AT_MOST;
  }

  /** Never where it is empty. */
  startsAfter(id: string): boolean {
    return this.#compare(id, 0) < 0;
  }

  endsBefore(id: string): boolean {
    return this.#compare(id, this.#rows - 1) > 0;
  }

  get(id: string): number | undefined {
    const row = this.#rowOf(id);
    return this.#isAt(id, row) ? this.#values[row] : undefined;
  }

  /** False where it is not here. */
  replace(id: string, value: number): boolean {
    const row = this.#rowOf(id);
    const isHere = this.#isAt(id, row);
    if (isHere) this.#values[row] = value;
    return isHere;
  }

  /** One that is not here, where there is room. */
  insert(id: string, value: number): void {
    const row = this.#rowOf(id);
    if (this.#rows === this.#values.length) this.#resize(this.#rows * 2);
    this.#move(row, row + 1);
    this.#rows += 1;
    for (let at = 0; at < ID_BYTES; at++) this.#ids[row * ID_BYTES + at] = id.charCodeAt(at);
    this.#values[row] = value;
  }

  take(id: string): number | undefined {
    const row = this.#rowOf(id);
    if (!this.#isAt(id, row)) return undefined;
    const value = this.#values[row];
    this.#move(row + 1, row);
    this.#rows -= 1;
    this.#shrink();
    return value;
  }

  /** Keeps the older half. */
  split(): Block {
    const younger = new Block();
    const kept = this.#rows >> 1;
    younger.#resize(this.#values.length);
    younger.#ids.set(this.#ids.subarray(kept * ID_BYTES));
    younger.#values.set(this.#values.subarray(kept));
    younger.#rows = this.#rows - kept;
    this.#rows = kept;
    return younger;
  }

  next(after: string): string | undefined {
    const row = this.#rowOf(after);
    const next = this.#isAt(after, row) ? row + 1 : row;
    if (next >= this.#rows) return undefined;
    return this.#ids.toString('latin1', next * ID_BYTES, (next + 1) * ID_BYTES);
  }

  /** The first row that is not older, or the end. */
  #rowOf(id: string): number {
    let [low, high] = [0, this.#rows];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#compare(id, middle) > 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #isAt(id: string, row: number): boolean {
    return row < this.#rows && this.#compare(id, row) === 0;
  }

  /** Below zero where `id` is older than that of the row. */
  #compare(id: string, row: number): number {
    for (let at = 0; at < ID_BYTES; at++) {
      // A shorter one, as of a time, comes before all that it begins.
      const difference = (id.charCodeAt(at) || 0) - (this.#ids[row * ID_BYTES + at] ?? 0);
      if (difference !== 0) return difference;
    }
    return 0;
  }

  #move(from: number, to: number): void {
    this.#ids.copyWithin(to * ID_BYTES, from * ID_BYTES, this.#rows * ID_BYTES);
    this.#values.copyWithin(to, from, this.#rows);
  }

  /** The few that stay behind of a long queue, here and there, do not keep what it took. */
  #shrink(): void {
    const rows = this.#values.length / 2;
    if (rows >= ROWS_AT_FIRST && this.#rows * 2 < rows) this.#resize(rows);
  }

  #resize(rows: number): void {
    const [ids, values] = [this.#ids, this.#values];
    this.#ids = Buffer.alloc(rows * ID_BYTES);
    this.#ids.set(ids.subarray(0, rows * ID_BYTES));
    this.#values = new Float64Array(rows);
    this.#values.set(values.subarray(0, rows));
  }
}
