/** The PROXY header that the relay writes is the one of HAProxy's document, and the one that the relay reads. */
import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { readProxyHeader } from '../supervisor/proxyheader.ts';
import { encodeProxyHeader } from './proxyheader.ts';

const VERSIONS = ['V1', 'V2'] as const;
const SIGNATURE = '0d0a0d0a000d0a515549540a';

const endpoint = (address: fc.Arbitrary<string>) =>
  fc.record({ address, port: fc.integer({ min: 0, max: 65_535 }) });
const anyEndpoint = endpoint(fc.oneof(fc.ipV4(), fc.ipV6()));

/** As the relay reports it, read out of a header that somebody else could have written. */
function canonical(address: string): string {
  const family = isIP(address) === 4 ? 'TCP4 192.0.2.1' : 'TCP6 ::1';
  const [name, other] = family.split(' ');
  const read = readProxyHeader(Buffer.from(`PROXY ${name} ${address} ${other} 1 2\r\n`));
  return read.kind === 'header' ? (read.client?.address ?? '') : read.kind;
}

test('a header is read as it was written, whatever the addresses are, and is never too long', () => {
  fc.assert(
    fc.property(fc.constantFrom(...VERSIONS), anyEndpoint, anyEndpoint, (version, source, destination) => {
      const bytes = encodeProxyHeader(version, source, destination);
      const client = { address: canonical(source.address) };
      assert.deepEqual(readProxyHeader(bytes), { kind: 'header', client, length: bytes.length });
      if (version === 'V1') assert.ok(bytes.length <= 107);
    }),
  );
});

test('source and destination have their places', () => {
  const four = [
    { address: '192.0.2.7', port: 40_001 },
    { address: '198.51.100.9', port: 25 },
  ] as const;
  const six = [
    { address: '2001:db8::7', port: 40_001 },
    { address: '2001:db8::9', port: 465 },
  ] as const;
  assert.equal(encodeProxyHeader('V1', ...four).toString(), 'PROXY TCP4 192.0.2.7 198.51.100.9 40001 25\r\n');
  assert.equal(
    encodeProxyHeader('V1', ...six).toString(),
    'PROXY TCP6 2001:db8::7 2001:db8::9 40001 465\r\n',
  );
  assert.equal(
    encodeProxyHeader('V2', ...four).toString('hex'),
    `${SIGNATURE}2111000cc0000207c63364099c410019`,
  );
  const [from, to] = ['20010db8000000000000000000000007', '20010db8000000000000000000000009'];
  assert.equal(encodeProxyHeader('V2', ...six).toString('hex'), `${SIGNATURE}21210024${from}${to}9c4101d1`);
});

test('ends of two families are told in IPv6, and a zone is left out', () => {
  const four = { address: '192.0.2.7', port: 1 };
  const six = { address: 'fe80::9%eth0', port: 2 };
  assert.equal(encodeProxyHeader('V1', four, six).toString(), 'PROXY TCP6 ::ffff:192.0.2.7 fe80::9 1 2\r\n');
  assert.equal(encodeProxyHeader('V1', six, four).toString(), 'PROXY TCP6 fe80::9 ::ffff:192.0.2.7 2 1\r\n');
  const mapped = '00000000000000000000ffffc0000207';
  const local = 'fe800000000000000000000000000009';
  assert.ok(encodeProxyHeader('V2', six, four).toString('hex').endsWith(`21210024${local}${mapped}00020001`));
});
