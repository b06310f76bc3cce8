/** `mailrelay find` against a relay that keeps a history: mail that went, waits, was refused, and is long gone. */
import assert from 'node:assert/strict';
import { existsSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parse } from 'yaml';
import type { HistoryEntry } from '#relay/history/entry.ts';
import { storyManifest } from '#test/kit/manifest.ts';
import { freePort } from '#test/kit/ports.ts';
import { mailrelay, TestRelay } from '#test/kit/relay.ts';
import { Sink } from '#test/kit/sink.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';

describe('mailrelay find', { concurrency: false }, () => {
  let relay: TestRelay;
  let sink: Sink;
  let nextHop = 0;
  let id = '';

  const manifest = (port: number | undefined, queue: string) => storyManifest({ port, nextHop, queue });
  const find = (...args: string[]) => mailrelay(['find', ...args, '--state', relay.stateDir]);
  const found = async (...args: string[]) =>
    JSON.parse((await find(...args, '-o', 'json')).stdout) as HistoryEntry[];
  const states = async (...args: string[]) =>
    (await found(...args)).flatMap(({ recipients }) => recipients.map(({ state }) => state));

  before(async () => {
    nextHop = await freePort();
    const codes: Record<string, number> = { 'gone@example.com': 550, 'slow@example.com': 451 };
    sink = await Sink.start({ port: nextHop, refuse: (address) => codes[address] });
    relay = await TestRelay.start({ manifest: ([port]) => manifest(port, '{history: 7d}') });
    const client = await SmtpClient.connect(relay.ports[0] ?? 0);
    await client.hello();
    const text = `Message-ID: <m1@client.example>\r\n${messageText('m1')}`;
    const reply = await client.send(
      'app@client.example',
      ['joe@example.com', 'gone@example.com', 'slow@example.com'],
      text,
    );
    id = /queued as (\S+)/.exec(reply)?.[1] ?? assert.fail(reply);
    await client.quit();
  });

  after(async () => {
    await relay?.remove();
    await sink?.down();
  });

  test('it tells what became of each recipient, and what the next hop said', async () => {
    await until('all answers', async () => (await states('--id', id)).join() === 'bounced,delivered,queued');
    const [entry] = await found('joe@example.com');
    assert.equal(entry?.id, id);
    assert.equal(entry?.messageId, 'm1@client.example');
    const [gone, joe, slow] = entry?.recipients ?? [];
    assert.match(gone?.answers[0]?.text ?? '', /^550/);
    assert.match(joe?.answers[0]?.text ?? '', /^250/);
    assert.equal(joe?.answers[0]?.hop, `127.0.0.1:${nextHop}`);
    assert.deepEqual([slow?.answers[0]?.result, slow?.state], ['deferred', 'queued']);
    const { stdout } = await find('--message-id', '<m1@client.example>');
    assert.match(
      stdout,
      new RegExp(`^${id} {2}\\S+Z {2}<app@client\\.example> {2}Message-ID <m1@client\\.example>\\n`),
    );
    assert.match(
      stdout,
      /\n {6}to joe@example\.com: delivered\n {9}\S+Z {2}delivered by 127\.0\.0\.1:\d+: 250/,
    );
    const wide = (await find('app@client.example', '-o', 'wide')).stdout.split('\n');
    assert.equal(wide[0]?.split('\t').length, 12);
    assert.ok(
      wide.slice(1, -1).every((line) => line.split('\t').length === 12),
      wide.join('\n'),
    );
  });

  test('the bounce is a message of its own, found by its recipient', async () => {
    const [bounce] = await until('the bounce', async () => {
      const all = await found('--recipient', 'app@client.example');
      return all.length > 0 && all;
    });
    assert.equal(bounce?.from, '');
  });

  test('what is not there is told with exit status 1; wrong usage with 2', async () => {
    const none = await find('nobody@example.com');
    assert.deepEqual([none.status, none.stdout], [1, 'There is no such mail in the history.\n']);
    assert.equal((await find('--older', '1h')).status, 1);
    assert.equal((await find('*@example.com')).status, 2);
    assert.equal((await find('--most', '0')).status, 2);
  });

  test('a list that is cut says so, and one that is whole does not', async () => {
    const all = await found();
    const most = String(all.length);
    for (const form of ['text', 'wide']) {
      const cut = (await find('--most', '1', '-o', form)).stdout;
      const more = new RegExp(
        `\\n\\.\\.\\. and ${all.length - 1} more: add --most NUMBER, or what narrows it down\\n$`,
      );
      assert.match(cut, more, form);
      assert.doesNotMatch((await find('--most', most, '-o', form)).stdout, /more:/, form);
    }
    for (const form of ['json', 'yaml']) {
      const { stdout, stderr } = await find('--most', '1', '-o', form);
      assert.equal(parse(stdout).length, 1);
      assert.match(stderr, new RegExp(`^\\.\\.\\. and ${all.length - 1} more: `), form);
      assert.equal((await find('--most', most, '-o', form)).stderr, '');
    }
  });

  test('a message that a person removed is still told, also after a restart', async () => {
    const removed = await mailrelay(['queue', 'remove', id, '--yes', '--state', relay.stateDir]);
    assert.equal(removed.status, 0, removed.stderr);
    await relay.stop();
    await relay.up();
    assert.deepEqual(await states('--id', id), ['bounced', 'delivered', 'removed']);
  });

  test('after a kill, mail that is still queued is in the history', async () => {
    const client = await SmtpClient.connect(relay.ports[0] ?? 0);
    await client.hello();
    await client.send('late@client.example', ['slow@example.com'], messageText('m2'));
    await client.quit();
    await relay.kill9();
    await relay.up();
    await until('it to be told', async () => (await states('late@client.example')).join() === 'queued');
  });

  test('a history that cannot be written is told by the status, and mail goes on', async () => {
    await relay.stop();
    const file = join(relay.stateDir, 'history.db');
    rmSync(file);
    symlinkSync(join(relay.stateDir, 'missing', 'history.db'), file);
    await relay.up();
    const client = await SmtpClient.connect(relay.ports[0] ?? 0);
    await client.hello();
    assert.match(await client.send('b@client.example', ['joe@example.com'], messageText('m3')), /queued as/);
    await client.quit();
    const { history } = await until('the status to tell it', async () => {
      const status = await relay.status();
      return status.history?.failure ? status : undefined;
    });
    assert.match(history?.failure ?? '', /unable to open database file/);
    const { stdout } = await mailrelay(['status', '--state', relay.stateDir]);
    assert.match(stdout, /^history +lacks mail of the last hour: unable to open database file$/m);
  });

  test('without queue.history nothing is kept, and the command says how to keep it', async () => {
    relay.edit(manifest(relay.ports[0], '{expireAfter: 4d}'));
    await until('the history to go', () => !existsSync(join(relay.stateDir, 'history.db')));
    const refused = await until('an answer', async () => {
      const answer = await find('joe@example.com');
      return answer.stderr.includes('queue.history') ? answer : undefined;
    });
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /this relay keeps no history: set queue\.history/);
  });
});
