/** REQUIRETLS (RFC 8689) with real relay processes: what a sender requires holds up to the next hop, or comes back. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Authority, makeAuthority, makePair, type Pair } from '#test/kit/ca.ts';
import { Hop, type HopOptions } from '#test/kit/hop.ts';
import { freePort } from '#test/kit/ports.ts';
import type { TestRelay } from '#test/kit/relay.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { startRelayUnderTls } from './story.ts';

const OFFERS = ['PIPELINING', '8BITMIME', 'SMTPUTF8', 'DSN', 'SIZE 100000000'];
let relay: TestRelay;
let authority: Authority;
const hops = new Map<string, Hop>();

async function open(
  name: string,
  pair: Pair | undefined,
  isCapable: boolean,
  tls: HopOptions['tls'] = {},
): Promise<number> {
  const port = await freePort();
  const offers = isCapable ? [...OFFERS, 'REQUIRETLS'] : OFFERS;
  hops.set(name, await Hop.start({ port, pair, offers, tls }));
  return port;
}

const hop = (name: string) => hops.get(name) as Hop;

before(async () => {
  authority = await makeAuthority();
  const pair = await authority.issue(['hop.example']);
  const fit = await open('fit', pair, true);
  const unwilling = await open('unwilling', pair, false);
  const unproven = await open('unproven', (await makePair('hop.example')) as Pair, true);
  const plain = await open('plain', undefined, true);
  const old = await open('old', pair, true, {
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1',
    ciphers: 'DEFAULT:@SECLEVEL=0',
  });
  const late = await open('late', pair, true);
  await hop('late').down();
  const dead = await freePort();
  const at = (port: number) => `{host: 127.0.0.1, port: ${port}, tls: {serverName: hop.example}}`;
  const route = (domain: string, ...ports: number[]) =>
    `  - {recipientDomains: [${domain}], hosts: [${ports.map(at).join(', ')}]}\n`;
  const routes = `${route('fit.example', fit)}${route('second.example', unwilling, unproven, plain, old, fit)}${route('unfit.example', unwilling, unproven, plain, old)}${route('old.example', old)}${route('unsure.example', unwilling, dead)}${route('late.example', late)}${route('client.example', fit)}smartHosts: [${at(unproven)}, ${at(fit)}]\n`;
  relay = await startRelayUnderTls(routes, authority);
});

after(async () => {
  await relay?.remove();
  for (const one of hops.values()) await one.down();
});

/** Sends under TLS; the reply to the message. */
async function send(id: string, to: string, parameters: string): Promise<string> {
  const client = await SmtpClient.connect(relay.ports[0] ?? 0);
  try {
    await client.hello();
    await client.command('STARTTLS');
    await client.startTls({});
    assert.match(await client.command('EHLO client.example'), /^250[ -]REQUIRETLS$/m);
    for (const line of [`MAIL FROM:<me@client.example>${parameters}`, `RCPT TO:<${to}>`, 'DATA'])
      assert.match(await client.command(line), /^[23]/, line);
    return await client.command(`${messageText(id)}\r\n.`);
  } finally {
    await client.quit();
  }
}

const mailLine = (name: string, from: string) =>
  hop(name)
    .lines('MAIL')
    .findLast((line) => line.includes(from));

async function returned(id: string): Promise<string> {
  const report = await until(`the report on ${id}`, () =>
    hop('fit').taken.find(({ from, text }) => from === '' && text.includes(`X-Test-Id: ${id}`)),
  );
  return report.text;
}

test('a message that requires TLS is handed on with REQUIRETLS, over TLS with a verified name', async () => {
  await send('plain', 'a@fit.example', '');
  await until('the message without it', () => hop('fit').ids().includes('plain'));
  assert.doesNotMatch(mailLine('fit', 'me@') ?? '', /REQUIRETLS/);
  await send('required', 'a@fit.example', ' REQUIRETLS');
  await until('the message with it', () => hop('fit').ids().includes('required'));
  assert.match(mailLine('fit', 'me@') ?? '', / REQUIRETLS\b/);
  await until('the log line', () =>
    relay.stderr.split('\n').some((line) => line.includes('"tlsRule":"the sender gave REQUIRETLS"')),
  );
});

test('hosts that do not offer it, prove nothing, or have no TLS are passed over', async () => {
  await send('second', 'a@second.example', ' REQUIRETLS');
  await until('the message', () => hop('fit').ids().includes('second'));
  // They stay right for mail that requires nothing.
  await send('easy', 'a@unfit.example', '');
  await until('the other message', () => hop('unwilling').ids().includes('easy'));
});

test('mail without a route goes through the smart host that proves its name', async () => {
  await send('smart', 'a@anywhere.example', ' REQUIRETLS');
  await until('the message', () => hop('fit').ids().includes('smart'));
  assert.match(mailLine('fit', 'me@') ?? '', / REQUIRETLS\b/);
  assert.ok(!hop('unproven').ids().includes('smart'));
});

test('it comes back with 5.7.30 when no host can keep it, the report with REQUIRETLS and headers only', async () => {
  await send('unfit', 'a@unfit.example', ' RET=FULL REQUIRETLS');
  const text = await returned('unfit');
  assert.match(text, /Status: 5\.7\.30/);
  assert.match(text, /does not offer REQUIRETLS/);
  assert.match(text, /Content-Type: text\/rfc822-headers/i);
  assert.match(mailLine('fit', '<>') ?? '', / REQUIRETLS\b/);
  for (const name of ['unwilling', 'unproven', 'plain', 'old'])
    assert.ok(!hop(name).ids().includes('unfit'), name);
});

test('a host whose TLS is too old is told without the cure, which is for the administrator', async () => {
  await send('aged', 'a@old.example', ' REQUIRETLS');
  const text = await returned('aged');
  assert.match(text, /Status: 5\.7\.30/);
  assert.match(text, /handshake broke/);
  assert.doesNotMatch(text, /minVersion/);
  await until('the log line', () => /for an old peer set tls\.minVersion/.test(relay.stderr));
});

test('it waits while a host may still be able to', async () => {
  await send('unsure', 'a@unsure.example', ' REQUIRETLS');
  await relay.waitForReason(/REQUIRETLS/);
  assert.ok(!hop('fit').taken.some(({ from, text }) => from === '' && text.includes('X-Test-Id: unsure')));
});

test('it is kept through queue and restart', async () => {
  await send('late', 'a@late.example', ' REQUIRETLS');
  await relay.kill9();
  await hop('late').up();
  await relay.up();
  await until('the message', () => hop('late').ids().includes('late'), 60_000);
  assert.match(mailLine('late', 'me@') ?? '', / REQUIRETLS\b/);
});
