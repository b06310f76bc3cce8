/** Recipients that bounced at a real relay: refused, or discarded, listed, lifted, and remembered after a restart. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Suppressed } from '#relay/suppression/entry.ts';
import { storyManifest } from '#test/kit/manifest.ts';
import { freePort } from '#test/kit/ports.ts';
import { mailrelay, TestRelay } from '#test/kit/relay.ts';
import { Sink } from '#test/kit/sink.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';

describe('queue.suppression', { concurrency: false }, () => {
  let relay: TestRelay;
  let sink: Sink;
  let nextHop = 0;
  let sent = 0;

  const manifest = (port: number | undefined, suppression: string) =>
    storyManifest({ port, nextHop, queue: `{suppression: ${suppression}}` });
  const queue = (...args: string[]) => mailrelay(['queue', ...args, '--state', relay.stateDir]);
  const listed = async () => JSON.parse((await queue('suppressed', '-o', 'json')).stdout) as Suppressed[];
  const arrivedFor = (address: string) => sink.arrived.filter(({ to }) => to.includes(address)).length;

  /** The last reply: of RCPT if it was refused. */
  async function send(...to: string[]): Promise<string> {
    const client = await SmtpClient.connect(relay.ports[0] ?? 0);
    await client.hello();
    sent += 1;
    const reply = await client
      .send('app@client.example', to, messageText(`m${sent}`))
      .catch(({ message }: Error) => /was answered "([^"]*)/.exec(message)?.[1] ?? message);
    await client.quit();
    return reply;
  }

  before(async () => {
    nextHop = await freePort();
    sink = await Sink.start({
      port: nextHop,
      refuse: (address) => (address === 'gone@example.com' ? 550 : undefined),
    });
    relay = await TestRelay.start({
      manifest: ([port]) => manifest(port, '{duration: 7d, statuses: ["5.0.0", "5.1.*"]}'),
    });
  });

  after(async () => {
    await relay?.remove();
    await sink?.down();
  });

  test('after a bounce the client is refused, by a text that says why', async () => {
    assert.match(await send('gone@example.com'), /^250/);
    await until('the bounce', async () => (await listed()).length === 1);
    assert.match(await send('Gone@example.com'), /^550 5\.7\.1 This recipient refused mail for good before/);
    assert.match(await send('joe@example.com'), /^250/);
    const { stdout } = await queue('suppressed');
    assert.match(stdout, /^gone@example\.com\n {6}until 20\S+Z, 1 bounce: 550/);
  });

  test('it is remembered after a kill', async () => {
    await relay.kill9();
    await relay.up();
    assert.match(await send('gone@example.com'), /^550 5\.7\.1/);
  });

  test('with Discard the client gets 250, the others their mail, and that recipient none', async () => {
    relay.edit(manifest(relay.ports[0], '{duration: 7d, statuses: ["5.0.0"], action: Discard}'));
    await until('the change', async () => /^250/.test(await send('gone@example.com')));
    const before = arrivedFor('joe@example.com');
    assert.match(await send('joe@example.com', 'gone@example.com'), /^250/);
    await until('the mail of the other', () => arrivedFor('joe@example.com') > before);
    assert.equal(arrivedFor('gone@example.com'), 0);
    await until('an empty queue', async () => (await relay.status()).queue.depth === 0);
  });

  test('a lifted recipient is tried again; one that is not suppressed is told', async () => {
    const lifted = await queue('lift', 'gone@example.com');
    assert.deepEqual([lifted.status, lifted.stdout], [0, 'gone@example.com gets mail again\n']);
    assert.deepEqual(await listed(), []);
    assert.equal((await queue('lift', 'gone@example.com')).status, 1);
    await send('gone@example.com');
    await until('the next bounce', async () => (await listed()).length === 1);
  });

  test('without queue.suppression the command says how to set it', async () => {
    relay.edit(storyManifest({ port: relay.ports[0], nextHop, queue: '{expireAfter: 4d}' }));
    await until('the change', async () => (await queue('suppressed')).stderr.includes('queue.suppression'));
    assert.match(await send('gone@example.com'), /^250/);
  });
});
