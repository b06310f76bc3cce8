/**
 * Reads the PROXY header at the beginning of a connection. Bytes after the header are returned, so nothing is lost. A
 * missing, invalid or late header gives a reason.
 */
import type { Socket } from 'node:net';
import { readProxyHeader } from './proxyheader.ts';

const HEADER_MS = 5_000;
const CURE =
  'turn the PROXY protocol on at the load balancer, or take its network out of proxyProtocol.networks';

export type Behind =
  /** `address` null: the proxy speaks for itself, as in a health check. */
  | { kind: 'client'; address: string | null; early: Buffer | undefined }
  | { kind: 'failed'; reason: string; cure: string };

export function clientBehind(socket: Socket): Promise<Behind> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0);
    const settle = (behind: Behind) => {
      clearTimeout(timer);
      socket.off('data', read);
      socket.off('close', gone);
      stopReading(socket);
      resolve(behind);
    };
    const fail = (reason: string) => settle({ kind: 'failed', reason, cure: CURE });
    const read = (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      const header = readProxyHeader(bytes);
      if (header.kind === 'invalid') fail(header.reason);
      if (header.kind !== 'header') return;
      const early = bytes.length > header.length ? bytes.subarray(header.length) : undefined;
      settle({ kind: 'client', address: header.client?.address ?? null, early });
    };
    const gone = () => fail('the connection ended before its PROXY header');
    const timer = setTimeout(() => fail(`no PROXY header within ${HEADER_MS / 1000} s`), HEADER_MS);
    socket.on('data', read);
    socket.once('close', gone);
    socket.resume();
  });
}

/** Stops at once, because bytes in the kernel must stay there for the process that gets the socket. */
function stopReading(socket: Socket): void {
  socket.pause();
  (socket as unknown as { _handle?: { reading: boolean; readStop(): void } })._handle?.readStop();
}

/** Empty if the client has already disconnected. */
export function clientAddress(socket: Socket): string {
  return (socket.remoteAddress ?? '').replace(/^::ffff:(?=[0-9.]+$)/i, '');
}
