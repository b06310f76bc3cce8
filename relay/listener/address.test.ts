import assert from 'node:assert/strict';
import { test } from 'node:test';
import { domainToASCII } from 'node:url';
import fc from 'fast-check';
import { printAddress, relayable } from './address.ts';

const good = (address: string, printed: string) =>
  test(`${address} is relayed as ${printed}`, () => {
    const parts = relayable(address);
    assert.ok(parts);
    assert.equal(printAddress(parts), printed);
  });
const bad = (address: string) =>
  test(`${JSON.stringify(address)} is not relayed`, () => assert.equal(relayable(address), undefined));

good('me@example.com', 'me@example.com');
good('Me.And+You@Example.COM', 'Me.And+You@example.com');
good('me@example.com.', 'me@example.com');
good('me@müller.example', 'me@xn--mller-kva.example');
good('jürgen@example.com', 'jürgen@example.com');
good('me@[192.0.2.1]', 'me@[192.0.2.1]');
good('me@[IPv6:2001:db8::1]', 'me@[ipv6:2001:db8::1]');
good('prvs=0123=me@example.com', 'prvs=0123=me@example.com');

bad('');
bad('postmaster');
bad('@example.com');
bad('me@');
bad('user%victim.example@ours.example');
bad('victim.example!user@ours.example');
bad('"user@victim.example"@ours.example');
bad('user@victim.example@ours.example');
bad('a:b@ours.example');
bad('a b@ours.example');
bad('a\\b@ours.example');
bad('m\uFFFDe@example.com');

test('what is taken for a plain domain is one that IDNA leaves as it is', () => {
  const label = fc.constantFrom(
    'a',
    'xn--nxasmq6b',
    'xn--',
    '0x7f',
    '1',
    '10',
    'a-',
    '-b',
    'ex-ample',
    'com',
    'ä',
    '_x',
    '',
  );
  fc.assert(
    fc.property(fc.array(label, { minLength: 1, maxLength: 4 }), (labels) => {
      const domain = labels.join('.');
      assert.equal(relayable(`a@${domain}`)?.domain ?? '', domainToASCII(domain.replace(/\.$/, '')));
    }),
    { numRuns: 1000 },
  );
});
