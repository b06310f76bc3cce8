/**
 * A value beside the mail as it is stored: JSON with a checksum over its key and its text, so the value of another key does
 * not fit. The stored form is JSON too. Pure.
 */
import { crc32 } from 'node:zlib';

/** The checksum in hexadecimal digits, and the value behind it. */
const FORM = { before: '{"crc":"', digits: 8, behind: '","value":' };
const HEAD_BYTES = FORM.before.length + FORM.digits + FORM.behind.length;

export function encodeValue(key: string, value: Buffer): Buffer {
  const sum = crc32(value, crc32(key)).toString(16).padStart(FORM.digits, '0');
  return Buffer.concat([Buffer.from(`${FORM.before}${sum}${FORM.behind}`), value, Buffer.from('}')]);
}

/** Undefined if there is none, or if it is damaged. An earlier version wrote JSON without a checksum. */
export function decodeValue(key: string, stored: Buffer | undefined): Buffer | undefined {
  if (!stored) return undefined;
  const value = stored.subarray(HEAD_BYTES, -1);
  if (stored.equals(encodeValue(key, value))) return value;
  const isOld = !stored.subarray(0, FORM.before.length).equals(Buffer.from(FORM.before));
  return isOld && isObject(stored) ? stored : undefined;
}

function isObject(text: Buffer): boolean {
  try {
    const value: unknown = JSON.parse(text.toString());
    return typeof value === 'object' && value !== null;
  } catch {
    return false;
  }
}
