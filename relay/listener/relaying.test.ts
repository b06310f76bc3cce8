import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Policy } from '#crds/policyfile.ts';
import { relayingOf } from './relaying.ts';

const relaying = relayingOf({
  inbound: {
    relayNetworks: ['10.20.0.0/16', '2001:db8::/32', '192.0.2.7'],
    acceptDomains: ['example.com', 'xn--mller-kva.example'],
    clientPolicies: [{ networks: ['198.51.100.0/24'], starttls: 'Required' }],
  },
} as unknown as Policy);

const INSIDE = ['10.20.255.255', '::ffff:10.20.0.1', '2001:db8::1', '192.0.2.7'];
const OUTSIDE = ['10.21.0.1', '::ffff:10.21.0.1', '2001:db9::1', '192.0.2.8', '127.0.0.1', '', 'nonsense'];
const codeOf = (client: string, to: string) => relaying.refusalOfRecipient(client, to)?.code;

test('clients in the trusted networks may send anywhere', () => {
  for (const client of INSIDE) assert.equal(codeOf(client, 'you@anywhere.example'), undefined, client);
});

test('everyone else may send to accepted domains only', () => {
  for (const client of OUTSIDE) {
    assert.equal(codeOf(client, 'you@Example.com'), undefined, client);
    assert.equal(codeOf(client, 'you@müller.example'), undefined, client);
    assert.equal(codeOf(client, 'you@anywhere.example'), 550, client);
    assert.equal(codeOf(client, 'you@sub.example.com'), 550, client);
    assert.equal(codeOf(client, 'you@notexample.com'), 550, client);
  }
});

test('routing in disguise is refused from everyone', () => {
  for (const client of [...INSIDE, ...OUTSIDE]) {
    assert.equal(codeOf(client, 'you%anywhere.example@example.com'), 553, client);
    assert.equal(codeOf(client, 'anywhere.example!you@example.com'), 553, client);
  }
});

test('client policies match by network', () => {
  assert.equal(relaying.clientPolicyMatches('198.51.100.9')(0), true);
  assert.equal(relaying.clientPolicyMatches('198.51.101.9')(0), false);
  assert.equal(relaying.clientPolicyMatches('198.51.100.9')(1), false);
});
