/**
 * Reads the tables of an SQLite file page by page (https://sqlite.org/fileformat2.html), for a store that SQLite cannot
 * read. SQLite stops at the first broken page of a tree, but the pages behind it may be whole. Unreadable parts are
 * undefined or left out, and no number in the file is trusted. Pure, except for reading pages through its argument.
 */
import { Buffer } from 'node:buffer';

export const PAGE_BYTES = 4_096;
/** How many bytes of a row fit into a page of its tree. The rest goes to overflow pages (section 1.6). */
const LOCAL = { table: PAGE_BYTES - 35, index: 1_002, least: 489 };
const MAGIC = 'SQLite format 3\0';
const FIRST_HEADER_AT = 100;
const FREE_LIST_AT = 32;
const TYPES = { indexNode: 2, tableNode: 5, indexLeaf: 10, tableLeaf: 13 };
const TREES = { table: [TYPES.tableNode, TYPES.tableLeaf], index: [TYPES.indexNode, TYPES.indexLeaf] };
/** A longer payload is damage: no key or value of a store has this size. */
const MOST_BYTES = 2 ** 30;

export interface Pages {
  readonly count: number;
  /** Pages are numbered from 1. Undefined if the page cannot be read. */
  page(number: number): Buffer | undefined;
}

export interface Row {
  readonly key: string;
  /** Undefined in an index. */
  readonly value: Buffer | undefined;
}

/** Root pages by name. Undefined if the first page cannot be read. */
export function readRoots(pages: Pages): ReadonlyMap<string, number> | undefined {
  const first = pages.page(1);
  if (first?.toString('latin1', 0, MAGIC.length) !== MAGIC) return undefined;
  const roots = new Map<string, number>();
  const broken = walk(pages, { kind: 'table', root: 1 }, new Set(), (columns) => {
    const [, name, , root] = columns;
    if (Buffer.isBuffer(name) && typeof root === 'number') roots.set(name.toString(), root);
  });
  return broken === 0 ? roots : undefined;
}

/** The known pages that belong to no tree any more. */
export function readFreePages(pages: Pages): ReadonlySet<number> {
  const free = new Set<number>();
  let trunk = pages.page(1)?.readUInt32BE(FREE_LIST_AT) ?? 0;
  while (trunk > 0 && trunk <= pages.count && !free.has(trunk)) {
    free.add(trunk);
    const page = pages.page(trunk);
    const leaves = Math.min(page?.readUInt32BE(4) ?? 0, PAGE_BYTES / 4 - 2);
    for (let leaf = 0; leaf < leaves; leaf++) free.add(page?.readUInt32BE(8 + leaf * 4) ?? 0);
    trunk = page?.readUInt32BE(0) ?? 0;
  }
  return free;
}

export interface Tree {
  readonly kind: keyof typeof TREES;
  readonly root: number;
}

/**
 * Visits all rows of a tree that can be reached from its root. Returns how many parts cannot be reached. Adds the pages
 * of the tree to `seen`.
 */
export function walkRows(pages: Pages, tree: Tree, seen: Set<number>, found: (row: Row) => void): number {
  const own = new Set<number>();
  const broken = walk(pages, tree, own, (columns) => {
    const row = readRow(columns);
    if (row) found(row);
  });
  for (const page of own) seen.add(page);
  return broken;
}

/** The rows of one table page, whichever tree it belongs to. Empty if it is no table page. */
export function rowsOnPage(pages: Pages, number: number): Row[] {
  const page = pages.page(number);
  const parsed = page && parsePage(page, 0);
  if (!parsed || parsed.type !== TYPES.tableLeaf) return [];
  return parsed.cells.flatMap((at) => readRow(columnsAt(pages, page, at, parsed.type)) ?? []);
}

type Column = number | Buffer | null;

function readRow(columns: readonly Column[] | undefined): Row | undefined {
  const [key, value] = columns ?? [];
  if (!Buffer.isBuffer(key)) return undefined;
  return { key: key.toString(), value: Buffer.isBuffer(value) ? value : undefined };
}

function walk(
  pages: Pages,
  { kind, root }: Tree,
  seen: Set<number>,
  found: (columns: readonly Column[]) => void,
): number {
  let broken = 0;
  const left = [root];
  for (let number = left.pop(); number !== undefined; number = left.pop()) {
    const page = number > 0 && number <= pages.count && !seen.has(number) ? pages.page(number) : undefined;
    const parsed = page && parsePage(page, number === 1 ? FIRST_HEADER_AT : 0);
    if (!parsed || !TREES[kind].includes(parsed.type)) {
      broken += 1;
      continue;
    }
    seen.add(number);
    left.push(...parsed.children);
    for (const at of parsed.type === TYPES.tableNode ? [] : parsed.cells) {
      const columns = columnsAt(pages, page, at, parsed.type);
      if (columns) found(columns);
      else broken += 1;
    }
  }
  return broken;
}

interface ParsedPage {
  readonly type: number;
  /** The start of each cell. In the nodes of an index it is after the number of the child page. */
  readonly cells: readonly number[];
  readonly children: readonly number[];
}

function parsePage(page: Buffer, at: number): ParsedPage | undefined {
  const type = page[at] ?? 0;
  if (!Object.values(TYPES).includes(type)) return undefined;
  const isNode = type === TYPES.indexNode || type === TYPES.tableNode;
  const pointersAt = at + (isNode ? 12 : 8);
  const count = page.readUInt16BE(at + 3);
  if (pointersAt + 2 * count > PAGE_BYTES) return undefined;
  const pointers = Array.from({ length: count }, (_, index) => page.readUInt16BE(pointersAt + 2 * index));
  if (pointers.some((pointer) => pointer < pointersAt || pointer > PAGE_BYTES - 4)) return undefined;
  if (!isNode) return { type, cells: pointers, children: [] };
  const children = [...pointers.map((pointer) => page.readUInt32BE(pointer)), page.readUInt32BE(at + 8)];
  return { type, cells: pointers.map((pointer) => pointer + 4), children };
}

/** Undefined if the cell or one of its overflow pages cannot be read. */
function columnsAt(pages: Pages, page: Buffer, at: number, type: number): Column[] | undefined {
  const [length, behindLength] = varint(page, at);
  const isTable = type === TYPES.tableLeaf;
  // Skips the row number, which nobody needs.
  const begin = isTable ? varint(page, behindLength)[1] : behindLength;
  const payload = payloadAt(pages, page, begin, length, isTable ? LOCAL.table : LOCAL.index);
  return payload && readColumns(payload);
}

function payloadAt(
  pages: Pages,
  page: Buffer,
  at: number,
  length: number,
  mostLocal: number,
): Buffer | undefined {
  if (length > MOST_BYTES) return undefined;
  const spill = LOCAL.least + ((length - LOCAL.least) % (PAGE_BYTES - 4));
  const local = length <= mostLocal ? length : spill <= mostLocal ? spill : LOCAL.least;
  if (at + local + (local < length ? 4 : 0) > PAGE_BYTES) return undefined;
  const parts = [page.subarray(at, at + local)];
  let next = local < length ? page.readUInt32BE(at + local) : 0;
  for (let rest = length - local; rest > 0; rest -= PAGE_BYTES - 4) {
    const overflow = next > 0 && next <= pages.count ? pages.page(next) : undefined;
    if (!overflow) return undefined;
    parts.push(overflow.subarray(4, 4 + Math.min(rest, PAGE_BYTES - 4)));
    next = overflow.readUInt32BE(0);
  }
  return Buffer.concat(parts, length);
}

/**
 * Texts and bytes are returned unchanged, and integers as numbers. Types that a store never contains become null
 * (section 2.1).
 */
function readColumns(payload: Buffer): Column[] | undefined {
  const columns: Column[] = [];
  const [headerEnd, first] = varint(payload, 0);
  let at = headerEnd;
  for (let header = first; header < headerEnd; ) {
    const [serial, next] = varint(payload, header);
    const size = columnSize(serial);
    if (size === undefined || at + size > payload.length) return undefined;
    columns.push(readColumn(payload, at, serial, size));
    at += size;
    header = next;
  }
  return columns;
}

const WHOLE_NUMBER_BYTES = [0, 1, 2, 3, 4, 6, 8];

function columnSize(serial: number): number | undefined {
  if (serial >= 12) return Math.floor((serial - 12) / 2);
  if (serial === 8 || serial === 9) return 0;
  return WHOLE_NUMBER_BYTES[serial];
}

function readColumn(payload: Buffer, at: number, serial: number, size: number): Column {
  if (serial >= 12) return payload.subarray(at, at + size);
  if (serial === 8 || serial === 9) return serial - 8;
  return size > 0 && size <= 6 ? payload.readIntBE(at, size) : null;
}

/** Returns the value and the position after it. */
function varint(bytes: Buffer, at: number): [number, number] {
  let value = 0;
  for (let index = 0; index < 8; index++) {
    const byte = bytes[at + index] ?? 0;
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) return [value, at + index + 1];
  }
  return [value * 256 + (bytes[at + 8] ?? 0), at + 9];
}
