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
const [BEGIN, COMMA, END] = [Buffer.from('{'), Buffer.from(','), Buffer.from('}')];

/** `value` is a JSON object as JSON.stringify prints it. */
export function encodeValue(key: string, value: Buffer): Buffer {
  if (!value.subarray(0, 1).equals(BEGIN) || !value.subarray(-1).equals(END))
    throw new Error(`the value of "${key}" is no JSON object`);
  const inside = value.subarray(1, -1);
  const sum = crc32(value, crc32(key)).toString(16).padStart(DIGITS, '0');
  return Buffer.concat([
    BEGIN,
    inside,
    ...(inside.length > 0 ? [COMMA] : []),
    Buffer.from(`${MEMBER}${sum}"}`),
  ]);
}

/** The value without its checksum. Undefined if there is none, or if it is damaged. */
export function decodeValue(key: string, stored: Buffer | undefined): Buffer | undefined {
  if (!stored || stored.length === 0) return undefined;
  const head = stored.subarray(0, -TAIL_BYTES);
  const value = Buffer.concat([head.subarray(-1).equals(COMMA) ? head.subarray(0, -1) : head, END]);
  if (value.subarray(0, 1).equals(BEGIN) && stored.equals(encodeValue(key, value))) return value;
  return isOld(stored) ? stored : undefined;
}

function isOld(stored: Buffer): boolean {
  try {
    const value: unknown = JSON.parse(stored.toString());
    return typeof value === 'object' && value !== null && !Array.isArray(value) && !('crc' in value);
  } catch {
    return false;
  }
}
