/** What the address maps do to mail: the envelope, the header fields, and the refusals. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Hop } from '#test/kit/hop.ts';
import { freePort } from '#test/kit/ports.ts';
import { until } from '#test/kit/wait.ts';
import { Rig } from './rig.ts';

const OURS = '127.0.0.2';
const STRANGER = '127.0.0.3';

async function rigWith(addresses: Readonly<Record<string, unknown>>): Promise<Rig> {
  return Rig.start({
    listeners: { smtp: {} },
    inbound: {
      clients: { networks: [OURS] },
      acceptDomains: ['y.example'],
      masqueradeDomains: ['m.example'],
    },
    spec: (hop) => ({
      outbound: { tls: { discover: [] }, smartHosts: [{ host: '127.0.0.1', port: hop }] },
      addresses,
    }),
  });
}

/** Entries that answer before a table does. */
const known = ['b@y.example', 'log@z.example'].map((address) => ({ address, to: ['log@z.example'] }));

interface Mail {
  readonly from?: string;
  readonly to: readonly string[];
  readonly fields?: string;
  readonly client?: string;
}

async function send(rig: Rig, id: string, { from = 'a@x.example', to, fields = '', client = OURS }: Mail) {
  const smtp = await rig.client('smtp', client);
  const reply = await smtp.send(from, to, `${fields}X-Test-Id: ${id}\r\n\r\nbody`);
  assert.match(reply, /^250 /);
  return rig.arrived(id);
}

async function answer(rig: Rig, lines: readonly string[], client = OURS): Promise<string> {
  const smtp = await rig.client('smtp', client);
  let reply = '';
  for (const line of lines) {
    reply = await smtp.command(line);
  }
  return reply;
}

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

test('tables of ConfigMaps and Secrets: in order, packed or not, changed while the relay runs', async () => {
  const table = (...lines: string[]) => `# a table\n${lines.join('\n')}\n`;
  const story = (aliases: string): Parameters<typeof Rig.start>[0] => ({
    listeners: { smtp: {} },
    inbound: { clients: { networks: [OURS] }, acceptDomains: ['y.example'] },
    spec: (hop) => ({
      outbound: { tls: { discover: [] }, smartHosts: [{ host: '127.0.0.1', port: hop }] },
      addresses: {
        recipient: {
          entries: [{ address: 'inline@y.example', to: ['first@y.example'] }],
          tables: [
            { configMapName: 'aliases', key: 'virtual' },
            { secretName: 'people', key: 'people.gz' },
          ],
        },
        sender: { tables: [{ configMapName: 'aliases', key: 'senders' }] },
      },
    }),
    configMaps: {
      aliases: {
        virtual: aliases,
        senders: table('@x.example @z.example', 'bad@x.example REJECT 5.7.1 Not you'),
      },
    },
    secrets: {
      people: { 'people.gz': table('inline@y.example second@y.example', 'ann@y.example ann@store.example') },
    },
  });
  const good = table(
    'sales@y.example\tann@y.example,',
    '  bob@y.example',
    '@old.example @y.example',
    'postmaster@y.example root',
  );
  const rig = await Rig.start(story(good));
  const recipients = async (id: string, count: number) => {
    const all = () => rig.hop.arrived.filter((one) => one.id === id).flatMap(({ to }) => to);
    await until(`${count} recipients of ${id}`, () => all().length >= count);
    return all().toSorted();
  };
  try {
    assert.equal((await send(rig, 'one', { to: ['inline@y.example'] })).from, 'a@z.example');
    assert.deepEqual(await recipients('one', 1), ['first@y.example']);
    await send(rig, 'two', { to: ['sales@y.example'] });
    assert.deepEqual(await recipients('two', 2), ['ann@store.example', 'bob@y.example']);
    await send(rig, 'user', { to: ['postmaster'] });
    assert.deepEqual(await recipients('user', 1), ['root@y.example']);
    assert.match(await answer(rig, ['MAIL FROM:<Bad@x.example>']), /^550 5\.7\.1 Not you/);

    await rig.edit(story(table('sales@y.example carl@y.example')));
    await rig.logged({ event: 'table_loaded', table: 'ConfigMap/aliases/virtual', entries: 1 });
    await until('the new table', async () =>
      (await answer(rig, ['MAIL FROM:<a@x.example>', 'RCPT TO:<sales@y.example>'])).startsWith('250'),
    );
    await send(rig, 'three', { to: ['sales@y.example'] });
    assert.deepEqual(await recipients('three', 1), ['carl@y.example']);

    await rig.edit(story(table('sales@y.example', 'dan@y.example')));
    const { reason } = await rig.logged({ event: 'table_unreadable' });
    assert.match(String(reason), /^has a wrong line 2 /);
    await send(rig, 'four', { to: ['sales@y.example'] });
    assert.deepEqual(await recipients('four', 1), ['carl@y.example'], 'the last good table stays');
  } finally {
    await rig.end();
  }
});

test('mail that needs a table that is missing is answered 451, and other mail passes', async () => {
  const rig = await rigWith({
    recipient: {
      entries: [
        { address: 'inline@y.example', to: ['first@y.example', 'first@y.example'] },
        { address: 'first@y.example', to: ['first@y.example'] },
      ],
      tables: [{ configMapName: 'nowhere', key: 'virtual' }],
    },
  });
  try {
    assert.match(await answer(rig, ['MAIL FROM:<a@x.example>', 'RCPT TO:<b@y.example>']), /^451 4\.3\.0 /);
    assert.match(await answer(rig, ['MAIL FROM:<a@x.example>', 'RCPT TO:<inline@y.example>']), /^250 /);
  } finally {
    await rig.end();
  }
});

test('forwarded mail has a sender of ours, its bounces come back, and nobody else sends that way', async () => {
  const rig = await Rig.start({
    listeners: { smtp: {} },
    inbound: { clients: { networks: [OURS] }, acceptDomains: ['y.example'] },
    spec: (hop) => ({
      outbound: { tls: { discover: [] }, smartHosts: [{ host: '127.0.0.1', port: hop }] },
      addresses: {
        recipient: {
          entries: [
            { address: 'ann@y.example', to: ['ann@provider.example'] },
            { address: 'sales@y.example', to: ['bob@y.example'] },
            { address: '*', to: ['rest@y.example'] },
            { address: 'bob@y.example', to: ['bob@y.example'] },
          ],
        },
        srs: { domain: 'y.example', secretName: 'srs' },
      },
    }),
    secrets: { srs: { key: 'a key\n' } },
  });
  try {
    const forwarded = { from: 'Eve@x.example', to: ['ann@y.example'], client: STRANGER };
    const { from } = await send(rig, 'forwarded', forwarded);
    assert.match(from, /^SRS0=[\w+/]{4}=[A-Z2-7]{2}=x\.example=Eve@y\.example$/);
    for (const [id, mail, sender] of [
      ['kept', { from: 'eve@x.example', to: ['sales@y.example'] }, 'eve@x.example'],
      ['ours', { from: 'bob@y.example', to: ['ann@y.example'] }, 'bob@y.example'],
      ['bounce', { from: '', to: ['ann@y.example'] }, ''],
    ] as const)
      assert.equal((await send(rig, id, mail)).from, sender, id);

    assert.deepEqual((await send(rig, 'back', { from: '', to: [from], client: STRANGER })).to, [
      'Eve@x.example',
    ]);
    for (const lines of [
      ['MAIL FROM:<eve@x.example>', `RCPT TO:<${from}>`],
      ['MAIL FROM:<>', `RCPT TO:<${from.replace('Eve', 'ann')}>`],
    ])
      assert.match(await answer(rig, lines, STRANGER), /^550 5\.1\.1 This return address/);
  } finally {
    await rig.end();
  }
});

test('a report about forwarded mail reaches the sender, at the mail server of the sender', async () => {
  const [mailserver, provider] = [await freePort(), await freePort()];
  const refusing = await Hop.start({
    port: provider,
    answer: ({ step }) => (step === 'RCPT' ? '550 5.1.1 Nobody' : undefined),
  });
  // It knows no return address of the relay.
  const inside = await Hop.start({
    port: mailserver,
    answer: ({ step, line }) => (step === 'RCPT' && line.includes('SRS') ? '550 5.1.1 Nobody' : undefined),
  });
  const route = (domain: string, port: number) => ({
    recipientDomains: [domain],
    hosts: [{ host: '127.0.0.1', port }],
  });
  const rig = await Rig.start({
    listeners: { smtp: {} },
    inbound: { acceptDomains: ['y.example'], alwaysBcc: 'log@provider.example' },
    spec: (hop) => ({
      outbound: {
        tls: { discover: [] },
        smartHosts: [{ host: '127.0.0.1', port: hop }],
        routes: [route('provider.example', provider), route('y.example', mailserver)],
      },
      addresses: {
        recipient: { entries: [{ address: 'ann@y.example', to: ['ann@provider.example'] }] },
        srs: { domain: 'y.example', secretName: 'srs' },
      },
    }),
    secrets: { srs: { key: 'a key' } },
  });
  try {
    const smtp = await rig.client('smtp', STRANGER);
    for (const [from, to, final] of [
      ['eve@x.example', 'ann@y.example', 'ann@provider.example'],
      ['a%b@x.example', 'ann@y.example', 'ann@provider.example'],
    ] as const) {
      assert.match(await smtp.send(from, [to], 'Subject: hi\r\n\r\nbody'), /^250 /);
      const report = await until(`the report to ${from}`, () =>
        rig.hop.arrived.find((one) => one.to.includes(from)),
      );
      assert.equal(report.from, '');
      assert.match(report.text, new RegExp(`^Final-Recipient: rfc822; ${final}\\r?$`, 'm'));
      assert.match(report.text, new RegExp(`^To: <${from}>\\r?$`, 'm'));
    }
    const senders = refusing.said.filter(({ step }) => step === 'MAIL').map(({ line }) => line);
    assert.ok(senders.length > 0 && senders.every((line) => line.includes('<SRS0=')), senders.join());
    // A next hop that bounces such a message by itself comes back with the address of the sender in ours.
    const bounce = /<(SRS0=[^>]*a%b@y\.example)>/.exec(senders.join())?.[1] ?? assert.fail(senders.join());
    const before = rig.hop.arrived.length;
    assert.match(await smtp.send('', [bounce], 'Subject: no\r\n\r\nbody'), /^250 /);
    await until('the bounce', () => rig.hop.arrived.length > before);
    assert.deepEqual(rig.hop.arrived.at(-1)?.to, ['a%b@x.example']);
  } finally {
    await rig.end();
    await refusing.down();
    await inside.down();
  }
});

test('a copy that leaves our domains does not hide the sender from the mailbox that the mail is for', async () => {
  const rig = await Rig.start({
    listeners: { smtp: {} },
    inbound: { clients: { networks: [OURS] }, acceptDomains: ['y.example'], alwaysBcc: 'log@out.example' },
    spec: (hop) => ({
      outbound: { tls: { discover: [] }, smartHosts: [{ host: '127.0.0.1', port: hop }] },
      addresses: { srs: { domain: 'y.example', secretName: 'srs' } },
    }),
    secrets: { srs: { key: 'a key' } },
  });
  try {
    const mail = { from: 'eve@x.example', to: ['ann@y.example'] };
    assert.equal((await send(rig, 'stranger', { ...mail, client: STRANGER })).from, 'eve@x.example');
    assert.equal((await send(rig, 'ours', mail)).from, 'eve@x.example');
  } finally {
    await rig.end();
  }
});
