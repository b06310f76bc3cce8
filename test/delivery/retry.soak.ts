/** A recipient that is put off goes by itself when its time has come: a minute, so `make soak` alone waits for it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Hop } from '#test/kit/hop.ts';
import { freePort } from '#test/kit/ports.ts';
import { until } from '#test/kit/wait.ts';
import { accepted, startRelay } from './story.ts';

/** The first pause is a minute, give or take a fifth. */
const PATIENCE_MS = 90_000;

test('a recipient that is answered 451 once is tried again by the schedule, and arrives', async () => {
  const port = await freePort();
  let tries = 0;
  const hop = await Hop.start({
    port,
    answer: ({ step }) => (step === 'RCPT' && ++tries === 1 ? '451 4.7.1 greylisted' : undefined),
  });
  const relay = await startRelay({
    outbound: `tls: {level: None, discover: []}\nsmartHosts: [{host: 127.0.0.1, port: ${port}}]`,
  });
  try {
    await accepted(relay, { id: 'later', to: ['a@far.example'] });
    await relay.waitForReason(/greylisted/);
    await until('it to arrive', () => hop.ids().includes('later'), PATIENCE_MS);
    await until('an empty queue', async () => (await relay.status()).queue.depth === 0);
    assert.equal(tries, 2);
  } finally {
    await relay.remove();
    await hop.down();
  }
});
