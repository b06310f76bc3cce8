/** Finds which parts of a message have bytes beyond ASCII. Reads only as far as needed. Pure. */
import type { Readable } from 'node:stream';

const END_OF_HEADER = Buffer.from('\r\n\r\n');

export async function beyondAscii(message: Readable): Promise<{ header: boolean; body: boolean }> {
  let [header, inBody] = [false, false];
  let end = Buffer.alloc(0);
  for await (const chunk of message as AsyncIterable<Buffer>) {
    if (inBody && hasHighByte(chunk)) return { header, body: true };
    if (inBody) continue;
    // The empty line may be split over two chunks.
    const seen = Buffer.concat([end, chunk]);
    const at = seen.indexOf(END_OF_HEADER);
    inBody = at !== -1;
    header ||= hasHighByte(inBody ? seen.subarray(0, at) : seen);
    if (inBody && hasHighByte(seen.subarray(at))) return { header, body: true };
    end = seen.subarray(-END_OF_HEADER.length + 1);
  }
  return { header, body: false };
}

function hasHighByte(bytes: Buffer): boolean {
  return bytes.some((byte) => byte > 0x7f);
}
