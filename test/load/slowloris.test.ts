/**
 * A thousand sessions that stay half open and trickle bytes: in the middle of a command, of a handshake, of a message.
 * An honest client is served beside them, not many times slower; `make soak` looks more closely.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Crowd } from '#test/kit/crowd.ts';
import { storyManifest } from '#test/kit/manifest.ts';
import { freePort } from '#test/kit/ports.ts';
import { TestRelay } from '#test/kit/relay.ts';
import { Sink } from '#test/kit/sink.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';

const SOAK = Boolean(process.env['MAILRELAY_SOAK']);
const ATTACKERS = 1_000;
const MESSAGES = SOAK ? 100 : 10;
/** Of few messages the median says less. */
const MOST_TIMES_SLOWER = SOAK ? 2 : 5;
/** Each of them sends a byte a second, a few of them at a time. */
const TRICKLE_MS = 20;
const AT_A_TIME = (ATTACKERS * TRICKLE_MS) / 1000;
/** The head of a TLS record of 512 bytes that holds the begin of a ClientHello. */
const HALF_HANDSHAKE = Buffer.from('16030102000100', 'hex');

test(`${ATTACKERS} half-open sessions do not keep an honest client from being served`, async (context) => {
  const nextHop = await freePort();
  const sink = await Sink.start({ port: nextHop });
  const relay = await TestRelay.start({ manifest: ([port]) => storyManifest({ port, nextHop }) });
  const port = relay.ports[0] ?? 0;
  let crowd: Crowd | undefined;
  let trickle: NodeJS.Timeout | undefined;
  try {
    let alone = await timeOfHonestMs(port);
    const attackers = await Crowd.gather(port, ATTACKERS, beginHalf);
    crowd = attackers;
    trickle = setInterval(() => attackers.sayNext('x', AT_A_TIME), TRICKLE_MS);
    assert.equal(attackers.open, ATTACKERS);
    const beside = await timeOfHonestMs(port);
    if (beside >= alone * MOST_TIMES_SLOWER) {
      // Where the machine itself became slower meanwhile, the client is slower without the crowd too.
      clearInterval(trickle);
      attackers.leave();
      await until('the crowd to be gone', async () => (await relay.status()).sessions.open === 0);
      alone = Math.max(alone, await timeOfHonestMs(port));
    }
    context.diagnostic(
      `handshake and message: ${alone.toFixed(1)} ms alone, ${beside.toFixed(1)} ms beside ${ATTACKERS} half-open sessions`,
    );
    assert.ok(beside < alone * MOST_TIMES_SLOWER, `${beside / alone} times slower`);
  } finally {
    clearInterval(trickle);
    crowd?.leave();
    await relay.remove();
    await sink.down();
  }
});

async function beginHalf(session: SmtpClient, index: number): Promise<void> {
  await session.hello();
  if (index % 3 === 0) {
    session.write('MAIL FRO');
  } else if (index % 3 === 1) {
    await session.command('STARTTLS');
    session.write(HALF_HANDSHAKE);
  } else {
    for (const line of ['MAIL FROM:<a@client.example>', 'RCPT TO:<b@example.com>', 'DATA'])
      await session.command(line);
    session.write('X-Half: ');
  }
}

/**
 * The median of many messages, each over a connection and a handshake of its own: what an attack on sessions would hurt
 * most. The greeting, which comes late on purpose, is not counted.
 */
async function timeOfHonestMs(port: number): Promise<number> {
  const times: number[] = [];
  while (times.length < MESSAGES) {
    const client = await SmtpClient.connect(port);
    await client.hello();
    const begin = performance.now();
    await client.secure();
    assert.match(await client.send('a@client.example', ['b@example.com'], messageText('honest')), /^250/);
    times.push(performance.now() - begin);
    await client.quit();
  }
  return times.sort((one, other) => one - other)[Math.floor(MESSAGES / 2)] ?? Number.NaN;
}
