import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeParcel } from '#test/kit/relayrig.ts';
import { makeParameters } from './parameters.ts';

function orcptOf(orcpt: string): string | undefined {
  const dsn = { ret: null, envid: null, recipients: [{ notify: null, orcpt }] };
  const parcel = makeParcel('', { to: ['a@b.example'], dsn });
  return makeParameters(parcel, (extension) => extension === 'DSN').get('RCPT TO:<a@b.example>');
}

test('an original recipient in ASCII is xtext', () => {
  assert.equal(orcptOf('rfc822;a+b=c@x.example'), 'ORCPT=rfc822;a+2Bb+3Dc@x.example');
});

test('one beyond ASCII has the form that also hosts without SMTPUTF8 take (RFC 6533)', () => {
  assert.equal(orcptOf('utf-8;jörg+x@y.example'), 'ORCPT=utf-8;j\\x{F6}rg\\x{2B}x@y.example');
  assert.equal(orcptOf('utf-8;😀@y.example'), 'ORCPT=utf-8;\\x{1F600}@y.example');
});

test('what a client has sent in that form stays', () => {
  assert.equal(orcptOf('utf-8;j\\x{F6}rg@y.example'), 'ORCPT=utf-8;j\\x{F6}rg@y.example');
  assert.equal(orcptOf('utf-8;a\\b@y.example'), 'ORCPT=utf-8;a\\x{5C}b@y.example');
});
