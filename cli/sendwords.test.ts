/** What `mailrelay send` says of a certificate: what is wrong, and what helps against that. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeSendError } from './sendwords.ts';

test('the cure is for the fault: an authority is named to us, all else is for who runs the server', () => {
  const say = (originalCode: string) =>
    describeSendError(Object.assign(new Error(originalCode), { code: 'ESOCKET', originalCode }));
  for (const [code, words] of [
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'is of no trusted authority: name its authority by --ca FILE'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'is signed by itself: name its authority by --ca FILE'],
    ['CERT_HAS_EXPIRED', 'has expired: renew it'],
    ['INVALID_PURPOSE', 'is not one of a server: issue one for servers'],
    ['UNSPECIFIED', 'breaks a rule of TLS, such as a key or a signature that is too weak: issue another one'],
  ] as const)
    assert.equal(say(code), `the certificate of the server ${words}`);
});
