/**
 * Decides who may hand over or receive a queue: only the holder of the key pair that this relay serves. All pods of one
 * relay mount the same pair. The TLS handshake proves the key, and the fingerprint decides alone. Dates, names and
 * authorities do not matter, because otherwise an expired certificate would strand mail.
 */
import { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import {
  type ConnectionOptions,
  connect,
  createSecureContext,
  type SecureContext,
  TLSSocket,
} from 'node:tls';
import type { PairText } from '../task/messages.ts';

const HANDSHAKE_MS = 10_000;
const TERMS = { minVersion: 'TLSv1.3', rejectUnauthorized: false } as const;

/** What the receiving side shows, and which certificate it accepts. */
export interface Pin {
  readonly context: SecureContext;
  readonly fingerprint: string;
}

export function makePin({ cert, key }: PairText): Pin {
  return { context: createSecureContext({ ...TERMS, cert, key }), fingerprint: computeFingerprint(cert) };
}

/**
 * The handshake of the receiving side. `proven` rejects before a byte is read if the peer has another certificate, is
 * too slow, or disconnects. The error is `Stranger` if the peer showed another certificate or none.
 */
export function acceptPinned({ context, fingerprint }: Pin, raw: Socket) {
  const socket = new TLSSocket(raw, {
    isServer: true,
    secureContext: context,
    requestCert: true,
    rejectUnauthorized: false,
  });
  const proven = new Promise<TLSSocket>((resolve, reject) => {
    const late = setTimeout(() => socket.destroy(), HANDSHAKE_MS);
    // A peer may reset at any time, also later.
    socket.on('error', reject);
    socket.once('close', () => {
      clearTimeout(late);
      reject(new Error('the connection ended in its handshake'));
    });
    socket.once('secure', () => {
      clearTimeout(late);
      if (socket.getPeerX509Certificate()?.fingerprint256 === fingerprint) return resolve(socket);
      reject(new Stranger('it showed another certificate, or none'));
      socket.destroy();
    });
  });
  return { socket, proven };
}

export class Stranger extends Error {}

function computeFingerprint(cert: string): string {
  return new X509Certificate(cert).fingerprint256;
}

/** Rejects before anything is sent if the peer does not answer or has another certificate. */
export function connectPinned(pair: PairText, where: Pick<ConnectionOptions, 'host' | 'port'>) {
  return new Promise<TLSSocket>((resolve, reject) => {
    const socket = connect({ ...TERMS, ...where, cert: pair.cert, key: pair.key, servername: '' });
    const fail = (message: string) => socket.destroy(new Error(message));
    const late = setTimeout(() => fail(`no answer within ${HANDSHAKE_MS / 1000} s`), HANDSHAKE_MS);
    socket.once('error', reject);
    socket.once('close', () => clearTimeout(late));
    socket.once('secureConnect', () => {
      clearTimeout(late);
      if (socket.getPeerX509Certificate()?.fingerprint256 === computeFingerprint(pair.cert)) resolve(socket);
      else fail('it has another certificate than this pod');
    });
  });
}
