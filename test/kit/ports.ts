/**
 * Free ports on the loopback, a different one for each call, so that tests that run at the same time do not use the
 * same.
 */
import { connect, createServer } from 'node:net';

/** A range below the ports that the kernel gives to clients. Each worker of the test runner uses its own part. */
const [FIRST, WORKERS, PORTS] = [20_000, 4, 3_000];
const worker = (Number(process.env['NODE_TEST_WORKER_ID'] ?? 1) - 1) % WORKERS;
/**
 * One worker runs files one after the other. Each file starts at another port, so that no port is used again at once.
 */
let next = FIRST + worker * PORTS + (process.pid % (PORTS / 25)) * 25;

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

/** True if a process accepts connections at this port. */
export function isListening(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
