/** Free ports on the loopback, one after the other, so that tests that run beside each other do not meet. */
import { connect, createServer } from 'node:net';

/** Ports are tried from a place that depends on the process. */
let next = 20_000 + (process.pid % 400) * 25;

export async function freePort(address = '127.0.0.1'): Promise<number> {
  for (;;) {
    const port = next++;
    if (await isFree(port, address)) return port;
  }
}

function isFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host }, () => server.close(() => resolve(true)));
  });
}

/** Somebody takes connections there. */
export function isListening(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
