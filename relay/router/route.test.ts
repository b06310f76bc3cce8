import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hopTo, policyOf } from '../testrig.ts';
import { routeOf } from './route.ts';

const partner = hopTo(25, { host: 'mx.partner.example', tlsLevel: 'Verify' });
const smart = hopTo(587, { host: 'smtp.provider.example' });
const routes = [{ recipientDomains: ['partner.example'], hosts: [partner] }];

test('a route wins over the smart hosts, by exactly its domain', () => {
  const route = routeOf(policyOf({}, { routes, smartHosts: [smart] }));
  assert.equal(route('you@partner.example').rule, 'outbound.routes[0]');
  assert.equal(route('you@PARTNER.example.').rule, 'outbound.routes[0]');
  assert.equal(route('you@sub.partner.example').rule, 'outbound.smartHosts');
  assert.equal(route('you@other.example').rule, 'outbound.smartHosts');
});

test('without smart hosts the MX hosts of the domain take it, at the level of outbound.tls', () => {
  const destination = routeOf(policyOf({}, { tlsLevel: 'Encrypt', routes }))('you@Other.example');
  assert.deepEqual(destination, {
    kind: 'mx',
    key: 'other.example',
    name: 'other.example',
    rule: 'outbound.tls (MX)',
    domain: 'other.example',
    tlsLevel: 'Encrypt',
  });
});

test('hosts that differ only in their promises are different destinations', () => {
  const weak = hopTo(25, { host: 'mx.partner.example', tlsLevel: 'None' });
  const route = routeOf(
    policyOf({}, { routes: [...routes, { recipientDomains: ['weak.example'], hosts: [weak] }] }),
  );
  assert.notEqual(route('a@partner.example').key, route('a@weak.example').key);
});
