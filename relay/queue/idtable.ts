/**
 * A sorted table of queue ids, oldest first, each with a number. The rows are packed into blocks outside the heap, with
 * 24 bytes for each row. So a queue of a million messages costs little memory and no garbage collection, and an
 * insertion or removal moves few rows. Accepts only ids of newQueueId, with 16 ASCII characters. Any other id throws a
 * RangeError.
 */
const ID_BYTES = 16;
const ROWS_AT_FIRST = 8;
const ROWS_AT_MOST = 512;

export class IdTable {
  /** No block is empty. */
  readonly #blocks: Block[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(id: string): boolean {
    return this.get(id) !== undefined;
  }

  get(id: string): number | undefined {
    return this.#blocks[this.#findBlock(id)]?.get(id);
  }

  set(id: string, value: number): void {
    if (id.length !== ID_BYTES) throw new RangeError(`Not a queue id: "${id}"`);
    const index = this.#findBlock(id);
    if (this.#blocks[index]?.replace(id, value)) return;
    this.#makeRoom(id, index);
    this.#blocks[this.#findBlock(id)]?.insert(id, value);
    this.#size += 1;
  }

  /** Removes the id and returns its number. */
  take(id: string): number | undefined {
    const index = this.#findBlock(id);
    const block = this.#blocks[index];
    const value = block?.take(id);
    if (value === undefined) return undefined;
    this.#size -= 1;
    if (block?.isEmpty) this.#blocks.splice(index, 1);
    return value;
  }

  /** The oldest id after `after`. */
  next(after = ''): string | undefined {
    const index = this.#findBlock(after);
    return this.#blocks[index]?.next(after) ?? this.#blocks[index + 1]?.next(after);
  }

  /** The ids after `after`. The table may change during the iteration. */
  *ids(after = ''): Generator<string> {
    for (let id = this.next(after); id !== undefined; id = this.next(id)) yield id;
  }

  #makeRoom(id: string, index: number): void {
    const block = this.#blocks[index];
    if (block?.hasRoom) return;
    // Usually the new id is the newest of all. Then the older rows stay together.
    const next = !block || block.endsBefore(id) ? new Block() : block.split();
    this.#blocks.splice(index + 1, 0, next);
  }

  /** The index of the last block that does not start after the id, or of the first block. */
  #findBlock(id: string): number {
    let [low, high] = [0, this.#blocks.length - 1];
    // A new id belongs into the last block.
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

  /** Only for a block with rows. */
  startsAfter(id: string): boolean {
    return this.#compare(id, 0) < 0;
  }

  endsBefore(id: string): boolean {
    return this.#compare(id, this.#rows - 1) > 0;
  }

  get(id: string): number | undefined {
    const row = this.#findRow(id);
    return this.#isAt(id, row) ? this.#values[row] : undefined;
  }

  /** False if the id is not in the block. */
  replace(id: string, value: number): boolean {
    const row = this.#findRow(id);
    const isHere = this.#isAt(id, row);
    if (isHere) this.#values[row] = value;
    return isHere;
  }

  /** Inserts an id that is not in the block, while there is room. */
  insert(id: string, value: number): void {
    const row = this.#findRow(id);
    if (this.#rows === this.#values.length) this.#resize(this.#rows * 2);
    this.#move(row, row + 1);
    this.#rows += 1;
    for (let at = 0; at < ID_BYTES; at++) this.#ids[row * ID_BYTES + at] = id.charCodeAt(at);
    this.#values[row] = value;
  }

  take(id: string): number | undefined {
    const row = this.#findRow(id);
    if (!this.#isAt(id, row)) return undefined;
    const value = this.#values[row];
    this.#move(row + 1, row);
    this.#rows -= 1;
    this.#shrink();
    return value;
  }

  /** Keeps the older half. Returns the newer half. */
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
    const row = this.#findRow(after);
    const next = this.#isAt(after, row) ? row + 1 : row;
    if (next >= this.#rows) return undefined;
    return this.#ids.toString('latin1', next * ID_BYTES, (next + 1) * ID_BYTES);
  }

  /** The first row that is not older than the id, or the end. */
  #findRow(id: string): number {
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

  /** Below zero if `id` is older than the id of the row. */
  #compare(id: string, row: number): number {
    for (let at = 0; at < ID_BYTES; at++) {
      // A shorter id, for example the prefix of a time, sorts before all ids that begin with it.
      const difference = (id.charCodeAt(at) || 0) - (this.#ids[row * ID_BYTES + at] ?? 0);
      if (difference !== 0) return difference;
    }
    return 0;
  }

  #move(from: number, to: number): void {
    this.#ids.copyWithin(to * ID_BYTES, from * ID_BYTES, this.#rows * ID_BYTES);
    this.#values.copyWithin(to, from, this.#rows);
  }

  /** A block with few rows gets a small buffer. Otherwise the rest of a long queue would keep all its memory. */
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
