/** Binds a server. `::` means both families, and falls back to IPv4 if the kernel has no IPv6. */
import type { Server } from 'node:net';

export async function bind(server: Server, port: number, address: string, backlog?: number): Promise<void> {
  try {
    await bindOnce(server, port, address, backlog);
  } catch (error) {
    const noIpv6 = ['EAFNOSUPPORT', 'EADDRNOTAVAIL'].includes((error as NodeJS.ErrnoException).code ?? '');
    if (address !== '::' || !noIpv6) throw error;
    await bindOnce(server, port, '0.0.0.0', backlog);
  }
}

function bindOnce(server: Server, port: number, host: string, backlog?: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host, ...(backlog === undefined ? {} : { backlog }) }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
