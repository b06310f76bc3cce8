/**
 * Free ports on the loopback. A port belongs to the process that asked for it until that process ends: no other test
 * takes it before it is bound, or while nobody shall listen there.
 */
import { connect, createServer, type ListenOptions, type Server } from 'node:net';

/** Below the ports that the kernel gives to clients. */
const [FIRST, PORTS] = [20_000, 12_000];
/** Each process starts at another port, so that no port is used again at once. */
let next = process.pid * 25;

export async function freePort(address = '127.0.0.1'): Promise<number> {
  for (;;) {
    const port = FIRST + (next++ % PORTS);
    // Linux gives such a name to one process of the network at a time, and takes it back when that process ends.
    const isOurs = process.platform !== 'linux' || (await listen({ path: `\0mailrelay-test-port-${port}` }));
    const server = isOurs && (await listen({ port, host: address }));
    if (!server) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

/** Undefined: it is taken. */
function listen(where: ListenOptions): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer().unref();
    server.once('error', () => resolve(undefined));
    server.listen(where, () => resolve(server));
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
