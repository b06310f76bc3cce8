import assert from 'node:assert/strict';
import { BlockList } from 'node:net';
import { test } from 'node:test';
import type { MailRelaySpec } from './mailrelay.ts';
import { addNetwork } from './networks.ts';
import { listWarnings } from './warnings.ts';

const told = (networks: readonly string[], more: object = {}) =>
  listWarnings({
    hostname: 'relay.example.com',
    inbound: { listeners: [], clients: { networks } },
    ...more,
  } as unknown as MailRelaySpec);

test('a network with bits behind its prefix stands for the whole network, and the relay reads it so', () => {
  const [four, six, ...more] = told(['10.0.0.1/8', '2001:db8::1/32']);
  assert.deepEqual(four?.keys, ['spec', 'inbound', 'clients', 'networks', 0]);
  assert.match(four.message, /all of 10\.0\.0\.0\/8: write 10\.0\.0\.0\/8, or 10\.0\.0\.1 for/);
  assert.match(six?.message ?? '', /write 2001:db8::\/32, or 2001:db8::1 for/);
  assert.deepEqual(more, []);
  const list = new BlockList();
  assert.ok(addNetwork('10.0.0.1/8', list) && list.check('10.200.0.1'));
});

test('a network that is written as it is read is told nothing, and neither is an address', () => {
  const right = [
    '10.0.0.0/8',
    '192.0.2.7',
    '192.0.2.7/32',
    '::/0',
    '0.0.0.0/0',
    '::1/128',
    '2001:DB8:0::/32',
  ];
  assert.deepEqual(told(right), []);
});

test('every field with networks is looked at, and no other', () => {
  const loose = '192.0.2.1/24';
  const found = told(['192.0.2.0/24'], {
    inbound: {
      listeners: [{ proxyProtocol: { networks: [loose] }, allowFrom: [{ ipBlock: { cidr: loose } }] }],
      clientPolicies: [{ networks: [loose] }],
    },
    trace: { networks: [loose] },
    service: { loadBalancerSourceRanges: [loose], annotations: { note: loose } },
  });
  assert.equal(found.length, 5);
});

test('a name that no public authority certifies is told, wherever it is a name of the certificate', () => {
  const found = told([], {
    hostname: 'my_relay.example.com',
    tls: { dnsNames: ['a.example', '*.b_c.example'], certificates: [{ hostnames: ['d_e.example'] }] },
  });
  assert.deepEqual(
    found.map(({ keys }) => keys.join('.')),
    ['spec.hostname', 'spec.tls.dnsNames.1', 'spec.tls.certificates.0.hostnames.0'],
  );
});

test('entries of address maps that say less than they seem to', () => {
  const to = ['a@b.example'];
  const found = told([], {
    addresses: {
      sender: {
        entries: [
          { address: '*@x.example', to: 'a@b.example' },
          { address: '@x.example', to: 'a@b.example' },
          { address: '@*.x.example', refuse: '450 later' },
          { address: '*', refuse: '450 4.7.1 later' },
        ],
      },
      recipient: {
        entries: [
          { address: 'joe@x.example', to },
          { address: '"Joe"@x.example', to },
          { address: 'ann@x.example', refuse: '550 gone' },
          { address: 'bob@x.example', refuse: '2.1.5 fine' },
          { address: 'eve@x.example', refuse: '5.1.6 Gone' },
          { address: 'kim@x.example', refuse: '500 messages a day are enough' },
        ],
      },
      bcc: { recipient: { entries: [1, 2].map(() => ({ address: '*', to })) } },
    },
  });
  assert.deepEqual(
    found.map(({ path, message }) => `${path} ${message.slice(0, 18)}`),
    [
      'spec.addresses.sender.entries[0].address is one address wit',
      'spec.addresses.sender.entries[2].refuse is answered by 550',
      'spec.addresses.recipient.entries[1].address is in this list be',
      'spec.addresses.recipient.entries[2].refuse is answered by 550',
      'spec.addresses.recipient.entries[3].refuse is answered by 550',
      'spec.addresses.bcc.recipient.entries[1].address is in this list be',
    ],
  );
});
