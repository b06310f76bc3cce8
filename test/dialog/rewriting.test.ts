/** What maps in the manifest do to mail: the envelope, the header fields, the copies and the refusals. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { until } from '#test/kit/wait.ts';
import { answer, OURS, rigWith, STRANGER, send } from './rewritten.ts';
import { Rig } from './rig.ts';

/** Entries that answer before a table does. */
const known = ['b@y.example', 'log@z.example'].map((address) => ({ address, to: ['log@z.example'] }));

describe('maps in the manifest', () => {
  let rig: Rig;
  before(async () => {
    rig = await rigWith({
      sender: {
        entries: [
          { address: '@*.x.example', to: '@x.example' },
          { address: 'root@x.example', to: 'noreply@shop.example' },
          { address: 'host@web.m.example', to: 'host@deep.m.example' },
          { address: 'spam@x.example', refuse: 'This program may not send' },
          { address: '@slow.example', refuse: '4.7.1 Not today' },
          { address: '@code.example', refuse: '450 4.7.1 Not today' },
        ],
      },
      recipient: {
        parts: ['Envelope', 'To', 'Cc'],
        entries: [
          { address: 'sales@y.example', to: ['ann@y.example', 'team@y.example', 'ANN@y.example'] },
          { address: 'team@y.example', to: ['bob@y.example', 'c@z.example'] },
          { address: 'old@y.example', to: ['new@bücher.example'] },
          { address: 'gone@y.example', refuse: '5.1.6 Gone for good' },
          { address: 'empty@y.example', to: ['gone@y.example'] },
          { address: 'one@y.example', to: ['two@y.example'] },
          { address: 'two@y.example', to: ['one@y.example'] },
          { address: '@*.y.example', to: ['@y.example'] },
        ],
      },
    });
  });
  after(() => rig?.end());

  test('senders, in the envelope and in From, Sender and Reply-To, one after the other', async () => {
    const { from, text } = await send(rig, 'sender', {
      from: 'Root@web1.x.example',
      to: ['b@y.example'],
      fields:
        'From: "The root" <root@db.x.example>\r\nSender: a@web.x.example\r\nReply-To: a@z.example, root@x.example\r\nTo: root@x.example\r\n',
    });
    assert.equal(from, 'noreply@shop.example');
    assert.match(text, /^From: "The root" <noreply@shop\.example>\r$/m);
    assert.match(text, /^Sender: a@x\.example\r$/m);
    assert.match(text, /^Reply-To: a@z\.example, noreply@shop\.example\r$/m);
    assert.match(text, /^To: root@x\.example\r$/m);
  });

  test('masquerading comes after the map', async () => {
    const { from } = await send(rig, 'masked', { from: 'host@web.m.example', to: ['b@y.example'] });
    assert.equal(from, 'host@m.example');
  });

  test('the null sender stays, and so does the sender of a stranger', async () => {
    assert.equal((await send(rig, 'null', { from: '', to: ['b@y.example'] })).from, '');
    const strange = await send(rig, 'strange', {
      from: 'root@x.example',
      to: ['old@y.example'],
      fields: 'From: root@x.example\r\nTo: old@y.example\r\n',
      client: STRANGER,
    });
    assert.equal(strange.from, 'root@x.example');
    assert.deepEqual(strange.to, ['new@bücher.example'], 'the sink shows its own letters');
    assert.match(strange.text, /^From: root@x\.example\r\nTo: old@y\.example\r$/m);
    assert.match(strange.text, /\tfor <old@y\.example>;/);
  });

  test('an alias becomes all its addresses, each once; To and Cc change where one stands for one', async () => {
    await send(rig, 'alias', {
      to: ['SALES@y.example', 'bob@y.example'],
      fields: 'To: sales@y.example, Old <old@y.example>\r\nCc: me@web.y.example\r\n',
    });
    const arrived = () => rig.hop.arrived.filter(({ id }) => id === 'alias');
    const all = ['ann@y.example', 'bob@y.example', 'c@z.example'];
    await until('the message of each member', () => arrived().flatMap(({ to }) => to).length >= all.length);
    assert.deepEqual(
      arrived()
        .flatMap(({ to }) => to)
        .toSorted(),
      all,
    );
    assert.match(
      arrived()[0]?.text ?? '',
      /^To: sales@y\.example, Old <new@xn--bcher-kva\.example>\r\nCc: me@y\.example\r$/m,
    );
  });

  for (const [what, command, reply] of [
    ['a sender', 'MAIL FROM:<spam@x.example>', /^550 5\.7\.1 This program may not send$/],
    ['a sender of a domain, for now', 'MAIL FROM:<a@slow.example>', /^450 4\.7\.1 Not today$/],
    ['a sender, with a reply code in the text', 'MAIL FROM:<a@code.example>', /^450 4\.7\.1 Not today$/],
    ['a recipient', 'RCPT TO:<Gone@y.example>', /^550 5\.1\.6 Gone for good$/],
    ['an alias whose only member is refused', 'RCPT TO:<empty@y.example>', /^550 5\.1\.6 Gone for good$/],
    ['a circle', 'RCPT TO:<one@y.example>', /^451 4\.6\.0 /],
  ] as const)
    test(`${what} is refused`, async () => {
      const before = command.startsWith('RCPT') ? ['MAIL FROM:<a@x.example>'] : [];
      assert.match((await answer(rig, [...before, command])).trim(), reply);
    });

  test('a stranger may send to what the client gave, not to what the map makes of it', async () => {
    assert.match(
      await answer(rig, ['MAIL FROM:<a@b.example>', 'RCPT TO:<x@web.y.example>'], STRANGER),
      /^550 5\.7\.1 Relaying/,
    );
  });
});

test('one box for all: the recipients are named in the header, copies and strangers included', async () => {
  const rig = await rigWith({
    sendAllTo: 'box@staging.example',
    recipient: { entries: [{ address: 'sales@y.example', to: ['ann@y.example', 'bob@y.example'] }] },
    bcc: { sender: { entries: [{ address: '*', to: ['archive@z.example'] }] } },
  });
  try {
    for (const [id, client] of [
      ['ours', OURS],
      ['theirs', STRANGER],
    ] as const) {
      const { text, to } = await send(rig, id, { to: ['sales@y.example', 'c@y.example'], client });
      assert.deepEqual(to, ['box@staging.example']);
      assert.deepEqual(text.match(/^X-Original-To: .*$/gm), [
        'X-Original-To: sales@y.example',
        'X-Original-To: c@y.example',
      ]);
    }
    assert.equal(rig.hop.arrived.length, 2);
  } finally {
    await rig.end();
  }
});

test('copies by sender and by recipient, and no header tells of them', async () => {
  const rig = await rigWith({
    recipient: { entries: [{ address: 'sales@y.example', to: ['ann@y.example'] }] },
    bcc: {
      sender: { entries: [{ address: '@x.example', to: ['log@z.example', '@archive.example'] }] },
      recipient: { entries: [{ address: 'sales@y.example', to: ['log@z.example', 'chief@z.example'] }] },
    },
  });
  const recipients = (id: string) =>
    rig.hop.arrived
      .filter((one) => one.id === id)
      .flatMap(({ to }) => to)
      .toSorted();
  try {
    const { text } = await send(rig, 'both', { to: ['sales@y.example'] });
    const all = ['a@archive.example', 'ann@y.example', 'chief@z.example', 'log@z.example'];
    await until('all copies', () => recipients('both').length >= all.length);
    assert.deepEqual(recipients('both'), all);
    assert.doesNotMatch(text, /log@|chief@|archive/);
    await send(rig, 'null', { from: '', to: ['b@y.example'] });
    assert.deepEqual(recipients('null'), ['b@y.example']);
  } finally {
    await rig.end();
  }
});

test('a copy is never missing: what cannot be copied waits, and a target is written as any address', async () => {
  const rig = await Rig.start({
    listeners: { smtp: {} },
    inbound: { clients: { networks: [OURS] }, alwaysBcc: 'Log@z.example' },
    spec: (hop) => ({
      outbound: { tls: { discover: [] }, smartHosts: [{ host: '127.0.0.1', port: hop }] },
      addresses: {
        bcc: {
          sender: { tables: [{ configMapName: 'bcc', key: 'senders' }] },
          recipient: { tables: [{ configMapName: 'missing', key: 'recipients' }], entries: known },
        },
      },
    }),
    configMaps: {
      bcc: {
        senders: 'q@x.example @archive.example, box@b\u00fccher.example, chief\nr@x.example REJECT no\n',
      },
    },
  });
  try {
    const smtp = await rig.client('smtp', OURS);
    const reply = (from: string, to: string) => smtp.send(from, [to], 'X-Test-Id: one\r\n\r\nbody');
    for (const [from, to] of [
      ['a@x.example', 'unknown@y.example'],
      ['r@x.example', 'b@y.example'],
    ] as const)
      assert.match(await reply(from, to), /^451 4\.3\.0 /, from);
    assert.match(await reply('q@x.example', 'log@z.example'), /^250 /);
    const all = ['box@bücher.example', 'chief@relay.example.com', 'log@z.example', 'q@archive.example'];
    const arrived = () => rig.hop.arrived.flatMap(({ to }) => to).toSorted();
    await until('all copies', () => arrived().length >= all.length);
    assert.deepEqual(arrived(), all);
  } finally {
    await rig.end();
  }
});
