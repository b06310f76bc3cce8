/**
 * The wall clock of the relay is turned while mail flows: twenty seconds back, an hour forward, and back again. Nobody
 * waits for it and nobody is given up by it. By libfaketime of Debian, which leaves the monotonic clock alone, as a time
 * server does.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { unpacked } from '#test/kit/debian.ts';
import { storyManifest } from '#test/kit/manifest.ts';
import { freePort } from '#test/kit/ports.ts';
import { doToQueue, listQueue } from '#test/kit/queuetools.ts';
import { TestRelay } from '#test/kit/relay.ts';
import { Sink } from '#test/kit/sink.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';

const dir = mkdtempSync(join(tmpdir(), 'mailrelay-clock-'));
const clock = join(dir, 'clock');
after(() => rmSync(dir, { recursive: true }));

/** In seconds, off the clock of the machine; from now on, for every process of the relay. */
function turn(offset: number): void {
  writeFileSync(clock, `${offset < 0 ? '' : '+'}${offset}\n`);
}

function turnedClock(): Record<string, string> {
  const folder = unpacked('libfaketime');
  const name = readdirSync(folder, { recursive: true, encoding: 'utf8' }).find((path) =>
    path.endsWith('/libfaketime.so.1'),
  );
  assert.ok(name, 'libfaketime has no library');
  return {
    LD_PRELOAD: join(folder, name),
    FAKETIME_TIMESTAMP_FILE: clock,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  };
}

test('mail flows whatever the wall clock does, and sessions go on', async () => {
  turn(0);
  const nextHop = await freePort();
  const sink = await Sink.start({ port: nextHop });
  const env = turnedClock();
  const relay = await TestRelay.start({ env, manifest: ([port]) => storyManifest({ port, nextHop }) });
  try {
    const [idle, sending] = [await open(relay), await open(relay)];
    for (const [round, offset] of [-20, 3_600, 0, 90_000, -20].entries()) {
      const slow = await open(relay);
      slow.write('MAIL FROM:<me@client.example>\r\nRCPT TO:<you@example.com>\r\n');
      await slow.reply();
      await slow.reply();
      assert.match(await slow.command('DATA'), /^354/);
      turn(offset);
      const turned = performance.now();
      for (let count = 0; count < 5; count++) {
        const id = `turned-${round}-${count}`;
        const reply = await sending.send('me@client.example', ['you@example.com'], messageText(id));
        assert.match(reply, /^250/, `at ${offset} s`);
      }
      // Long enough to make the mistake: the relay looks at its sessions once a second.
      await until('two looks', () => performance.now() > turned + 2_500);
      assert.match(await slow.command(`${messageText(`slow-${round}`)}\r\n.`), /^250/, `at ${offset} s`);
      assert.match(await idle.command('NOOP'), /^250/, `at ${offset} s`);
      await until('the mail of this round', () => sink.arrived.length === 6 * (round + 1), 60_000);
      // The router tells its figures twice a second.
      await until('the queue to be empty', async () => (await relay.status()).queue.depth === 0);
      await slow.quit();
    }
    for (const client of [idle, sending]) await client.quit();
  } finally {
    await relay.remove();
    await sink.down();
  }
});

test('mail that waits is given up by no step of the wall clock', async () => {
  turn(0);
  const nextHop = await freePort();
  let isReady = false;
  const sink = await Sink.start({ port: nextHop, refuse: () => (isReady ? undefined : 450) });
  const env = turnedClock();
  const relay = await TestRelay.start({ env, manifest: ([port]) => storyManifest({ port, nextHop }) });
  try {
    const client = await open(relay);
    // What is given up of the null sender leaves nothing.
    assert.match(await client.send('', ['you@example.com'], messageText('waits')), /^250/);
    await client.quit();
    await until('its first try', async () => (await listQueue(relay))[0]?.recipients[0]?.reason);
    for (const days of [6, -6]) {
      turn(days * 86_400);
      const turned = performance.now();
      // The router looks for old mail every five seconds.
      await until('two looks', () => performance.now() > turned + 11_000);
      assert.equal((await relay.status()).queue.depth, 1, `after ${days} days`);
    }
    isReady = true;
    const [waiting] = await listQueue(relay);
    await doToQueue(relay, 'retry', waiting?.id ?? '');
    await until('it to arrive', () => sink.arrived.some(({ id }) => id === 'waits'));
  } finally {
    await relay.remove();
    await sink.down();
  }
});

async function open(relay: TestRelay): Promise<SmtpClient> {
  const client = await SmtpClient.connect(relay.ports[0] ?? 0);
  await client.hello();
  return client;
}
