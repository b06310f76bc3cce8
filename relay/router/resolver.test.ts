import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hopsOf, resolveHops } from './resolver.ts';

const of = (records: [number, string][]) => {
  const resolved = hopsOf(
    'example.net',
    records.map(([priority, exchange]) => ({ priority, exchange })),
    'Opportunistic',
    'relay.example.com',
  );
  return resolved.kind === 'hops'
    ? resolved.hops.map(({ host }) => host)
    : `${resolved.kind} ${resolved.reason}`;
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
  assert.match(String(of([[0, '']])), /^refused 5\.1\.10 /);
});

test('where this relay is an MX itself, only better hosts get the mail', () => {
  const hosts: [number, string][] = [
    [10, 'a.example'],
    [20, 'Relay.example.com'],
    [20, 'b.example'],
    [30, 'c.example'],
  ];
  assert.deepEqual(of(hosts), ['a.example']);
  assert.match(String(of(hosts.slice(1))), /^refused 5\.4\.6 /);
});

test('each MX host knows the domain that it must prove', () => {
  const resolved = hopsOf('example.net', [{ priority: 1, exchange: 'mx.other.example' }], 'Verify', 'x');
  assert.equal(resolved.kind === 'hops' && resolved.hops[0]?.mxOf, 'example.net');
});

test('an address literal is its own next hop', async () => {
  for (const [domain, host] of [
    ['[192.0.2.1]', '192.0.2.1'],
    ['[ipv6:2001:db8::1]', '2001:db8::1'],
  ] as const) {
    const resolved = await resolveHops(domain, 'None', 'x');
    assert.equal(resolved.kind === 'hops' && resolved.hops[0]?.host, host);
  }
});
