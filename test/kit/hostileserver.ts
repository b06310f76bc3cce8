/** What servers do to a client that waits for an answer. Each of these is no answer that a client could use. */
import type { Socket } from 'node:net';

export type Hostility = (socket: Socket) => void;

const EVERY_MS = 20;

/** Again and again, until the client ends the connection. */
function again(socket: Socket, step: (count: number) => string): void {
  let count = 0;
  const timer = setInterval(() => socket.write(step(count++)), EVERY_MS);
  socket.once('close', () => clearInterval(timer));
}

const drip = (socket: Socket, first: string) => {
  socket.write(first);
  again(socket, () => 'x');
};

const OK = 'HTTP/1.1 200 OK\r\n';
const UPGRADE = 'Connection: Upgrade\r\nUpgrade: x\r\n\r\n';

export const HOSTILITIES: Readonly<Record<string, Hostility>> = {
  silence: () => undefined,
  'an end': (socket) => void socket.end(),
  'a reset': (socket) => socket.destroy(),
  'no HTTP': (socket) => void socket.end('hello\r\n'),
  'no HTTP, without an end': (socket) => void socket.write('\0\0\0\r\n'),
  '101': (socket) => void socket.write(`HTTP/1.1 101 Switching Protocols\r\n${UPGRADE}`),
  '101 without the name of a protocol': (socket) => void socket.write('HTTP/1.1 101 Yes\r\n\r\n'),
  '101, and an end': (socket) => void socket.end(`HTTP/1.1 101 Switching Protocols\r\n${UPGRADE}`),
  '101 and bytes': (socket) => drip(socket, `HTTP/1.1 101 Switching Protocols\r\n${UPGRADE}`),
  '100 and no more': (socket) => void socket.write('HTTP/1.1 100 Continue\r\n\r\n'),
  '100, and an end': (socket) => void socket.end('HTTP/1.1 100 Continue\r\n\r\n'),
  '100 again and again': (socket) => again(socket, () => 'HTTP/1.1 100 Continue\r\n\r\n'),
  '102, then 101': (socket) =>
    void socket.write(`HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 101 Yes\r\n${UPGRADE}`),
  '103 again and again': (socket) =>
    again(socket, (count) => `HTTP/1.1 103 Early Hints\r\nlink: <${count}>\r\n\r\n`),
  '199 at once, without an end': (socket) => void socket.write('HTTP/1.1 199 Odd\r\n\r\n'.repeat(5_000)),
  'a head that never ends': (socket) => drip(socket, `${OK}x: `),
  'a head that is too large': (socket) => void socket.write(`${OK}x: ${'x'.repeat(100_000)}\r\n\r\n`),
  'an end in the head': (socket) => void socket.end(`${OK}content-le`),
};

/** Of TCP, also below TLS. */
function reset(socket: Socket & { readonly _parent?: Socket }): void {
  (socket._parent ?? socket).resetAndDestroy();
}

/** As far as clients read a body. `type` and `body` are those of an answer that they take. */
export function badBodies(type: string, body = '{}'): Readonly<Record<string, Hostility>> {
  const head = `${OK}content-type: ${type}\r\n`;
  return {
    'a body that never comes': (socket) => void socket.write(`${head}content-length: 9\r\n\r\n`),
    'a body that never ends': (socket) => drip(socket, `${head}\r\n{`),
    'an end between head and body': (socket) => void socket.end(`${head}content-length: 9\r\n\r\n`),
    'a reset between head and body': (socket) =>
      void socket.write(`${head}content-length: 9\r\n\r\n`, () =>
        setTimeout(() => socket.destroy(), EVERY_MS),
      ),
    'an end in the body': (socket) => void socket.end(`${head}content-length: 9\r\n\r\n{}`),
    'a reset in a body without a length': (socket) =>
      void socket.write(`${head}\r\n${body}`, () => setTimeout(() => reset(socket), EVERY_MS)),
    'a broken chunk': (socket) => void socket.write(`${head}transfer-encoding: chunked\r\n\r\nzz\r\n`),
    'a chunk that never ends': (socket) => drip(socket, `${head}transfer-encoding: chunked\r\n\r\nfffff\r\n`),
    'a body without an end': (socket) => {
      socket.write(`${head}\r\n`);
      again(socket, () => 'x'.repeat(100_000));
    },
  };
}

/** Two answers are one: the second one is nobody's. */
export const TWICE: Hostility = (socket) =>
  void socket.write(`${OK}content-length: 2\r\n\r\n{}${OK}content-length: 2\r\n\r\n[]`);
