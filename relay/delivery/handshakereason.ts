/**
 * Why a TLS handshake broke, in a few fixed words. The input is the word of OpenSSL or of the system. Unknown words give
 * "other", and the text of the failure has them. Pure.
 */
import type { HandshakeReason } from '#crds/failure.ts';

const REASONS: readonly (readonly [RegExp, HandshakeReason])[] = [
  [
    /alert (handshake failure|protocol version|insufficient security)|unsupported protocol|no protocols available|no ciphers available|no shared cipher|wrong (cipher|ssl version)|unknown cipher returned/,
    'no shared version or cipher',
  ],
  [/wrong version number|http request|packet length too long|record layer failure/, 'no TLS in the answer'],
  [
    /alert (bad certificate|certificate|no certificate|unknown ca|access denied|unsupported certificate|decrypt error)/,
    'our certificate is refused',
  ],
  [/too small|too weak|less than \d+|legacy renegotiation|no suitable signature/, 'its TLS is too weak'],
  [/reset|closed|ended|disconnected|unexpected eof|EPIPE/i, 'the connection ended'],
];

export function nameHandshakeReason(word: string): HandshakeReason {
  return REASONS.find(([pattern]) => pattern.test(word))?.[1] ?? 'other';
}
