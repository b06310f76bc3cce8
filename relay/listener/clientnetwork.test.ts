import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientNetwork, countedAs, siteOf } from './clientnetwork.ts';

test('of IPv6 a /64 is one client, of IPv4 an address, however it comes', () => {
  const cases: [string, string][] = [
    ['192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:db8::7', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['64:ff9b::c000:207', '64:ff9b::c000:207'],
  ];
  for (const [client, counted] of cases) assert.equal(countedAs(client), counted, client);
});

test('people are shown networks of a size that says something', () => {
  assert.equal(clientNetwork('192.0.2.7'), '192.0.2.0/24');
  assert.equal(clientNetwork('2001:db8:1:2::9'), '2001:db8:1:2::/64');
});

test('a site is a /24 of IPv4, in whatever form, or a /48 of IPv6', () => {
  assert.equal(siteOf('192.0.2.7'), '192.0.2.0/24');
  assert.equal(siteOf('64:ff9b::c000:201'), '192.0.2.0/24');
  assert.equal(siteOf('2001:db8:1:2::9'), '2001:db8:1::/48');
  assert.equal(siteOf('::1'), '0:0:0::/48');
});

test('an IPv4 address in translated form has the network of IPv4, and no other address of IPv6 has', () => {
  const cases: [string, string][] = [
    ['64:ff9b::c000:201', '192.0.2.0/24'],
    ['64:ff9b::102:304', '1.2.3.0/24'],
    ['64:ff9b::7', '0.0.0.0/24'],
    ['64:ff9b:1::c000:201', '64:ff9b:1:0::/64'],
    ['64:ff9b::1:0:c000:201', '64:ff9b:0:0::/64'],
  ];
  for (const [client, network] of cases) assert.equal(clientNetwork(client), network, client);
  assert.equal(countedAs('64:ff9b::1:0:c000:201'), '64:ff9b:0:0::/64');
});
