/** Recipients that bounced at a real relay: refused, or discarded, listed, lifted, and remembered after a restart. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { HistoryEntry } from '#relay/history/entry.ts';
import type { Suppressed } from '#relay/suppression/entry.ts';
import { storyManifest, type Wish } from '#test/kit/manifest.ts';
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

  const manifest = (port: number | undefined, suppression: string, more: Partial<Wish> = {}) =>
    storyManifest({ port, nextHop, queue: `{history: 7d, suppression: ${suppression}}`, ...more });
  const isEmpty = async () => (await relay.status()).queue.depth === 0;
  async function found(...args: string[]): Promise<HistoryEntry> {
    const { stdout } = await mailrelay(['find', ...args, '-o', 'json', '--state', relay.stateDir]);
    const [entry] = JSON.parse(stdout) as HistoryEntry[];
    return entry ?? assert.fail(args.join(' '));
  }
  const statesOf = ({ recipients }: HistoryEntry) =>
    recipients.map(({ address, state }) => `${address} ${state}`);
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
    assert.match(await send('"gone"@example.com'), /^550 5\.7\.1/, 'quotes do not matter');
    assert.match(await send('joe@example.com'), /^250/);
    const file = join(relay.dir, 'relay.yaml');
    const explained = await mailrelay(['explain', 'Gone@example.com', '-f', file, '--state', relay.stateDir]);
    assert.match(
      explained.stdout,
      /^suppressed +it gets no mail until 20\S+Z, after 1 bounce: 550 .*action Refuse\)$/m,
    );
    const { stdout } = await queue('suppressed');
    assert.match(stdout, /^gone@example\.com\n {6}until 20\S+Z, 1 bounce: 550/);
    const wide = await queue('suppressed', '-o', 'wide');
    assert.match(wide.stdout, /^ADDRESS\tUNTIL\tBOUNCES\tREASON\ngone@example\.com\t20\S+Z\t1\t550 .*\n$/);
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
    await until('an empty queue', isEmpty);
  });

  test('the history tells of mail that was discarded, for all its recipients and for one', async () => {
    const all = /queued as (\S+)/.exec(await send('gone@example.com'))?.[1] ?? assert.fail();
    const one =
      /queued as (\S+)/.exec(await send('gone@example.com', 'joe@example.com'))?.[1] ?? assert.fail();
    await until('an empty queue', isEmpty);
    assert.deepEqual(statesOf(await found('--id', all)), ['gone@example.com discarded']);
    const entry = await found('--id', one);
    assert.deepEqual(statesOf(entry), ['gone@example.com discarded', 'joe@example.com delivered']);
    assert.match(entry.recipients[0]?.answers[0]?.text ?? '', /queue\.suppression/);
    assert.equal((await queue('list')).stdout.includes(all), false);
  });

  test('a copy to a suppressed address is left out, whatever the action is', async () => {
    for (const action of ['Discard', 'Refuse']) {
      const terms = `{duration: 7d, statuses: ["5.0.0"], action: ${action}}`;
      relay.edit(manifest(relay.ports[0], terms, { inbound: 'alwaysBcc: gone@example.com' }));
      const states = await until(`a copy with ${action}`, async () => {
        const reply = await send(`${action}@example.com`);
        await until('an empty queue', isEmpty);
        const entry = await found('--id', /queued as (\S+)/.exec(reply)?.[1] ?? assert.fail(reply));
        return entry.recipients.length === 2 && statesOf(entry);
      });
      assert.deepEqual(states, [`${action}@example.com delivered`, 'gone@example.com discarded']);
    }
  });

  test('where one box gets all mail, it alone counts', async () => {
    const boxed = (box: string, action: string) =>
      relay.edit(
        manifest(relay.ports[0], `{duration: 7d, statuses: ["5.0.0"], action: ${action}}`, {
          spec: `addresses: {sendAllTo: ${box}}`,
        }),
      );
    for (const action of ['Discard', 'Refuse']) {
      boxed('box@example.com', action);
      const before = arrivedFor('box@example.com');
      await until('the box to get mail', async () => {
        const reply = await send('gone@example.com');
        return /^250/.test(reply) && arrivedFor('box@example.com') > before;
      });
    }
    const entry = await found('--recipient', 'gone@example.com');
    assert.deepEqual(entry.recipients[0]?.originalTo, ['gone@example.com']);
    boxed('gone@example.com', 'Refuse');
    await until('a refusal', async () => /^550 5\.7\.1/.test(await send('joe@example.com')));
  });

  test('a lifted recipient is tried again; one that is not suppressed is told', async () => {
    relay.edit(manifest(relay.ports[0], '{duration: 7d, statuses: ["5.0.0"], action: Discard}'));
    await until('the change', async () => /^250/.test(await send('gone@example.com')));
    const lifted = await queue('lift', 'gone@example.com');
    assert.deepEqual([lifted.status, lifted.stdout], [0, 'gone@example.com gets mail again\n']);
    assert.deepEqual(await listed(), []);
    assert.equal((await queue('lift', 'gone@example.com')).status, 1);
    assert.equal((await queue('lift', 'eaten quotes@example.com')).status, 1);
    for (const address of ['joe', '', '@example.com', 'joe@', 'example.com']) {
      const { status, stderr } = await queue('lift', 'gone@example.com', address);
      assert.equal(status, 2, address);
      assert.ok(stderr.includes(`"${address}": it must be an address, such as joe@example.com`), stderr);
    }
    await send('gone@example.com');
    await until('the next bounce', async () => (await listed()).length === 1);
  });

  test('without queue.suppression the command says how to set it', async () => {
    relay.edit(storyManifest({ port: relay.ports[0], nextHop, queue: '{expireAfter: 4d}' }));
    await until('the change', async () => (await queue('suppressed')).stdout.includes('queue.suppression'));
    assert.match(await send('gone@example.com'), /^250/);
    const { status, stderr } = await queue('suppressed', '-o', 'json');
    assert.deepEqual([status, stderr, await listed()], [0, '', []]);
  });
});
