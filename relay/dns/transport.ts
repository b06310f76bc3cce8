/**
 * Sends one question to one DNS server: over UDP from a port of its own, and over TCP where the answer is too long
 * (RFC 7766). The kernel drops datagrams of other senders. Every exchange has a time limit.
 */
import { createSocket, type SocketOptions } from 'node:dgram';
import { createConnection, isIPv6 } from 'node:net';

const UDP_MS = 3_000;
const TCP_MS = 5_000;

export interface Server {
  readonly address: string;
  readonly port: number;
}

/** What the reader of answers says of a message: `undefined` waits for the next one. */
export type Reader<T> = (message: Buffer) => T | undefined;

/** Servers are addresses. Node would look each of them up as if it were a name, which takes a tenth of the time. */
const lookup: SocketOptions['lookup'] = (address, _, done) => done(null, address, isIPv6(address) ? 6 : 4);

/** Undefined: no answer in time. Rejects with the error of the system. */
export function askOverUdp<T>(server: Server, question: Buffer, read: Reader<T>): Promise<T | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<T | undefined>();
  const socket = createSocket({ type: isIPv6(server.address) ? 'udp6' : 'udp4', lookup });
  const timer = setTimeout(() => resolve(undefined), UDP_MS);
  socket.on('error', reject);
  socket.on('message', (message) => {
    const answer = read(message);
    if (answer !== undefined) resolve(answer);
  });
  socket.connect(server.port, server.address, () => socket.send(question));
  return promise.finally(() => {
    clearTimeout(timer);
    socket.close();
  });
}

/** Two bytes of length go before each message (RFC 1035 section 4.2.2). */
export function askOverTcp<T>(server: Server, question: Buffer, read: Reader<T>): Promise<T | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<T | undefined>();
  const socket = createConnection(server.port, server.address);
  const timer = setTimeout(() => resolve(undefined), TCP_MS);
  const heard: Buffer[] = [];
  let bytes = 0;
  socket.on('error', reject);
  socket.on('end', () => resolve(undefined));
  socket.on('connect', () => {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(question.length);
    socket.write(Buffer.concat([length, question]));
  });
  socket.on('data', (chunk: Buffer) => {
    heard.push(chunk);
    bytes += chunk.length;
    if (bytes < 2) return;
    const all = Buffer.concat(heard);
    // One message only, so no more than 64 KiB are kept.
    if (bytes >= 2 + all.readUInt16BE()) resolve(read(all.subarray(2, 2 + all.readUInt16BE())));
  });
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}
