/**
 * Sends questions to one DNS server: over UDP, and over TCP where the answer is too long (RFC 7766). The kernel drops
 * datagrams of other senders. Every exchange has a time limit.
 */
import { createSocket, type Socket, type SocketOptions } from 'node:dgram';
import { createConnection, isIPv6 } from 'node:net';
import { isLoopback } from '#crds/networks.ts';

const UDP_MS = 3_000;
const TCP_MS = 5_000;
/** An idle socket closes after so long. */
const REST_MS = 1_000;

export interface Server {
  readonly address: string;
  readonly port: number;
}

/** What the reader of answers says of a message: `undefined` waits for the next one. */
export type Reader<T> = (message: Buffer) => T | undefined;

/** Servers are addresses. Node would look each of them up as if it were a name, which takes a tenth of the time. */
const lookup: SocketOptions['lookup'] = (address, _, done) => done(null, address, isIPv6(address) ? 6 : 4);

/**
 * A socket serves one question at a time, so an error, a silence or a late answer concerns one question alone. Questions
 * have a port of their own each, because a forger must guess it together with the id (RFC 5452). Nobody but this machine
 * reaches a server on the loopback: there a socket whose question was answered serves a later one, because to make one
 * costs more than a question.
 */
export class Transport {
  readonly #server: Server;
  readonly #isNear: boolean;
  /** The one that was used last is at the end, and is taken first: those that are too many close. */
  readonly #idle: UdpSocket[] = [];

  constructor(server: Server) {
    this.#server = server;
    this.#isNear = isLoopback(server.address);
  }

  /** Undefined: no answer in time. Rejects with the error of the system. */
  async askOverUdp<T>(question: Buffer, read: Reader<T>): Promise<T | undefined> {
    const socket = this.#idle.pop() ?? new UdpSocket(this.#server, (closed) => this.#forget(closed));
    let isOfUse = false;
    try {
      const answer = await socket.ask(question, read);
      isOfUse = this.#isNear && answer !== undefined && socket.rest();
      return answer;
    } finally {
      if (isOfUse) this.#idle.push(socket);
      else socket.close();
    }
  }

  /** As askOverUdp. */
  askOverTcp<T>(question: Buffer, read: Reader<T>): Promise<T | undefined> {
    return askOverTcp(this.#server, question, read);
  }

  #forget(socket: UdpSocket): void {
    const at = this.#idle.indexOf(socket);
    if (at !== -1) this.#idle.splice(at, 1);
  }
}

interface Waiting {
  readonly question: Buffer;
  hear(message: Buffer): void;
  fail(error: Error): void;
}

/** It is connected with its first question, and closes with its first error, or when it rested for long. */
class UdpSocket {
  readonly #server: Server;
  readonly #closed: (socket: UdpSocket) => void;
  readonly #socket: Socket;
  #waiting: Waiting | undefined;
  #isConnected = false;
  #isOver = false;
  #rest: NodeJS.Timeout | undefined;

  constructor(server: Server, closed: (socket: UdpSocket) => void) {
    this.#server = server;
    this.#closed = closed;
    // The timer of a question keeps the process alive.
    this.#socket = createSocket({ type: isIPv6(server.address) ? 'udp6' : 'udp4', lookup }).unref();
    this.#socket.on('message', (message) => this.#waiting?.hear(message));
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('listening', () => this.#connect());
  }

  ask<T>(question: Buffer, read: Reader<T>): Promise<T | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<T | undefined>();
    clearTimeout(this.#rest);
    const timer = afterReading(UDP_MS, () => resolve(undefined));
    const hear = (message: Buffer) => {
      const answer = read(message);
      if (answer !== undefined) resolve(answer);
    };
    this.#waiting = { question, hear, fail: reject };
    if (this.#isConnected) this.#send(question);
    else this.#socket.bind({ port: 0, exclusive: true });
    return promise.finally(() => {
      clearTimeout(timer);
      this.#waiting = undefined;
    });
  }

  /** False: it is closed already. */
  rest(): boolean {
    if (!this.#isOver) this.#rest = setTimeout(() => this.close(), REST_MS).unref();
    return !this.#isOver;
  }

  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#rest);
    this.#socket.close();
    this.#closed(this);
  }

  /** Node gives an error to the callback alone. */
  #connect(): void {
    this.#socket.connect(this.#server.port, this.#server.address, (error?: Error) => {
      this.#isConnected = !error;
      if (error) this.#fail(error);
      else if (this.#waiting) this.#send(this.#waiting.question);
    });
  }

  #send(question: Buffer): void {
    if (!this.#isOver) this.#socket.send(question, (error) => error && this.#fail(error));
  }

  #fail(error: Error): void {
    this.#waiting?.fail(error);
    this.close();
  }
}

/** A process that had no CPU for long finds its timers over before it has read what came meanwhile. */
function afterReading(ms: number, late: () => void): NodeJS.Timeout {
  return setTimeout(() => setImmediate(late), ms);
}

/** Two bytes of length go before each message (RFC 1035 section 4.2.2). */
function askOverTcp<T>(server: Server, question: Buffer, read: Reader<T>): Promise<T | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<T | undefined>();
  const socket = createConnection(server.port, server.address);
  const timer = afterReading(TCP_MS, () => resolve(undefined));
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
