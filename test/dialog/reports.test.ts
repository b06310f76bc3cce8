/** Mail for the addresses of reports comes from strangers: none of them keeps out the others. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { messageText } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { Rig } from './rig.ts';

let rig: Rig;

before(async () => {
  rig = await Rig.start({
    listeners: { smtp: {} },
    inbound: { acceptDomains: ['y.example'], feedbackReports: { address: 'fbl@relay.example.net' } },
    spec: (hop) => ({
      addresses: { recipient: { entries: [{ address: 'abuse@y.example', to: ['fbl@relay.example.net'] }] } },
      outbound: { tls: { discover: [] }, smartHosts: [{ host: '127.0.0.1', port: hop }] },
    }),
  });
});

after(() => rig?.end());

test('who only says RCPT uses up nothing, and one network has a share of the mails of a minute', async () => {
  const idle = await rig.client('smtp', '127.2.0.9');
  for (let n = 0; n < 70; n++) await idle.codes('MAIL FROM:<>', 'RCPT TO:<fbl@relay.example.net>', 'RSET');
  const busy = await rig.client('smtp', '127.3.0.9');
  // A minute may turn meanwhile.
  const replies: string[] = [];
  for (let n = 0; n < 45 && !replies.some((reply) => reply.startsWith('450')); n++)
    replies.push(await busy.send('a@x.example', ['"fbl"@relay.example.net'], messageText('complaint')));
  assert.match(replies.at(-1) ?? '', /^450 4\.7\.1 Too many reports/);
  assert.ok(replies.length > 20, `${replies.length}`);
  const other = await rig.client('smtp', '127.4.0.1');
  assert.match(await other.send('', ['fbl@relay.example.net'], messageText('other')), /^250/);
});

test('such a mail has one recipient, so its limit of 2 MiB holds for all of it', async () => {
  const client = await rig.client('smtp', '127.5.0.1');
  await client.command('MAIL FROM:<a@x.example>');
  const codes: string[] = [];
  for (const to of ['FBL@relay.example.net', 'b@y.example', '"fbl"@relay.example.net'])
    codes.push((await client.command(`RCPT TO:<${to}>`)).slice(0, 9));
  assert.deepEqual(codes, ['250 Accep', '452 4.5.3', '452 4.5.3']);
  assert.match(await client.command('DATA'), /^354/);
  assert.match(await client.command(`${messageText('large', 3_000_000)}\r\n.`), /^552 5\.3\.4/);
  await client.command('MAIL FROM:<a@x.example>');
  assert.match(await client.command('RCPT TO:<b@y.example>'), /^250/);
  assert.match(await client.command('RCPT TO:<fbl@relay.example.net>'), /^452 4\.5\.3/);
});

test('mail to an alias of the address has the same bounds', async () => {
  const busy = await rig.client('smtp', '127.6.0.9');
  const replies: string[] = [];
  for (let n = 0; n < 45 && !replies.some((reply) => reply.startsWith('450')); n++)
    replies.push(await busy.send('a@x.example', ['abuse@y.example'], messageText('complaint')));
  assert.match(replies.at(-1) ?? '', /^450 4\.7\.1 Too many reports/);
  const other = await rig.client('smtp', '127.7.0.1');
  await other.codes('MAIL FROM:<a@x.example>', 'RCPT TO:<abuse@y.example>');
  assert.match(await other.command('RCPT TO:<b@y.example>'), /^452 4\.5\.3/);
  assert.match(await other.command('DATA'), /^354/);
  assert.match(await other.command(`${messageText('large', 3_000_000)}\r\n.`), /^552 5\.3\.4/);
});

test('where one box gets all mail, the bounds hold too, and nobody gets a report about a report', async () => {
  const boxed = await Rig.start({
    listeners: { smtp: {} },
    inbound: { acceptDomains: ['y.example'], feedbackReports: { address: 'fbl@relay.example.net' } },
    hop: { refuse: (address) => (address === 'box@z.example' ? 550 : undefined) },
    spec: (hop) => ({
      addresses: { sendAllTo: 'box@z.example' },
      outbound: { tls: { discover: [] }, smartHosts: [{ host: '127.0.0.1', port: hop }] },
    }),
  });
  try {
    const client = await boxed.client('smtp', '127.8.0.1');
    await client.codes('MAIL FROM:<a@x.example>', 'RCPT TO:<fbl@relay.example.net>', 'DATA');
    assert.match(await client.command(`${messageText('large', 3_000_000)}\r\n.`), /^552 5\.3\.4/);
    // The one after it tells when the report would have gone.
    for (const [from, to] of [
      ['victim@w.example', 'fbl@relay.example.net'],
      ['asks@w.example', 'b@y.example'],
    ]) {
      await client.codes(`MAIL FROM:<${from}>`, `RCPT TO:<${to}> NOTIFY=FAILURE`, 'DATA');
      assert.match(await client.command(`${messageText(from ?? '')}\r\n.`), /^250/);
    }
    await until('the report of the other mail', () => boxed.hop.arrived.length > 0);
    assert.deepEqual(
      boxed.hop.arrived.map(({ to }) => to),
      [['asks@w.example']],
    );
    const replies: string[] = [];
    for (let n = 0; n < 45 && !replies.some((reply) => reply.startsWith('450')); n++)
      replies.push(await client.send('a@x.example', ['fbl@relay.example.net'], messageText('complaint')));
    assert.match(replies.at(-1) ?? '', /^450 4\.7\.1 Too many reports/);
  } finally {
    await boxed.end();
  }
});
