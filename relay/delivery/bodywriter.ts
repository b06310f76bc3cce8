/** Writes the body of a message to the socket of a next hop: dots are stuffed, and small pieces travel together. */
import type { Socket } from 'node:net';
import { dotStuffed, endsLine } from './dotstuffing.ts';

/** The size of a TLS record. */
const COPIED_BYTES = 16 * 1024;
const WAITING_BYTES = 64 * 1024;

/**
 * Joins pipelined commands, or the parts of a body: all writes of one turn of the event loop become one TLS record.
 * `leave` is called when they leave, and may add to them.
 */
export function joinWrites(socket: Socket, leave?: () => void): void {
  socket.cork();
  setImmediate(() => {
    leave?.();
    socket.uncork();
  });
}

export function writeEnd(socket: Socket, isLineEnded: boolean): void {
  socket.write(isLineEnded ? '.\r\n' : '\r\n.\r\n');
}

/** The caller joins the writes. */
export function writeWhole(socket: Socket, body: Buffer): void {
  for (const part of dotStuffed(body, true)) socket.write(part);
}

/**
 * Returns whether the body ended with a line end, which `writeEnd` needs to know. Rejects if the body cannot be read, or the
 * connection has ended.
 */
export async function writePieces(socket: Socket, body: AsyncIterable<Buffer>): Promise<boolean> {
  let startsLine = true;
  for await (const piece of body) {
    if (socket.destroyed) throw new Error('the connection has ended');
    if (piece.length === 0) continue;
    await written(socket, dotStuffed(piece, startsLine));
    startsLine = endsLine(piece);
  }
  return startsLine;
}

/**
 * After this call the caller may reuse the bytes. Small pieces are copied and written together. For large pieces the
 * caller waits.
 */
function written(socket: Socket, parts: readonly Buffer[]): Promise<void> | undefined {
  const bytes = parts.reduce((sum, { length }) => sum + length, 0);
  if (bytes <= COPIED_BYTES && socket.writableLength < WAITING_BYTES) {
    joinWrites(socket);
    socket.write(Buffer.concat(parts));
    return undefined;
  }
  return new Promise((resolve, reject) => {
    socket.cork();
    for (const part of parts.slice(0, -1)) socket.write(part);
    socket.write(parts.at(-1) ?? '', (error) => (error ? reject(error) : resolve()));
    socket.uncork();
  });
}
