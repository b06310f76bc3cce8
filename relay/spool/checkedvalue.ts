/**
 * A value beside the mail as it is stored: a JSON object whose last member is a checksum over its key and its text, so the
 * value of another key does not fit. An earlier version reads the same object: it does not know that member and ignores
 * it. What an earlier version wrote has none. No other member may have its name. Pure.
 */
import { crc32 } from 'node:zlib';

const DIGITS = 8;
const MEMBER = '"crc":"';
/** The member with its digits, and the end of the object. */
const TAIL_LENGTH = MEMBER.length + DIGITS + '"}'.length;

/** `value` is a JSON object as JSON.stringify prints it. */
export function encodeValue(key: string, value: string): Buffer {
  if (!value.startsWith('{') || !value.endsWith('}'))
    throw new Error(`the value of "${key}" is no JSON object`);
  return Buffer.from(value.slice(0, -1) + printTail(key, value));
}

/** The value without its checksum. Undefined if there is none, or if it is damaged: bytes that are no UTF-8 fit no checksum. */
export function decodeValue(key: string, stored: string | undefined): string | undefined {
  if (!stored) return undefined;
  const end = Math.max(0, stored.length - TAIL_LENGTH);
  const head = stored.slice(0, stored[end - 1] === ',' ? end - 1 : end);
  const value = `${head}}`;
  if (value.startsWith('{') && stored.slice(head.length) === printTail(key, value)) return value;
  return isOld(stored) ? stored : undefined;
}

/** What is stored in the place of the end of the value. */
function printTail(key: string, value: string): string {
  const sum = crc32(value, crc32(key)).toString(16).padStart(DIGITS, '0');
  return `${value === '{}' ? '' : ','}${MEMBER}${sum}"}`;
}

function isOld(stored: string): boolean {
  try {
    const value: unknown = JSON.parse(stored);
    return typeof value === 'object' && value !== null && !Array.isArray(value) && !('crc' in value);
  } catch {
    return false;
  }
}
