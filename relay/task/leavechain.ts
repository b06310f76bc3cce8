/**
 * Before Node asks whether a certificate has the right name, it makes objects of the whole chain, and walks from issuer to issuer
 * among the trusted ones. Where authorities certify each other that has no end, and whoever publishes TLSA records
 * chooses what is trusted. Nobody here needs more than the certificate of the peer, and the walk is a sixth of the time of
 * a connection.
 */
import type { TLSSocket } from 'node:tls';

/** Call it before the handshake. */
export function leaveChain<Socket extends TLSSocket>(socket: Socket): Socket {
  const getPeerCertificate = () => ({ raw: socket.getPeerX509Certificate()?.raw });
  return Object.assign(socket, { getPeerCertificate });
}
