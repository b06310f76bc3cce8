/**
 * A connection to a next hop that begins with a PROXY header. The library gets the socket unconnected, connects it, and
 * writes nothing before the header: neither SMTP nor a TLS handshake.
 */
import { Socket } from 'node:net';
import { type Endpoint, encodeProxyHeader, type ProxyVersion } from './proxyheader.ts';

export class ProxyingSocket extends Socket {
  readonly #version: ProxyVersion;
  readonly #source: string | undefined;

  /** `source`: our address. undefined: the system chooses. */
  constructor(version: ProxyVersion, source: string | undefined) {
    super();
    this.#version = version;
    this.#source = source;
  }

  /** The library calls this with the port and the address of the hop. */
  override connect(...args: unknown[]): this {
    const [port, address, connected] = args as [number, string, () => void];
    const local = this.#source === undefined ? {} : { localAddress: this.#source };
    return super.connect({ host: address, port, ...local }, () => {
      writeProxyHeader(this, this.#version, { address, port });
      connected();
    });
  }
}

/** `destination`: the hop, also where the socket is a tunnel that leads to it. */
export function writeProxyHeader(socket: Socket, version: ProxyVersion, destination: Endpoint): void {
  const { localAddress, localPort } = socket;
  // A socket that has ended already has no address. Its end is reported as any other.
  if (localAddress === undefined || localPort === undefined) return;
  socket.write(encodeProxyHeader(version, { address: localAddress, port: localPort }, destination));
}
