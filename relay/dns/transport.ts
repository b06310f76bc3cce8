/**
 * Sends questions to one DNS server: over UDP, and over TCP where the answer is too long (RFC 7766). The kernel drops
 * datagrams of other senders. Every exchange has a time limit.
 */
import { createSocket, type Socket, type SocketOptions } from 'node:dgram';
import { createConnection, isIPv6 } from 'node:net';
import { isLoopback } from '#crds/networks.ts';

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

/**
 * Questions have a port of their own each, because a forger must guess it together with the id (RFC 5452). Nobody but this
 * machine reaches a server on the loopback, so its questions of the same time share a socket: to make one costs more than
 * a question.
 */
export class Transport {
  readonly #server: Server;
  #shared: UdpSocket | undefined;

  constructor(server: Server) {
    this.#server = server;
  }

  /** Undefined: no answer in time. Rejects with the error of the system. */
  askOverUdp<T>(question: Buffer, read: Reader<T>): Promise<T | undefined> {
    if (!isLoopback(this.#server.address)) return new UdpSocket(this.#server).ask(question, read);
    if (!this.#shared?.takes(question)) this.#shared = new UdpSocket(this.#server);
    return this.#shared.ask(question, read);
  }

  /** As askOverUdp. */
  askOverTcp<T>(question: Buffer, read: Reader<T>): Promise<T | undefined> {
    return askOverTcp(this.#server, question, read);
  }
}

interface Waiting {
  hear(message: Buffer): void;
  fail(error: Error): void;
}

/** A socket, for questions of different ids. It closes with the last of them. */
class UdpSocket {
  readonly #socket: Socket;
  readonly #connected: Promise<void>;
  readonly #waiting = new Map<number, Waiting>();
  #isOver = false;

  constructor({ address, port }: Server) {
    this.#socket = createSocket({ type: isIPv6(address) ? 'udp6' : 'udp4', lookup });
    this.#socket.on('message', (message) => {
      if (message.length >= 2) this.#waiting.get(message.readUInt16BE())?.hear(message);
    });
    this.#socket.on('error', (error) => this.#fail(error));
    this.#connected = new Promise((resolve) => this.#socket.connect(port, address, resolve));
  }

  takes(question: Buffer): boolean {
    return !this.#isOver && !this.#waiting.has(question.readUInt16BE());
  }

  ask<T>(question: Buffer, read: Reader<T>): Promise<T | undefined> {
    const id = question.readUInt16BE();
    const { promise, resolve, reject } = Promise.withResolvers<T | undefined>();
    const timer = setTimeout(() => resolve(undefined), UDP_MS);
    const hear = (message: Buffer) => {
      const answer = read(message);
      if (answer !== undefined) resolve(answer);
    };
    this.#waiting.set(id, { hear, fail: reject });
    void this.#connected.then(() => this.#send(question));
    return promise.finally(() => {
      clearTimeout(timer);
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) this.#close();
    });
  }

  /** The error of one question may come with the next one, which is then not sent. */
  #send(question: Buffer): void {
    if (!this.#isOver) this.#socket.send(question, (error) => error && this.#fail(error));
  }

  #fail(error: Error): void {
    this.#isOver = true;
    for (const { fail } of this.#waiting.values()) fail(error);
  }

  #close(): void {
    this.#isOver = true;
    this.#socket.close();
  }
}

/** Two bytes of length go before each message (RFC 1035 section 4.2.2). */
function askOverTcp<T>(server: Server, question: Buffer, read: Reader<T>): Promise<T | undefined> {
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
