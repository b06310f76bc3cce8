import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeFailure } from '#crds/failure.ts';
import { SYSTEM_NAMES } from './names.ts';
import { findMxHops, type MxTerms, resolveHops, wantedAddresses } from './resolver.ts';

const terms: MxTerms = {
  tlsLevel: 'Opportunistic',
  minTlsVersion: 'TLSv1.2',
  sourceAddresses: [],
  socksProxy: null,
  trustConfigMap: null,
  clientCertificateSecret: null,
  ipFamily: 'Any',
};

const of = (records: [number, string][]) => {
  const resolved = findMxHops(
    'example.net',
    records.map(([priority, exchange]) => ({ priority, exchange })),
    terms,
    'relay.example.com',
  );
  return resolved.kind === 'hops' ? resolved.hops.map(({ host }) => host) : describeFailure(resolved.failure);
};

test('MX hosts come in order of preference', () => {
  assert.deepEqual(
    of([
      [20, 'b.example'],
      [10, 'a.example'],
      [30, 'c.example'],
    ]),
    ['a.example', 'b.example', 'c.example'],
  );
});

test('a null MX refuses for good', () => {
  assert.match(String(of([[0, '']])), /^5\.1\.10 /);
});

test('where this relay is an MX itself, only better hosts get the mail', () => {
  const hosts: [number, string][] = [
    [10, 'a.example'],
    [20, 'Relay.example.com'],
    [20, 'b.example'],
    [30, 'c.example'],
  ];
  assert.deepEqual(of(hosts), ['a.example']);
  assert.match(String(of(hosts.slice(1))), /^5\.4\.6 /);
});

test('each MX host knows the domain that it must prove', () => {
  const resolved = findMxHops('example.net', [{ priority: 1, exchange: 'mx.other.example' }], terms, 'x');
  assert.equal(resolved.kind === 'hops' && resolved.hops[0]?.mxOf, 'example.net');
});

test('an address literal is its own next hop', async () => {
  for (const [domain, host] of [
    ['[192.0.2.1]', '192.0.2.1'],
    ['[ipv6:2001:db8::1]', '2001:db8::1'],
  ] as const) {
    const resolved = await resolveHops(domain, terms, 'x', SYSTEM_NAMES);
    assert.equal(resolved.kind === 'hops' && resolved.hops[0]?.host, host);
  }
});

test('each host once, by its best preference, in lower case', () => {
  assert.deepEqual(
    of([
      [20, 'a.example'],
      [10, 'MX.Example'],
      [15, 'A.example'],
      [30, 'mx.example'],
    ]),
    ['mx.example', 'a.example'],
  );
});

test('a literal that is no address of IP is no mail host', async () => {
  for (const domain of ['[x400:c=de]', '[mx.example.net]', '[127.1]']) {
    const resolved = await resolveHops(domain, terms, 'x', SYSTEM_NAMES);
    assert.ok(resolved.kind === 'none' && resolved.failure.permanent);
  }
});

test('many addresses of one family do not hide the other', () => {
  const many = Array.from({ length: 40 }, (_, index) => ({ address: `192.0.2.${index}`, family: 4 }));
  const six = { address: '2001:db8::1', family: 6 };
  for (const family of ['Any', 'PreferIPv4', 'PreferIPv6'] as const)
    assert.ok(wantedAddresses(family, [...many, six]).includes(six.address));
});

test('addresses are those of the wanted family, the preferred one first, or all in their order', () => {
  const found = [
    { address: '192.0.2.1', family: 4 },
    { address: '2001:db8::1', family: 6 },
  ];
  const of = (family: Parameters<typeof wantedAddresses>[0]) => wantedAddresses(family, found);
  assert.deepEqual(of('Any'), ['192.0.2.1', '2001:db8::1']);
  assert.deepEqual(of('IPv4'), ['192.0.2.1']);
  assert.deepEqual(of('IPv6'), ['2001:db8::1']);
  assert.deepEqual(of('PreferIPv4'), ['192.0.2.1', '2001:db8::1']);
  assert.deepEqual(of('PreferIPv6'), ['2001:db8::1', '192.0.2.1']);
});
