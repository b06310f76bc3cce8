/** Forwarded mail has a sender of ours (SRS): its bounces come back, and its reports reach the sender. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Hop } from '#test/kit/hop.ts';
import { freePort } from '#test/kit/ports.ts';
import { until } from '#test/kit/wait.ts';
import { answer, OURS, STRANGER, send } from './rewritten.ts';
import { Rig } from './rig.ts';

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
