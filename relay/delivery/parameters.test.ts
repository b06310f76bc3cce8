import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeParcel } from '#test/kit/relayrig.ts';
import { decodeXtext } from '../addresses/xtext.ts';
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

test('octets that are no UTF-8 are the same ones at the next hop, and so is an ENVID', () => {
  for (const came of ['rfc822;j+F6rg+20+C3@y.example', 'utf-8;j+F6rg@y.example', 'rfc822;+C3+B6+F6'])
    assert.equal(orcptOf(decodeXtext(came)), `ORCPT=${came}`);
  const envid = decodeXtext('a+F6+2B+C3+B6');
  const parcel = makeParcel('', { from: '', smtpUtf8: true, dsn: { ret: null, envid, recipients: [] } });
  const ofMail = (...offered: string[]) =>
    makeParameters(parcel, (extension) => offered.includes(extension)).get('MAIL FROM:<>');
  assert.equal(ofMail('DSN', 'SMTPUTF8'), 'ENVID=a+F6+2B+C3+B6 SMTPUTF8');
  assert.equal(ofMail('DSN'), 'ENVID=a+F6+2B+C3+B6');
  assert.equal(ofMail(), undefined);
});
