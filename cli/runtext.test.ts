/** What `mailrelay run` says of parts that only a cluster has. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { effectivePolicy } from '#crds/effective.ts';
import type { MailRelaySpec } from '#crds/mailrelay.ts';
import { podReport, relayObject } from '#test/fixtures/world.ts';
import { describeApplied, describeStart, listNotStarted } from './runtext.ts';

const withResolver = (resolver?: NonNullable<MailRelaySpec['outbound']>['resolver']): MailRelaySpec => ({
  hostname: 'relay.example.com',
  replicas: 1,
  inbound: { listeners: [{ name: 'smtp', port: 25 }] },
  ...(resolver ? { outbound: { resolver } } : {}),
});

test('a sidecar is told as not started, with the address at which another resolver is asked', () => {
  const [told = '', ...rest] = listNotStarted(withResolver({ sidecar: { image: 'unbound' } }));
  assert.match(
    told,
    /^outbound\.resolver\.sidecar runs in pods only.*: start .* at 127\.0\.0\.1:10053, or set /,
  );
  assert.deepEqual(rest, []);
  for (const resolver of [undefined, { addresses: ['127.0.0.1'], trustAD: true }])
    assert.deepEqual(listNotStarted(withResolver(resolver)), []);
});

/** What is printed at the start, with routes to these hosts. */
function start(hosts: readonly string[], sink: { port: number; folder: string } | undefined): string {
  const relay = relayObject();
  const policy = effectivePolicy(relay.metadata, {
    ...relay.spec,
    outbound: {
      routes: hosts.map((host) => ({ recipientDomains: ['example.com'], hosts: [{ host, port: 2525 }] })),
    },
  });
  const rest = { caFile: undefined, adminPort: 9090, notStarted: [], command: 'mailrelay' };
  return describeStart({ ...rest, policy, address: '::1', status: podReport(relay), sink });
}

test('a sink to which no mail leads is told, with the next hop to name', () => {
  const told = /No mail goes to it: no next hop is \{host: 127\.0\.0\.1, port: 2545\}/;
  assert.match(start(['127.0.0.1'], { port: 2545, folder: '/tmp/sink' }), told);
  assert.match(start([], { port: 2545, folder: '/tmp/sink' }), told);
  for (const host of ['127.0.0.1', 'localhost'])
    assert.doesNotMatch(start(['192.0.2.1', host], { port: 2525, folder: '/tmp/sink' }), /No mail/);
  assert.doesNotMatch(start([], undefined), /No mail/);
});

test('an IPv6 address has brackets before its port', () => {
  const text = start([], undefined);
  assert.match(text, /http:\/\/\[::1\]:9090\/readyz/);
  assert.match(text, / \[::1\]:\d+ /);
  assert.doesNotMatch(text, /::1:/);
});

test('after a change what is missing is told, as at the start', () => {
  const relay = relayObject();
  const gap = 'addresses.recipient.tables[0]: key virtual of ConfigMap "aliases" has a wrong line 2';
  const status = { ...podReport(relay), missing: [gap] };
  assert.equal(describeApplied(status), `Manifest applied: ${status.policy.hash}\n  missing: ${gap}`);
});
