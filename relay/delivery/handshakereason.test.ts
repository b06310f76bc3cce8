import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nameHandshakeReason } from './handshakereason.ts';

test('the words of OpenSSL and of the system become a few fixed reasons', () => {
  const reasons: readonly [string, string][] = [
    ['ssl/tls alert handshake failure', 'no shared version or cipher'],
    ['tlsv1 alert protocol version', 'no shared version or cipher'],
    ['tlsv1 alert insufficient security', 'no shared version or cipher'],
    ['unsupported protocol', 'no shared version or cipher'],
    ['wrong version number', 'no TLS in the answer'],
    ['tlsv13 alert certificate required', 'our certificate is refused'],
    ['sslv3 alert bad certificate', 'our certificate is refused'],
    ['tlsv1 alert unknown ca', 'our certificate is refused'],
    // A hop that knows another authority of the same name.
    ['tlsv1 alert decrypt error', 'our certificate is refused'],
    ['dh key too small', 'its TLS is too weak'],
    ['unsafe legacy renegotiation disabled', 'its TLS is too weak'],
    ['read ECONNRESET', 'the connection ended'],
    [
      'Client network socket disconnected before secure TLS connection was established',
      'the connection ended',
    ],
    ['tlsv1 alert internal error', 'other'],
    ['', 'other'],
  ];
  for (const [word, reason] of reasons) {
    assert.equal(nameHandshakeReason(word), reason, word);
  }
});
