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
const EMPTY_BYTES = '{}'.length;
const END = Buffer.from('}');
const [BEGIN_BYTE, END_BYTE, COMMA_BYTE] = [0x7b, 0x7d, 0x2c];

/** `value` is a JSON object as JSON.stringify prints it. */
export function encodeValue(key: string, value: Buffer): Buffer {
  if (value[0] !== BEGIN_BYTE || value.at(-1) !== END_BYTE)
    throw new Error(`the value of "${key}" is no JSON object`);
  const tail = printTail(key, value);
  const stored = Buffer.allocUnsafe(value.length - 1 + tail.length);
  value.copy(stored);
  stored.write(tail, value.length - 1, 'latin1');
  return stored;
}

/** The value without its checksum. Undefined if there is none, or if it is damaged. */
export function decodeValue(key: string, stored: Buffer | undefined): Buffer | undefined {
  if (!stored || stored.length === 0) return undefined;
  const end = stored.length - TAIL_BYTES;
  const head = stored.subarray(0, Math.max(0, stored[end - 1] === COMMA_BYTE ? end - 1 : end));
  const value = Buffer.concat([head, END]);
  if (value[0] === BEGIN_BYTE && stored.toString('latin1', head.length) === printTail(key, value))
    return value;
  return isOld(stored) ? stored : undefined;
}

/** What is stored in the place of the end of the value. */
function printTail(key: string, value: Buffer): string {
  const sum = crc32(value, crc32(key)).toString(16).padStart(DIGITS, '0');
  return `${value.length > EMPTY_BYTES ? ',' : ''}${MEMBER}${sum}"}`;
}

function isOld(stored: Buffer): boolean {
  try {
    const value: unknown = JSON.parse(stored.toString());
    return typeof value === 'object' && value !== null && !Array.isArray(value) && !('crc' in value);
  } catch {
    return false;
  }
}
