import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeFailure } from '#crds/failure.ts';
import { hopsOf, type MxTerms, resolveHops, wantedAddresses } from './resolver.ts';

const terms: MxTerms = { tlsLevel: 'Opportunistic', trustConfigMap: null, ipFamily: 'Any' };

const of = (records: [number, string][]) => {
  const resolved = hopsOf(
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
  const resolved = hopsOf('example.net', [{ priority: 1, exchange: 'mx.other.example' }], terms, 'x');
  assert.equal(resolved.kind === 'hops' && resolved.hops[0]?.mxOf, 'example.net');
});

test('an address literal is its own next hop', async () => {
  for (const [domain, host] of [
    ['[192.0.2.1]', '192.0.2.1'],
    ['[ipv6:2001:db8::1]', '2001:db8::1'],
  ] as const) {
    const resolved = await resolveHops(domain, terms, 'x');
    assert.equal(resolved.kind === 'hops' && resolved.hops[0]?.host, host);
  }
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
