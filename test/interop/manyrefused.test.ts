/**
 * A real Postfix ends a session after twenty refused recipients (smtpd_hard_error_limit). A message with many dead
 * addresses reaches its good one all the same, and holds up no other mail to this Postfix.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort } from '#test/kit/ports.ts';
import { Postfix, postfixProblem } from '#test/kit/postfix.ts';
import { doToQueue, listQueue } from '#test/kit/queuetools.ts';
import { until } from '#test/kit/wait.ts';
import { accepted, startRelay } from '../delivery/story.ts';

const DEAD = Array.from({ length: 25 }, (_, index) => `dead${index}@pf.example`);

test('what a real Postfix refused before its 421 is refused, and the next attempt delivers', {
  skip: postfixProblem(),
}, async () => {
  const port = await freePort();
  const postfix = await Postfix.start({
    address: '127.0.0.1',
    port,
    // Without the pauses after errors, which only take time.
    settings: [
      'smtpd_error_sleep_time = 0',
      'virtual_mailbox_domains = pf.example',
      'virtual_mailbox_maps = inline:{good@pf.example=all/}',
    ],
  });
  const relay = await startRelay({
    outbound: `
tls: {level: None, discover: []}
routes:
  - {recipientDomains: [pf.example], hosts: [{host: 127.0.0.1, port: ${port}}]}`,
  });
  try {
    const id = await accepted(relay, { id: 'many', from: '', to: [...DEAD, 'good@pf.example'] });
    await until('the first attempt', async () => (await listQueue(relay))[0]?.recipients.length === 6);
    assert.match(postfix.log(), /too many errors/);
    await accepted(relay, { id: 'other', to: ['good@pf.example'] });
    await postfix.message('other');
    await doToQueue(relay, 'retry', id);
    await postfix.message('many');
    await until('an empty queue', async () => (await listQueue(relay)).length === 0);
    assert.doesNotMatch(relay.stderr, /"event":"slowed_down"/);
  } finally {
    await relay.remove();
    postfix.stop();
  }
});
