/** TLS towards next hops, level by level: a real Postfix, and next hops that do not keep what the policy asks for. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Authority, makeAuthority } from '#test/kit/ca.ts';
import { storyManifest, type Wish } from '#test/kit/manifest.ts';
import { freePort } from '#test/kit/ports.ts';
import { Postfix, postfixProblem } from '#test/kit/postfix.ts';
import { TestRelay } from '#test/kit/relay.ts';
import { Sink } from '#test/kit/sink.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';

const noPostfix = postfixProblem();

/** A name that resolves to the loopback everywhere, and so can be verified. */
const HOST = 'localhost';

let authority: Authority;
let relay: TestRelay;
let port = 0;

const wish = (changes: Partial<Wish>) => storyManifest({ port, nextHop: 1, host: HOST, ...changes });

async function policy(changes: Partial<Wish>): Promise<void> {
  const before = (await relay.status()).policy.hash;
  relay.edit(wish(changes));
  await until('the policy', async () => (await relay.status()).policy.hash !== before);
}

async function send(id: string): Promise<void> {
  const client = await SmtpClient.connect(port);
  await client.hello();
  await client.secure({ ca: relay.ca(), servername: 'relay.example.com' });
  assert.match(await client.send('a@client.example', ['b@example.com'], messageText(id)), /^250/);
  await client.quit();
}

/** The relay says why mail waits, and does not deliver it. */
async function waits(sink: Sink, id: string, why: RegExp): Promise<void> {
  await relay.waitForReason(why);
  assert.equal(sink.counts().has(id), false);
}

before(async () => {
  authority = await makeAuthority();
  relay = await TestRelay.start({
    manifest: ([first]) => storyManifest({ port: first, nextHop: 1, host: HOST }),
  });
  port = relay.ports[0] ?? 0;
});

after(() => relay?.remove());

describe('next hops', { concurrency: false }, () => {
  test('a real Postfix, verified by chain and name, gets the mail over STARTTLS', {
    skip: noPostfix,
  }, async () => {
    const nextHop = await freePort();
    const postfix = await Postfix.start({
      address: '127.0.0.1',
      port: nextHop,
      pair: await authority.issue([HOST]),
      level: 'encrypt',
    });
    try {
      await policy({ nextHop, level: 'Verify', trust: authority.cert });
      await send('verified');
      const text = await postfix.message('verified');
      assert.match(text, /with ESMTPS/);
      await until('the log line', () => /"event":"delivered".*"verified":true/.test(relay.stderr));
    } finally {
      postfix.stop();
    }
  });

  test('Verify waits for a certificate of another authority, and one of another name, and delivers when it is right', async () => {
    const nextHop = await freePort();
    const stranger = await makeAuthority('stranger');
    const impostor = await Sink.start({ port: nextHop, pair: await stranger.issue([HOST]) });
    await policy({ nextHop, level: 'Verify', trust: authority.cert });
    await send('must-be-verified');
    await waits(impostor, 'must-be-verified', /TLS level Verify|certificate/i);
    await impostor.down();
    const misnamed = await Sink.start({ port: nextHop, pair: await authority.issue(['other.example']) });
    await waits(misnamed, 'must-be-verified', /altnames|does not match|Verify/i);
    await misnamed.down();
    const right = await Sink.start({ port: nextHop, pair: await authority.issue([HOST]) });
    await until('the message', () => right.counts().get('must-be-verified') === 1, 60_000);
    assert.equal(right.arrived[0]?.tls, 'TLSv1.3');
    await right.down();
  });

  test('Encrypt waits where STARTTLS is not offered or its handshake fails, and never speaks in clear', async () => {
    const nextHop = await freePort();
    const plain = await Sink.start({ port: nextHop });
    await policy({ nextHop, level: 'Encrypt' });
    await send('must-be-encrypted');
    await waits(plain, 'must-be-encrypted', /Encrypt|STARTTLS/);
    await plain.down();
    const broken = await Sink.start({
      port: nextHop,
      pair: await authority.issue([HOST]),
      brokenHandshake: true,
    });
    await waits(broken, 'must-be-encrypted', /handshake|ssl|TLS/i);
    await broken.down();
    const stranger = await Sink.start({
      port: nextHop,
      pair: await (await makeAuthority('anyone')).issue(['any.example']),
    });
    await until('the message', () => stranger.counts().get('must-be-encrypted') === 1, 60_000);
    assert.notEqual(stranger.arrived[0]?.tls, undefined);
    await stranger.down();
  });

  test('Opportunistic takes TLS where it works and plain text where it does not', async () => {
    const nextHop = await freePort();
    const cases: [string, Parameters<typeof Sink.start>[0], boolean][] = [
      ['with-tls', { port: nextHop, pair: await authority.issue(['any.example']) }, true],
      ['without-tls', { port: nextHop }, false],
      [
        'broken-tls',
        { port: nextHop, pair: await authority.issue(['any.example']), brokenHandshake: true },
        false,
      ],
    ];
    await policy({ nextHop, level: 'Opportunistic' });
    for (const [id, options, encrypted] of cases) {
      const sink = await Sink.start(options);
      await send(id);
      await until(`message ${id}`, () => sink.counts().get(id) === 1, 60_000);
      assert.equal(sink.arrived[0]?.tls !== undefined, encrypted, id);
      await sink.down();
    }
  });

  test('None never speaks TLS', async () => {
    const nextHop = await freePort();
    const sink = await Sink.start({ port: nextHop, pair: await authority.issue([HOST]) });
    await policy({ nextHop, level: 'None' });
    await send('in-clear');
    await until('the message', () => sink.counts().get('in-clear') === 1);
    assert.equal(sink.arrived[0]?.tls, undefined);
    await sink.down();
  });
});
