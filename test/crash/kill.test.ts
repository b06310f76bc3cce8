/**
 * The whole relay is killed under load, again and again, and started again on the same state: nothing that was answered
 * 250 is lost. Three kills by `make test`, twenty by `make soak`.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ledger } from '#test/kit/ledger.ts';
import { startLoad } from '#test/kit/load.ts';
import { storyManifest } from '#test/kit/manifest.ts';
import { freePort } from '#test/kit/ports.ts';
import { listQueue } from '#test/kit/queuetools.ts';
import { TestRelay } from '#test/kit/relay.ts';
import { Sink } from '#test/kit/sink.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';

const KILLS = process.env['MAILRELAY_SOAK'] ? 20 : 3;

test(`killed ${KILLS} times under load, the relay loses no message that it acknowledged`, async (context) => {
  const nextHop = await freePort();
  const sink = await Sink.start({ port: nextHop });
  const relay = await TestRelay.start({ manifest: ([port]) => storyManifest({ port, nextHop }) });
  const ledger = new Ledger();
  try {
    for (let kill = 1; kill <= KILLS; kill++) {
      const before = ledger.promised.size;
      const load = startLoad(relay.ports[0] ?? 0, ledger, `kill-${kill}`);
      await until('some load', () => ledger.promised.size > before + 50 + 37 * (kill % 5), 60_000);
      await relay.kill9();
      await load.stop();
      await relay.up();
      process.stderr.write(
        `crash: kill ${kill} of ${KILLS}, ${ledger.promised.size} messages acknowledged\n`,
      );
    }
    await until('everything to arrive', () => ledger.missingAt(sink).length === 0, 60_000);
    await until('an empty queue', async () => (await relay.status()).queue.depth === 0, 60_000);
    const doubled = ledger.settle(sink);
    context.diagnostic(`${ledger.promised.size} acknowledged, ${doubled} arrived more than once`);
    assert.ok(doubled <= KILLS * 25, `${doubled} arrived more than once`);
    assert.equal((await relay.status()).queue.held, 0);
  } finally {
    await relay.remove();
    await sink.down();
  }
});

test('mail waits while the next hop is down, outlives a stop, and goes out when it is back', async () => {
  const nextHop = await freePort();
  const relay = await TestRelay.start({ manifest: ([port]) => storyManifest({ port, nextHop }) });
  const ledger = new Ledger();
  let sink: Sink | undefined;
  try {
    const load = startLoad(relay.ports[0] ?? 0, ledger, 'down');
    await until('some mail', () => ledger.promised.size > 100, 60_000);
    await load.stop();
    await until(
      'the queue to be told',
      async () => (await relay.status()).queue.depth === ledger.promised.size,
    );
    await relay.waitForReason(/connection refused/);
    assert.equal(await relay.stop(), 0);
    await relay.up();
    sink = await Sink.start({ port: nextHop });
    await until('everything to arrive', () => ledger.missingAt(sink as Sink).length === 0, 60_000);
    assert.equal(ledger.settle(sink), 0, 'doubled without a crash');
  } finally {
    await relay.remove();
    await sink?.down();
  }
});

test('what the next hop refuses for good is told of once, and neither is sent again after a kill', async () => {
  const nextHop = await freePort();
  const sink = await Sink.start({
    port: nextHop,
    refuse: (address) => (address.startsWith('no') ? 550 : undefined),
  });
  const relay = await TestRelay.start({ manifest: ([port]) => storyManifest({ port, nextHop }) });
  try {
    const client = await SmtpClient.connect(relay.ports[0] ?? 0);
    await client.hello();
    assert.match(
      await client.send('a@client.example', ['no@example.com', 'yes@example.com'], messageText('half')),
      /^250/,
    );
    await client.quit();
    const told = () => sink.arrived.map(({ from, to }) => `${from} ${to}`).toSorted();
    const both = [' a@client.example', 'a@client.example yes@example.com'];
    await until('the other recipient, and the report', () => sink.arrived.length === 2);
    // The status is told twice a second. The router itself knows when nothing is left that a kill could repeat.
    await until('an empty queue', async () => (await listQueue(relay)).length === 0);
    await relay.kill9();
    await relay.up();
    assert.equal((await relay.status()).queue.depth, 0);
    assert.deepEqual(told(), both);
  } finally {
    await relay.remove();
    await sink.down();
  }
});
