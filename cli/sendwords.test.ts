/** What `mailrelay send` says of a certificate: what is wrong, and what helps against that. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeSendError } from './sendwords.ts';

test('the cure is for the fault: an authority is named to us, all else is for who runs the server', () => {
  const say = (originalCode: string) =>
    describeSendError(Object.assign(new Error(originalCode), { code: 'ESOCKET', originalCode }), 'starttls');
  for (const [code, words] of [
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'is of no trusted authority: name its authority by --ca FILE'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'is signed by itself: name its authority by --ca FILE'],
    ['CERT_HAS_EXPIRED', 'has expired: renew it'],
    ['INVALID_PURPOSE', 'is not one of a server: issue one for servers'],
    ['UNSPECIFIED', 'breaks a rule of TLS, such as a key or a signature that is too weak: issue another one'],
  ] as const)
    assert.equal(say(code), `the certificate of the server ${words}`);
});

test('what is no TLS is told as the session was asked for, so that nobody is sent to where he is', () => {
  const error = Object.assign(new Error('wrong version number'), { code: 'ESOCKET' });
  assert.match(describeSendError(error, 'implicit'), /use --tls starttls$/);
  assert.equal(
    describeSendError(error, 'starttls'),
    'the TLS handshake breaks: what the server sends after STARTTLS is no TLS',
  );
});

test('STARTTLS that is refused for now has another cure than STARTTLS that is not there', () => {
  const say = (response: string) =>
    describeSendError(Object.assign(new Error(response), { command: 'STARTTLS', response }), 'starttls');
  assert.match(say('454 4.7.0 TLS not available'), /^the server gives no TLS: 454 .*: try again later, /);
  assert.doesNotMatch(say('454 4.7.0 TLS not available'), /let the server offer/);
  assert.match(say('502 5.5.1 no'), /^the server gives no TLS: 502 .*: let the server offer STARTTLS, /);
});
