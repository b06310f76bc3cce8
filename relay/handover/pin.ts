/**
 * Who may hand over a queue, and to whom: the holder of the very key pair that this relay serves. All pods of one relay
 * mount the same pair, so the handshake proves the key and the fingerprint is the whole judgement; neither dates, names
 * nor authorities matter, or an expired certificate would strand mail.
 */
import { X509Certificate } from 'node:crypto';
import { type ConnectionOptions, connect, type TLSSocket, type TlsOptions } from 'node:tls';
import type { PairText } from '../task/messages.ts';

const CONNECT_MS = 10_000;
const TERMS = { minVersion: 'TLSv1.3', rejectUnauthorized: false } as const satisfies TlsOptions;

/** For the receiving end: asks for a certificate, and `isPinned` judges it. */
export function receivingTerms({ cert, key }: PairText): TlsOptions {
  return { ...TERMS, cert, key, requestCert: true, handshakeTimeout: CONNECT_MS };
}

/** True where the other end showed the certificate of our own pair. */
export function isPinned(socket: TLSSocket, { cert }: PairText): boolean {
  return socket.getPeerX509Certificate()?.fingerprint256 === new X509Certificate(cert).fingerprint256;
}

/** Rejects, before anything is sent, when the other end is not there or is somebody else. */
export function connectPinned(pair: PairText, where: Pick<ConnectionOptions, 'host' | 'port'>) {
  return new Promise<TLSSocket>((resolve, reject) => {
    const socket = connect({ ...TERMS, ...where, cert: pair.cert, key: pair.key, servername: '' });
    const fail = (message: string) => socket.destroy(new Error(message));
    const late = setTimeout(() => fail(`no answer within ${CONNECT_MS / 1000} s`), CONNECT_MS);
    socket.once('error', reject);
    socket.once('close', () => clearTimeout(late));
    socket.once('secureConnect', () => {
      clearTimeout(late);
      if (isPinned(socket, pair)) resolve(socket);
      else fail('it has another certificate than this pod');
    });
  });
}
