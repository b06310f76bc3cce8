/**
 * Before Node asks whether a certificate has the right name, it makes objects of the whole chain, and walks from issuer to issuer
 * among the trusted ones. Where authorities certify each other that has no end, and what is trusted is chosen by a ConfigMap
 * or by whoever publishes TLSA records. Nobody here needs more than the certificate of the peer, and the walk is a sixth
 * of the time of a connection.
 */
import { Agent } from 'node:https';
import { TLSSocket } from 'node:tls';

/** Call it before the handshake. Node's own check of the name does not do then. */
export function leaveChain<Socket extends TLSSocket>(socket: Socket): Socket {
  const getPeerCertificate = () => ({ raw: socket.getPeerX509Certificate()?.raw });
  return Object.assign(socket, { getPeerCertificate });
}

/** One number for each context, as long as it is used. */
const numbers = new WeakMap<object, number>();
let last = 0;

function findNumber(context: object): number {
  const known = numbers.get(context);
  if (known !== undefined) return known;
  last += 1;
  numbers.set(context, last);
  return last;
}

/** For each request over HTTPS. Node checks the name. */
export class ChainlessAgent extends Agent {
  /**
   * What is trusted belongs to it: else a request that waits would get a connection as those before were to have one. Node
   * tells `ca` apart, and no context.
   */
  override getName(
    options?: Parameters<Agent['getName']>[0] & { secureContext?: object | undefined },
  ): string {
    const context = options?.secureContext;
    return `${super.getName(options)}:${context ? findNumber(context) : ''}`;
  }

  override createConnection(...terms: Parameters<Agent['createConnection']>) {
    const socket = super.createConnection(...terms);
    if (!(socket instanceof TLSSocket)) return socket;
    const alone = socket.getPeerCertificate.bind(socket, false);
    return Object.assign(socket, { getPeerCertificate: alone });
  }
}
