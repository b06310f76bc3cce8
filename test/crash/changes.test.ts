/**
 * Policy changes and certificate renewals, one after the other, under a stream of connections and under load: nobody is
 * refused, nothing is lost, nothing is doubled. A few rounds by `make test`, many by `make soak`.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeAuthority } from '#test/kit/ca.ts';
import { Ledger } from '#test/kit/ledger.ts';
import { startLoad } from '#test/kit/load.ts';
import { storyManifest } from '#test/kit/manifest.ts';
import { freePort } from '#test/kit/ports.ts';
import { secretOf, TestRelay } from '#test/kit/relay.ts';
import { Sink } from '#test/kit/sink.ts';
import { streamOfConnections } from '#test/kit/stream.ts';
import { until } from '#test/kit/wait.ts';

const ROUNDS = process.env['MAILRELAY_SOAK'] ? 60 : 4;

test(`${ROUNDS} rounds of inbound change, outbound change and renewal disturb no session`, async (context) => {
  const nextHop = await freePort();
  const sink = await Sink.start({ port: nextHop });
  const relay = await TestRelay.start({ manifest: ([port]) => storyManifest({ port, nextHop }) });
  const port = relay.ports[0] ?? 0;
  const authority = await makeAuthority();
  const ledger = new Ledger();
  try {
    const load = startLoad(port, ledger, 'change', { clients: 4 });
    const stream = await streamOfConnections(port);
    for (let round = 1; round <= ROUNDS; round++) {
      const pair = await authority.issue(['relay.example.com']);
      const { policy } = await relay.status();
      // Disabled and Enabled both take the plain text of the load.
      const starttls = round % 2 === 0 ? 'Enabled' : 'Disabled';
      const level = round % 2 === 0 ? 'Opportunistic' : 'None';
      relay.edit(storyManifest({ port, nextHop, starttls, level, documents: secretOf('relay-tls', pair) }));
      await until('the policy', async () => (await relay.status()).policy.hash !== policy.hash, 60_000);
      const acknowledged = ledger.promised.size;
      await until('mail under it', () => ledger.promised.size > acknowledged + 10, 60_000);
      if (round % 10 === 0) process.stderr.write(`changes: round ${round} of ${ROUNDS}\n`);
    }
    const { connections, failures } = await stream.stop();
    await load.stop();
    assert.deepEqual(failures, []);
    assert.deepEqual(ledger.refusals(), []);
    await until(
      'everything to arrive',
      async () => {
        const missing = ledger.missingAt(sink);
        if (missing.length === 0) return true;
        const { queue } = await relay.status();
        throw new Error(`${missing.length} are missing, the queue is ${JSON.stringify(queue)}`);
      },
      150_000,
    );
    assert.equal(ledger.settle(sink), 0, 'doubled without a crash');
    context.diagnostic(
      `${connections} connections, ${ledger.promised.size} messages, none refused, lost or doubled`,
    );
  } finally {
    await relay.remove();
    await sink.down();
  }
});
