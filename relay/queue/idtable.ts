/**
 * A sorted table of queue ids, oldest first, each with a number. The rows are packed into blocks outside the heap, with
 * 24 bytes for each row. So a queue of a million messages costs little memory and no garbage collection, and an
 * insertion or removal moves few rows. Accepts only ids of newQueueId, with 16 ASCII characters. Any other id throws a
 * RangeError.
 */
const ID_BYTES = 16;
const WORD_BYTES = 4;
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
    const key = packKey(id);
    return this.#blocks[this.#findBlock(key)]?.get(key);
  }

  set(id: string, value: number): void {
    if (id.length !== ID_BYTES) throw new RangeError(`Not a queue id: "${id}"`);
    const key = packKey(id);
    const index = this.#findBlock(key);
    if (this.#blocks[index]?.replace(key, value)) return;
    this.#makeRoom(key, index);
    this.#blocks[this.#findBlock(key)]?.insert(id, key, value);
    this.#size += 1;
  }

  /** Removes the id and returns its number. */
  take(id: string): number | undefined {
    const key = packKey(id);
    const index = this.#findBlock(key);
    const block = this.#blocks[index];
    const value = block?.take(key);
    if (value === undefined) return undefined;
    this.#size -= 1;
    if (block?.isEmpty) this.#blocks.splice(index, 1);
    return value;
  }

  /** The oldest id after `after`. */
  next(after = ''): string | undefined {
    const key = packKey(after);
    const index = this.#findBlock(key);
    return this.#blocks[index]?.next(key) ?? this.#blocks[index + 1]?.next(key);
  }

  /** The ids after `after`. The table may change during the iteration. */
  *ids(after = ''): Generator<string> {
    for (let id = this.next(after); id !== undefined; id = this.next(id)) yield id;
  }

  #makeRoom(key: Key, index: number): void {
    const block = this.#blocks[index];
    if (block?.hasRoom) return;
    // Usually the new id is the newest of all. Then the older rows stay together.
    const next = !block || block.endsBefore(key) ? new Block() : block.split();
    this.#blocks.splice(index + 1, 0, next);
  }

  /** The index of the last block that does not start after the key, or of the first block. */
  #findBlock(key: Key): number {
    let [low, high] = [0, this.#blocks.length - 1];
    // A new id belongs into the last block.
    if (this.#blocks[high]?.startsAfter(key) === false) return high;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#blocks[middle]?.startsAfter(key)) high = middle - 1;
      else low = middle;
    }
    return low;
  }
}

/** The bytes of an id, compared in words: most lookups of the queue end in a comparison. */
type Key = DataView;

const KEY = Buffer.alloc(ID_BYTES);
const KEY_WORDS = viewWords(KEY);

/** Valid until the next call. A shorter id, for example the prefix of a time, sorts before all ids that begin with it. */
function packKey(id: string): Key {
  const end = KEY.write(id);
  if (end < ID_BYTES) KEY.fill(0, end);
  return KEY_WORDS;
}

function viewWords({ buffer, byteOffset, byteLength }: Buffer): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

class Block {
  #ids = Buffer.alloc(ROWS_AT_FIRST * ID_BYTES);
  #words = viewWords(this.#ids);
  #values = new Float64Array(ROWS_AT_FIRST);
  #rows = 0;

  get isEmpty(): boolean {
    return this.#rows === 0;
  }

  get hasRoom(): boolean {
    return this.#rows < ROWS_AT_MOST;
  }

  /** Only for a block with rows. */
  startsAfter(key: Key): boolean {
    return this.#compare(key, 0) < 0;
  }

  endsBefore(key: Key): boolean {
    return this.#compare(key, this.#rows - 1) > 0;
  }

  get(key: Key): number | undefined {
    const row = this.#findRow(key);
    return this.#isAt(key, row) ? this.#values[row] : undefined;
  }

  /** False if the id is not in the block. */
  replace(key: Key, value: number): boolean {
    const row = this.#findRow(key);
    const isHere = this.#isAt(key, row);
    if (isHere) this.#values[row] = value;
    return isHere;
  }

  /** Inserts an id that is not in the block, while there is room. */
  insert(id: string, key: Key, value: number): void {
    const row = this.#findRow(key);
    if (this.#rows === this.#values.length) this.#resize(this.#rows * 2);
    this.#move(row, row + 1);
    this.#rows += 1;
    this.#ids.write(id, row * ID_BYTES, ID_BYTES);
    this.#values[row] = value;
  }

  take(key: Key): number | undefined {
    const row = this.#findRow(key);
    if (!this.#isAt(key, row)) return undefined;
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

  next(after: Key): string | undefined {
    const row = this.#findRow(after);
    const next = this.#isAt(after, row) ? row + 1 : row;
    if (next >= this.#rows) return undefined;
    return this.#ids.toString('latin1', next * ID_BYTES, (next + 1) * ID_BYTES);
  }

  /** The first row that is not older than the id, or the end. */
  #findRow(key: Key): number {
    let [low, high] = [0, this.#rows];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#compare(key, middle) > 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #isAt(key: Key, row: number): boolean {
    return row < this.#rows && this.#compare(key, row) === 0;
  }

  /** Below zero if the key is older than the id of the row. */
  #compare(key: Key, row: number): number {
    for (let at = 0; at < ID_BYTES; at += WORD_BYTES) {
      const difference = key.getUint32(at) - this.#words.getUint32(row * ID_BYTES + at);
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
    this.#words = viewWords(this.#ids);
    this.#values = new Float64Array(rows);
    this.#values.set(values.subarray(0, rows));
  }
}
