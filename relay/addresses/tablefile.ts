/**
 * A table as one buffer: a hash of slots, then the entries. 100,000 entries take about 8 MB, and no object for each. The
 * supervisor builds it once, and every listener process opens it. Of two entries with one key the first counts, as with
 * Postfix. Pure.
 */
import { crc32 } from 'node:zlib';
import { type Entry, isPattern, type Table } from './addressmap.ts';

/** Magic, length of the file, number of slots, which is a power of two, and whether a key is a pattern. */
const MAGIC = 0x6d72_7432;
const HEAD_BYTES = 16;
const SLOT_BYTES = 4;
/** Hash of the key, length of the key, length of the value. */
const ENTRY_HEAD_BYTES = 12;
const REFUSED = 'R';
const ADDRESSES = 'A';

export class TableBuilder {
  #bytes = Buffer.alloc(64 * 1024);
  #length = 0;
  readonly #offsets: number[] = [];
  #hasPatterns = false;

  add(key: string, entry: Exclude<Entry, { kind: 'unreadable' }>): void {
    this.#hasPatterns ||= isPattern(key);
    const value = entry.kind === 'addresses' ? ADDRESSES + entry.to.join('\n') : REFUSED + entry.text;
    const most = ENTRY_HEAD_BYTES + 3 * (key.length + value.length);
    while (this.#length + most > this.#bytes.length)
      this.#bytes = Buffer.from(this.#bytes.buffer.transfer(this.#bytes.length * 2));
    const begin = this.#length + ENTRY_HEAD_BYTES;
    const keyBytes = this.#bytes.write(key, begin);
    const valueBytes = this.#bytes.write(value, begin + keyBytes);
    this.#bytes.writeUInt32LE(crc32(this.#bytes.subarray(begin, begin + keyBytes)), this.#length);
    this.#bytes.writeUInt32LE(keyBytes, this.#length + 4);
    this.#bytes.writeUInt32LE(valueBytes, this.#length + 8);
    this.#offsets.push(this.#length);
    this.#length = begin + keyBytes + valueBytes;
  }

  finish(): { readonly bytes: Buffer; readonly entries: number } {
    let slots = 8;
    while (slots < this.#offsets.length * 2) slots *= 2;
    const first = HEAD_BYTES + slots * SLOT_BYTES;
    const bytes = Buffer.concat([Buffer.alloc(first), this.#bytes.subarray(0, this.#length)]);
    bytes.writeUInt32LE(MAGIC, 0);
    bytes.writeUInt32LE(bytes.length, 4);
    bytes.writeUInt32LE(slots, 8);
    bytes.writeUInt32LE(Number(this.#hasPatterns), 12);
    let entries = 0;
    for (const offset of this.#offsets) {
      const entry = first + offset;
      const at = findSlot(bytes, slots, readKeyAt(bytes, entry), bytes.readUInt32LE(entry));
      if (bytes.readUInt32LE(at) !== 0) continue;
      bytes.writeUInt32LE(entry, at);
      entries += 1;
    }
    return { bytes, entries };
  }
}

/** Undefined if the buffer is no whole table. */
export function openTable(bytes: Buffer): Table | undefined {
  if (bytes.length < HEAD_BYTES || bytes.readUInt32LE(0) !== MAGIC || bytes.readUInt32LE(4) !== bytes.length)
    return undefined;
  const slots = bytes.readUInt32LE(8);
  const hasPatterns = bytes.readUInt32LE(12) !== 0;
  const find: Table['find'] = ({ hashed }) => {
    const at = findSlot(bytes, slots, hashed.bytes, hashed.hash);
    const offset = bytes.readUInt32LE(at);
    return offset === 0 ? undefined : decodeEntry(bytes, offset, hashed.bytes.length);
  };
  return { find, hasPatterns };
}

/** The position of the slot that has the key, or of the free one where it would be. */
function findSlot(bytes: Buffer, slots: number, key: Buffer, hash: number): number {
  for (let slot = hash % slots; ; slot = (slot + 1) % slots) {
    const at = HEAD_BYTES + slot * SLOT_BYTES;
    const offset = bytes.readUInt32LE(at);
    if (offset === 0) return at;
    if (bytes.readUInt32LE(offset) === hash && readKeyAt(bytes, offset).equals(key)) return at;
  }
}

function readKeyAt(bytes: Buffer, offset: number): Buffer {
  const begin = offset + ENTRY_HEAD_BYTES;
  return bytes.subarray(begin, begin + bytes.readUInt32LE(offset + 4));
}

function decodeEntry(bytes: Buffer, offset: number, keyBytes: number): Entry {
  const begin = offset + ENTRY_HEAD_BYTES + keyBytes;
  const text = bytes.toString('utf8', begin, begin + bytes.readUInt32LE(offset + 8));
  return text.startsWith(ADDRESSES)
    ? { kind: 'addresses', to: text.slice(1).split('\n') }
    : { kind: 'refused', text: text.slice(1) };
}
