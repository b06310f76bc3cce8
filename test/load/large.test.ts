/**
 * A message of 100 MiB flows through with bounded memory and arrives as it was sent: in over TLS, onto the disk, read
 * again for its signature, out over TLS; and straight through. Once by `make test`, five times in a row by `make soak`.
 */
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { objectOf } from '#test/delivery/story.ts';
import { makeAuthority } from '#test/kit/ca.ts';
import { storyManifest, type Wish } from '#test/kit/manifest.ts';
import { anonymousMiB, peakMiB } from '#test/kit/memory.ts';
import { freePort } from '#test/kit/ports.ts';
import { TestRelay } from '#test/kit/relay.ts';
import { Sink } from '#test/kit/sink.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';

const TIMES = process.env['MAILRELAY_SOAK'] ? 5 : 1;
const MIB = 100;
const MOST_ABOVE_REST_MIB = 64;

test(`a signed message of ${MIB} MiB takes less than ${MOST_ABOVE_REST_MIB} MiB of memory`, (context) =>
  flows(context, {
    outbound: 'dkim: [{domain: client.example, selector: s1, secretName: dkim}]',
    documents: objectOf('Secret', 'dkim', { 'private.key': signingKey() }),
    arrives: /^DKIM-Signature: .*d=client\.example/m,
  }));

test('and so does one that is not kept', (context) =>
  flows(context, { queue: '{mode: CutThrough}', arrives: /^Received: / }));

async function flows(
  context: TestContext,
  { arrives, ...wish }: Pick<Wish, 'outbound' | 'queue' | 'documents'> & { arrives: RegExp },
): Promise<void> {
  const nextHop = await freePort();
  const sink = await Sink.start({ port: nextHop, pair: await (await makeAuthority()).issue(['localhost']) });
  const relay = await TestRelay.start({
    manifest: ([port]) =>
      storyManifest({ port, nextHop, level: 'Encrypt', inbound: 'limits: {messageSize: 128Mi}', ...wish }),
  });
  const client = await SmtpClient.connect(relay.ports[0] ?? 0);
  const send = async (text: string) => {
    assert.match(await client.send('a@client.example', ['b@example.com'], text), /^250/);
    const { text: arrived } = await until('the message', () => sink.arrived.shift(), 120_000);
    assert.match(arrived, arrives);
    assert.equal(hashOfBody(arrived), hashOfBody(`${text}\r\n`));
  };
  try {
    await client.hello();
    await client.secure();
    // The first message brings the code into memory.
    await send(messageText('small'));
    const rest = anonymousMiB(relay.tree());
    const large = messageText('large', MIB * 2 ** 20);
    const peak = await peakMiB(relay.tree(), async () => {
      for (let time = 0; time < TIMES; time++) await send(large);
    });
    context.diagnostic(
      `${TIMES} times: ${(peak - rest).toFixed(0)} MiB at most above the ${rest.toFixed(0)} MiB of rest`,
    );
    assert.ok(peak - rest < MOST_ABOVE_REST_MIB, `${peak - rest} MiB above rest`);
  } finally {
    client.close();
    await relay.remove();
    await sink.down();
  }
}

/** Two texts of 100 MiB that differ would be printed in full. */
function hashOfBody(text: string): string {
  return createHash('sha256')
    .update(text.slice(text.indexOf('\r\n\r\n')), 'latin1')
    .digest('hex');
}

function signingKey(): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}
