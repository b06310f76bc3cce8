/** A real Dovecot takes mail over LMTP: each recipient gets its own answer, and the sender hears of those that failed. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { makeAuthority } from '#test/kit/ca.ts';
import { type Dovecot, startDovecot } from '#test/kit/dovecot.ts';
import { Hop } from '#test/kit/hop.ts';
import { layerProblem } from '#test/kit/layer.ts';
import { bytesOf, hardMessage } from '#test/kit/peer.ts';
import { freePort } from '#test/kit/ports.ts';
import { TestRelay } from '#test/kit/relay.ts';
import { SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { objectOf } from '../delivery/story.ts';

const problem = layerProblem();
let dovecot: Dovecot;
/** Where reports go. */
let home: Hop;

function manifestOf(port: number | undefined, store: number, authority: string, queue = ''): string {
  return `apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: lmtp}
spec:
  hostname: localhost
  inbound:
    starttls: Disabled
    listeners: [{name: smtp, port: ${port}}]
    acceptDomains: [example.com]
    clients: {networks: [127.0.0.0/8]}
  outbound:
    tls: {level: Verify, discover: [], trustConfigMapName: trust}
    routes:
      - recipientDomains: [example.com]
        hosts: [{host: localhost, port: ${store}, protocol: LMTP, ipFamily: IPv4}]
      - recipientDomains: [client.example]
        hosts: [{host: 127.0.0.1, port: ${homePort}, tls: {level: None}}]
${queue}${objectOf('ConfigMap', 'trust', { 'ca.crt': authority })}`;
}

let homePort = 0;
let relay: TestRelay;
let cutThrough: TestRelay;

before(async () => {
  if (problem) return;
  const authority = await makeAuthority();
  const store = await freePort();
  homePort = await freePort();
  home = await Hop.start({ port: homePort });
  const pair = await authority.issue(['localhost']);
  dovecot = await startDovecot({ port: store, pair, users: ['ann', 'bob'], full: ['full'] });
  relay = await TestRelay.start({ manifest: ([port]) => manifestOf(port, store, authority.cert) });
  cutThrough = await TestRelay.start({
    manifest: ([port]) => manifestOf(port, store, authority.cert, '  queue: {mode: CutThrough}\n'),
  });
});

after(async () => {
  await relay?.remove();
  await cutThrough?.remove();
  await home?.down();
  await dovecot?.stop();
});

describe('LMTP to a real Dovecot', { skip: problem, concurrency: false }, () => {
  test('who has a mailbox has the message, byte by byte; a full and an unknown mailbox are told of', async () => {
    const client = await SmtpClient.connect(relay.ports[0] ?? 0);
    await client.hello();
    const to = ['ann', 'full', 'nobody', 'bob'].map((name) => `${name}@example.com`);
    assert.match(await client.send('me@client.example', to, hardMessage('mixed')), /^250/);
    await client.quit();
    for (const user of ['ann', 'bob']) {
      const text = await dovecot.message(user, 'mixed');
      assert.ok(text.endsWith(bytesOf(`${hardMessage('mixed').replaceAll('\r\n', '\n')}\n`)), text);
    }
    const told = await until('the report of both', () => {
      const text = home.taken.map((taken) => taken.text).join('\n');
      return text.includes('; full@') && text.includes('; nobody@') ? text : undefined;
    });
    assert.match(told, /Final-Recipient: rfc822; full@example\.com\r\nAction: failed\r\nStatus: 5\.2\.2/);
    assert.match(told, /Final-Recipient: rfc822; nobody@example\.com\r\nAction: failed\r\nStatus: 5\.1\.1/);
    await until('an empty queue', async () => (await relay.status()).queue.depth === 0);
    await relay.waitForOutput(/"event":"delivered".*"tls":"TLSv1\.3".*"verified":true/);
  });

  test('the connection is used again for further messages', async () => {
    for (const id of ['again-1', 'again-2', 'again-3']) {
      const client = await SmtpClient.connect(relay.ports[0] ?? 0);
      await client.hello();
      assert.match(await client.send('me@client.example', ['ann@example.com'], hardMessage(id)), /^250/);
      await client.quit();
      await dovecot.message('ann', id);
    }
  });

  test('CutThrough: one recipient for each transaction, so the client hears the answer for it', async () => {
    const client = await SmtpClient.connect(cutThrough.ports[0] ?? 0);
    await client.hello();
    assert.match(await client.command('MAIL FROM:<me@client.example>'), /^250/);
    assert.match(await client.command('RCPT TO:<ann@example.com>'), /^250/);
    assert.match(await client.command('RCPT TO:<full@example.com>'), /^452 4\.5\.3/);
    assert.match(await client.command('RSET'), /^250/);
    for (const [user, reply] of [
      ['ann', /^250 .*delivered as/],
      ['full', /^554 5\.2\.2/],
      ['nobody', /^554 5\.1\.1/],
    ] as const)
      assert.match(
        await client.send('me@client.example', [`${user}@example.com`], hardMessage(`through-${user}`)),
        reply,
      );
    await client.quit();
    await dovecot.message('ann', 'through-ann');
  });
});
