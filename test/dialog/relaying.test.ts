/** Who may relay, from which sender and to whom; and addresses that try to get around it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { messageText } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { Rig } from './rig.ts';

const OURS = '127.0.0.2';
const STRANGER = '127.0.0.3';

let rig: Rig;

before(async () => {
  rig = await Rig.start({
    listeners: {
      smtp: {},
      limited: {
        clients: {
          networks: [OURS],
          senderDomains: ['example.com', '*.example.com'],
          recipientDomains: ['partner.example', '*.partner.example'],
        },
      },
    },
    inbound: { clients: { networks: [OURS] }, acceptDomains: ['example.com', 'example.org'] },
  });
});

after(() => rig?.end());

interface Said {
  readonly from?: string;
  readonly to: string;
  readonly listener?: string;
  readonly client?: string;
}

/** The reply to RCPT. */
async function replyTo({ from = '<a@example.com>', to, listener = 'smtp', client: address = OURS }: Said) {
  const client = await rig.client(listener, address);
  const reply = await client.command(`MAIL FROM:${from}`);
  return reply.startsWith('250') ? client.command(`RCPT TO:${to}`) : reply;
}

test('a trusted network sends anywhere, a stranger to accepted domains only', async () => {
  assert.match(await replyTo({ to: '<b@anywhere.example>' }), /^250/);
  assert.match(await replyTo({ to: '<b@example.com>', client: STRANGER }), /^250/);
  assert.match(await replyTo({ to: '<b@EXAMPLE.org>', client: STRANGER }), /^250/);
  for (const to of [
    '<b@anywhere.example>',
    '<b@sub.example.com>',
    '<b@[127.0.0.1]>',
    '<b@example.com.evil.example>',
  ])
    assert.match(await replyTo({ to, client: STRANGER }), /^550 5\.7\.1 Relaying denied/, to);
});

test('senders and recipients may be restricted, accepted domains and the null sender are not', async () => {
  const limited = { listener: 'limited' };
  assert.match(await replyTo({ ...limited, to: '<b@partner.example>' }), /^250/);
  assert.match(await replyTo({ ...limited, from: '<a@x.example.com>', to: '<b@x.partner.example>' }), /^250/);
  assert.match(
    await replyTo({ ...limited, from: '<a@evil.example>', to: '<b@partner.example>' }),
    /^553 5\.7\.1 .*senderDomains/,
  );
  assert.match(await replyTo({ ...limited, to: '<b@other.example>' }), /^550 5\.7\.1 .*recipientDomains/);
  assert.match(await replyTo({ ...limited, from: '<>', to: '<b@partner.example>' }), /^250/);
  assert.match(await replyTo({ ...limited, from: '<a@evil.example>', to: '<b@example.org>' }), /^250/);
});

test('the postmaster without a domain is taken from anyone, and is that of the first accepted domain', async () => {
  const client = await rig.client('smtp', STRANGER);
  assert.match(await client.send('', ['Postmaster'], messageText('postmaster')), /^250/);
  assert.deepEqual((await rig.arrived('postmaster')).to, ['Postmaster@example.com']);
  assert.match(await replyTo({ to: '<somebody>', client: STRANGER }), /^501/);
});

test('what other servers read as routing is refused, from those who may relay too', async () => {
  const forms = [
    '<@evil.example:b@example.com>',
    '<@a.example,@b.example:b@example.com>',
    '<b%evil.example@example.com>',
    '<evil.example!b@example.com>',
    '<"b@evil.example"@example.com>',
    '<b@evil.example@example.com>',
  ];
  for (const client of [OURS, STRANGER])
    for (const to of forms) assert.match(await replyTo({ to, client }), /^5(01|53)/, to);
});

test('address literals, quoted local parts and odd but right addresses are relayed as they are', async () => {
  const to = [
    '"john doe"@anywhere.example',
    '"john.doe"@anywhere.example',
    "o'neil+tag=x@anywhere.example",
    'b@[192.0.2.1]',
  ];
  const client = await rig.client('smtp', OURS);
  assert.match(await client.send('', to, messageText('odd')), /^250/);
  await until('all to have arrived', () => {
    const arrived = rig.hop.arrived.filter(({ id }) => id === 'odd').flatMap((one) => one.to);
    return arrived.toSorted().join() === to.toSorted().join();
  });
});

test('the null sender is taken, from strangers too', async () => {
  assert.match(await replyTo({ from: '<>', to: '<b@example.com>', client: STRANGER }), /^250/);
});

test('every refusal is told in the log, with the rule that explain knows', async () => {
  await replyTo({ to: '<b@elsewhere.example>', client: '127.0.0.77' });
  const line = await rig.logged({
    event: 'refused',
    address: 'b@elsewhere.example',
    rule: 'relaying_denied',
  });
  assert.deepEqual(
    [line['client'], line['command'], line['tls'], line['listener'], line['helo']],
    ['127.0.0.77', 'RCPT', 'none', 'smtp', 'client.example'],
  );
  assert.match(String(line['reply']), /^550 5\.7\.1 /);
  assert.match(String(line['cure']), /inbound\.clients/);
  await replyTo({ from: '<a@x.example> X-ODD=1', to: '<b@example.com>', client: '127.0.0.77' });
  const odd = await rig.logged({ event: 'refused', rule: 'unknown_parameter' });
  assert.match(String(odd['reply']), /^555 5\.5\.4 .*X-ODD$/);
});

test('refusals are counted by reason', async () => {
  const reasons = [
    'relaying_denied',
    'sender_not_allowed',
    'recipient_not_allowed',
    'bad_address',
    'protocol',
  ];
  await rig.relay.waitForMetrics(
    ...reasons.map((reason) => new RegExp(`^mailrelay_refusals_total\\{reason="${reason}"\\} [1-9]`, 'm')),
  );
});

test('unless limits say otherwise a stranger has fifty connections, and whoever is trusted has no limit', async () => {
  const refusedOf = async (from: string) => {
    const clients = await Promise.all(Array.from({ length: 51 }, () => rig.connect('smtp', from)));
    const replies = await Promise.all(clients.map((client) => client.reply()));
    for (const client of clients) client.close();
    return replies.filter((reply) => reply.startsWith('421 4.7.0 Too many connections')).length;
  };
  assert.equal(await refusedOf('127.0.0.9'), 1);
  assert.equal(await refusedOf(OURS), 0);
});
