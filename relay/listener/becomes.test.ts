/** What becomes of an address is told as a listener would answer it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { effectivePolicy } from '#crds/effective.ts';
import type { MailRelaySpec } from '#crds/mailrelay.ts';
import { buildTableAtOnce } from '../addresses/buildtable.ts';
import { findBecomes } from './becomes.ts';

const table = (text: string) => buildTableAtOnce(Buffer.from(text));
const TABLES = {
  'ConfigMap/aliases/virtual': table('support@example.com ann@example.com, carl@example.com\n'),
  'ConfigMap/broken/virtual': table('support@example.com ann@example.com # no\n'),
};

const ADDRESSES: MailRelaySpec['addresses'] = {
  sender: {
    entries: [
      { address: '@*.app.example.com', to: '@example.com' },
      { address: 'test@example.com', refuse: 'Test programs may not send' },
    ],
  },
  recipient: {
    entries: [
      { address: 'sales@example.com', to: ['ann@example.com', 'bob@other.example'] },
      { address: 'gone@example.com', refuse: '5.1.6 Gone for good' },
      { address: 'round@example.com', to: ['trip@example.com'] },
      { address: 'trip@example.com', to: ['round@example.com'] },
    ],
    tables: [{ configMapName: 'aliases', key: 'virtual' }],
  },
  bcc: { recipient: { entries: [{ address: '@partner.example', to: ['archive@example.com'] }] } },
};

interface Wish {
  readonly from?: string;
  readonly addresses?: MailRelaySpec['addresses'];
  readonly queue?: MailRelaySpec['queue'];
}

function find(to: string, { from = '', addresses = ADDRESSES, queue }: Wish) {
  const spec: MailRelaySpec = {
    hostname: 'relay.example.com',
    replicas: 1,
    tls: { secretName: 'relay-tls' },
    inbound: { listeners: [{ name: 'smtp', port: 25 }], acceptDomains: ['example.com'] },
    outbound: {},
    addresses,
    ...(queue ? { queue } : {}),
  };
  const policy = effectivePolicy({ name: 'relay', namespace: 'mail' }, spec);
  const secrets = { srs: { key: 'k'.repeat(32) } };
  return findBecomes(policy, { secrets, tables: TABLES }, { from, to, at: 0 });
}

function becomes(to: string, wish: Wish = {}) {
  const found = find(to, wish);
  return found.kind === 'refused'
    ? `${found.reply.code} ${found.reply.text}`
    : [found.from, found.to.join(), found.copies.join()];
}

test('aliases, tables, patterns and copies, and addresses that stay', () => {
  assert.deepEqual(becomes('joe@example.com'), ['', 'joe@example.com', '']);
  assert.deepEqual(becomes('Sales@example.com'), ['', 'ann@example.com,bob@other.example', '']);
  assert.deepEqual(becomes('support@example.com'), ['', 'ann@example.com,carl@example.com', '']);
  assert.deepEqual(becomes('joe@partner.example'), ['', 'joe@partner.example', 'archive@example.com']);
  assert.deepEqual(becomes('joe@example.com', { from: 'root@web.app.example.com' }), [
    'root@example.com',
    'joe@example.com',
    '',
  ]);
});

test('a sender that changes only where the client may relay says so, for a domain alone too', () => {
  const told = (to: string, from: string, addresses = ADDRESSES) => {
    const found = find(to, { from, addresses });
    return [found.isOfSubmitted, found.kind === 'refused' ? found.reply.code : found.from];
  };
  assert.deepEqual(told('joe@example.com', 'root@web.app.example.com'), [true, 'root@example.com']);
  assert.deepEqual(told('partner.example', 'root@web.app.example.com'), [true, 'root@example.com']);
  assert.deepEqual(told('joe@example.com', 'test@example.com'), [true, 550]);
  assert.deepEqual(told('partner.example', 'test@example.com'), [true, 550]);
  assert.deepEqual(told('joe@example.com', 'eve@other.example'), [false, 'eve@other.example']);
  assert.deepEqual(told('gone@example.com', 'eve@other.example'), [false, 550]);
  const all = { ...ADDRESSES, sender: { ...ADDRESSES?.sender, mail: 'All' as const } };
  assert.deepEqual(told('joe@example.com', 'test@example.com', all), [false, 550]);
  const srs = { ...ADDRESSES, srs: { domain: 'example.com', secretName: 'srs' } };
  const [isOfSubmitted, sender] = told('sales@example.com', 'eve@other.example', srs);
  assert.equal(isOfSubmitted, false);
  assert.match(String(sender), /^SRS0=.*=other\.example=eve@example\.com$/);
});

test('refusals are the replies of the relay', () => {
  assert.equal(becomes('gone@example.com'), '550 5.1.6 Gone for good');
  assert.equal(
    becomes('joe@example.com', { from: 'test@example.com' }),
    '550 5.7.1 Test programs may not send',
  );
  assert.match(String(becomes('round@example.com')), /^451 4\.6\.0 The alias of this address has no end/);
  const queue = { mode: 'CutThrough' } as const;
  assert.match(String(becomes('sales@example.com', { queue })), /^550 5\.3\.5 /);
});

test('a table that is not there, or has a wrong line, makes the look-ups wait that need it', () => {
  for (const configMapName of ['absent', 'broken']) {
    const entries = [{ address: 'sales@example.com', to: ['ann@example.com'] }];
    const addresses = { recipient: { entries, tables: [{ configMapName, key: 'virtual' }] } };
    assert.match(String(becomes('support@example.com', { addresses })), /^451 4\.3\.0 A map of addresses/);
    // Ann herself is looked up again.
    assert.match(String(becomes('sales@example.com', { addresses })), /^451 4\.3\.0 A map of addresses/);
  }
});

test('one box for all is in the place of the recipients and of copies', () => {
  const addresses = { ...ADDRESSES, sendAllTo: 'box@staging.example' };
  assert.deepEqual(becomes('joe@partner.example', { addresses }), ['', 'box@staging.example', '']);
  assert.deepEqual(becomes('sales@example.com', { addresses }), ['', 'box@staging.example', '']);
});
