/**
 * Unpacks gzip (RFC 1952), as tables of addresses and TLS reports have it, up to a bound. It ignores what follows the
 * last member, such as the line end that a mail program adds: Node's own gunzip refuses all of it then, so such a tail is
 * looked for. That costs a call and buffers for each member, so only a few members may come before a tail. Throws if a
 * member is broken or cut short, and with ERR_BUFFER_TOO_LARGE. Pure.
 */
import { crc32, gunzipSync, inflateRawSync } from 'node:zlib';

const FIXED_BYTES = 10;
const TRAILER_BYTES = 8;
/** Senders of reports write one. */
const MOST_MEMBERS_BEFORE_TAIL = 16;
const FLAGS = { hasHeaderCheck: 2, hasExtra: 4, hasName: 8, hasComment: 16 } as const;

/** RFC 1952 section 2.3.1. */
export function isPacked(bytes: Buffer): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

export function gunzip(bytes: Buffer, most: number): Buffer {
  try {
    return gunzipSync(bytes, { maxOutputLength: most });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw error;
    return gunzipWithTail(bytes, most);
  }
}

function gunzipWithTail(bytes: Buffer, most: number): Buffer {
  const parts: Buffer[] = [];
  let room = most;
  for (let rest = bytes; parts.length === 0 || isPacked(rest); ) {
    if (parts.length === MOST_MEMBERS_BEFORE_TAIL) throw new Error('it has too many members');
    const member = readMember(rest, room);
    parts.push(member.unpacked);
    room -= member.unpacked.length;
    rest = rest.subarray(member.bytes);
  }
  return Buffer.concat(parts);
}

function readMember(bytes: Buffer, room: number): { unpacked: Buffer; bytes: number } {
  const begin = findData(bytes);
  // Node takes no bound of 0.
  const terms = { maxOutputLength: Math.max(1, room), info: true } as const;
  // The type of Node does not know what `info` does.
  const { buffer, engine } = inflateRawSync(bytes.subarray(begin), terms) as unknown as {
    buffer: Buffer;
    engine: { bytesWritten: number };
  };
  const end = begin + engine.bytesWritten;
  if (bytes.length < end + TRAILER_BYTES) throw new Error('it is cut short');
  if (bytes.readUInt32LE(end) !== crc32(buffer)) throw new Error('its checksum is wrong');
  return { unpacked: buffer, bytes: end + TRAILER_BYTES };
}

/** Where the header of a member ends. */
function findData(bytes: Buffer): number {
  const flags = bytes.readUInt8(3);
  let at = FIXED_BYTES;
  if (flags & FLAGS.hasExtra) at += 2 + bytes.readUInt16LE(at);
  for (const flag of [FLAGS.hasName, FLAGS.hasComment])
    if (flags & flag) at = bytes.indexOf(0, at) + 1 || bytes.length;
  return flags & FLAGS.hasHeaderCheck ? at + 2 : at;
}
