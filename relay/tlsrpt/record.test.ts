/** The record of a domain that wants reports (RFC 8460 section 3), as strangers write it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { isPublic } from '../delivery/foreignaddress.ts';
import { parseTarget, readTargets } from './record.ts';

/** Public addresses of IPv4 within those of IPv6. A cluster without IPv4 reaches them by NAT64 alone. */
const PUBLIC_WITHIN = ['64:ff9b::192.0.2.1', '2002:c000:201::1', '2001:db8::5efe:192.0.2.1'];

const targets = (...records: string[]) => readTargets(records.map((record) => [record]));

test('the targets of a record, in its order', () => {
  assert.deepEqual(targets('v=TLSRPTv1; rua=mailto:a@one.example,https://two.example/v1/tlsrpt'), [
    'mailto:a@one.example',
    'https://two.example/v1/tlsrpt',
  ]);
  assert.deepEqual(targets('v=TLSRPTv1;rua=mailto:a@one.example;'), ['mailto:a@one.example']);
  // The grammar allows the field more than once.
  assert.deepEqual(targets('v=TLSRPTv1; rua=mailto:a@one.example; rua=https://two.example/ ;'), [
    'mailto:a@one.example',
    'https://two.example/',
  ]);
  assert.deepEqual(targets('v=TLSRPTv1 ; x=1; rua=mailto:a@one.example'), ['mailto:a@one.example']);
  assert.deepEqual(readTargets([['v=TLSRPTv1; rua=', 'mailto:a@one', '.example']]), ['mailto:a@one.example']);
});

test('a record that is not one of reports, or is not alone, wants none', () => {
  assert.deepEqual(targets(), []);
  assert.deepEqual(targets('v=spf1 -all'), []);
  assert.deepEqual(targets('v=TLSRPTv2; rua=mailto:a@one.example'), []);
  assert.deepEqual(targets('v=TLSRPTv1; rua='), []);
  assert.deepEqual(targets('v=TLSRPTv1'), []);
  assert.deepEqual(
    targets('v=TLSRPTv1; rua=mailto:a@one.example', 'v=TLSRPTv1; rua=mailto:b@one.example'),
    [],
  );
  assert.deepEqual(targets('v=spf1 -all', 'v=TLSRPTv1; rua=mailto:a@one.example').length, 1);
});

test('an address that is no plain one is left out, and so are more than two', () => {
  for (const uri of [
    'http://one.example/',
    'ftp://one.example/',
    'https://user:secret@one.example/',
    'https://',
    'mailto:',
    'mailto:a',
    'mailto:a@one.example%0d%0aBcc:b@two.example',
    'mailto:a@one',
    'mailto:"a b"@one.example',
    'mailto:%ff@one.example',
    `https://one.example/${'x'.repeat(600)}`,
  ])
    assert.deepEqual(targets(`v=TLSRPTv1; rua=${uri}`), [], uri);
  const many = ['a', 'b', 'c', 'a'].map((name) => `mailto:${name}@one.example`);
  assert.deepEqual(targets(`v=TLSRPTv1; rua=${many.join(' , ')}`), many.slice(0, 2));
});

test('a percent sign stands for a byte, and what follows a question mark does not count', () => {
  assert.deepEqual(parseTarget('mailto:tls%2Brpt@one.example?subject=x'), {
    kind: 'mail',
    address: 'tls+rpt@one.example',
  });
});

test('whatever a domain publishes, an address has no byte that could end a line or begin another', () => {
  const piece = fc.constantFrom(
    'mailto:',
    'https://',
    'a@b.example',
    '%0a',
    '\r\n',
    '>',
    ',',
    ';',
    '?',
    '%',
    '"',
  );
  const text = fc.array(fc.oneof(piece, fc.string())).map((pieces) => `v=TLSRPTv1; rua=${pieces.join('')}`);
  fc.assert(
    fc.property(text, (record) => {
      for (const uri of targets(record)) {
        const target = parseTarget(uri);
        assert.ok(target);
        if (target.kind === 'mail') assert.match(target.address, /^[^\s<>"(),:;@[\\\]]+@[a-z0-9.-]+$/i);
        else assert.match(target.url, /^https:\/\/[!-~]+$/);
      }
    }),
  );
});

test('no address of an own network is posted to, in any notation', () => {
  const own = [
    '127.0.0.1',
    '10.0.0.1',
    '172.31.0.1',
    '192.168.1.1',
    '100.64.0.1',
    '169.254.169.254',
    '0.0.0.0',
    // Behind DS-Lite, the metadata of a cloud, and networks for measurements.
    '192.0.0.1',
    '192.0.0.192',
    '198.18.0.1',
    '198.19.255.254',
  ];
  const own6 = [
    '::1',
    '::',
    'fd00::1',
    'fe80::1',
    'ff02::1',
    '::ffff:10.0.0.1',
    '64:ff9b::a00:1',
    '2002:a00:1::',
    // Teredo, ISATAP and NAT64 of 10.0.0.1.
    '2001:0:4136:e378:8000:63bf:f5ff:fffe',
    '2001:db8::5efe:10.0.0.1',
    '64:ff9b:1::10.0.0.1',
    'fd00::5efe:192.0.2.1',
    '::ffff:192.0.0.192',
    '2001:2::1',
    '4000::1',
  ];
  for (const address of [...own, ...own6, '224.0.0.1', '255.255.255.255', 'nonsense'])
    assert.equal(isPublic(address), false, address);
  const others = ['192.0.2.1', '172.32.0.1', '100.128.0.1', '2001:db8::1', '2a00::1', ...PUBLIC_WITHIN];
  for (const address of others) assert.equal(isPublic(address), true, address);
});
