/** What `mailrelay run` says of parts that only a cluster has. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MailRelaySpec } from '#crds/mailrelay.ts';
import { listNotStarted } from './runtext.ts';

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
