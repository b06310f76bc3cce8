/**
 * A value beside the mail as it is stored: a JSON object whose last member is a checksum over its key and its text, so the
 * value of another key does not fit. An earlier version reads the same object: it does not know that member and ignores
 * it. What an earlier version wrote has none. No other member may have its name. Pure.
 */
import { crc32 } from 'node:zlib';

const DIGITS = 8;
const MEMBER = '"crc":"';
/** The member with its digits, and the end of the object. */
const TAIL_BYTES = MEMBER.length + DIGITS + '"}'.length;
const END = '}';
const [BEGIN_BYTE, END_BYTE, COMMA_BYTE] = [0x7b, 0x7d, 0x2c];

/** `value` is a JSON object as JSON.stringify prints it. */
export function encodeValue(key: string, value: Buffer): Buffer {
  if (value[0] !== BEGIN_BYTE || value.at(-1) !== END_BYTE)
    throw new Error(`the value of "${key}" is no JSON object`);
  const head = value.subarray(0, -1);
  const tail = printTail(key, head, head.length > 1);
  const stored = Buffer.allocUnsafe(head.length + tail.length);
  head.copy(stored);
  stored.write(tail, head.length, 'latin1');
  return stored;
}

/** The value without its checksum. Undefined if there is none, or if it is damaged. */
export function decodeValue(key: string, stored: Buffer | undefined): Buffer | undefined {
  if (!stored || stored.length === 0) return undefined;
  const end = stored.length - TAIL_BYTES;
  const hasComma = stored[end - 1] === COMMA_BYTE;
  const head = stored.subarray(0, Math.max(0, hasComma ? end - 1 : end));
  if (head[0] === BEGIN_BYTE && stored.toString('latin1', head.length) === printTail(key, head, hasComma))
    return Buffer.concat([head, Buffer.from(END)]);
  return isOld(stored) ? stored : undefined;
}

/** What follows the value without its end. */
function printTail(key: string, head: Buffer, hasComma: boolean): string {
  const sum = crc32(END, crc32(head, crc32(key)));
  return `${hasComma ? ',' : ''}${MEMBER}${sum.toString(16).padStart(DIGITS, '0')}"}`;
}

function isOld(stored: Buffer): boolean {
  try {
    const value: unknown = JSON.parse(stored.toString());
    return typeof value === 'object' && value !== null && !Array.isArray(value) && !('crc' in value);
  } catch {
    return false;
  }
}
