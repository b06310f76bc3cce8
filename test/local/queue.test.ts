/** `mailrelay queue` against a relay that is running, with mail waiting for a next hop that is down. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { QueueClient } from '#cli/queueclient.ts';
import type { Done, QueueEntry } from '#relay/queue/tools.ts';
import { storyManifest } from '#test/kit/manifest.ts';
import { freePort } from '#test/kit/ports.ts';
import { listQueue } from '#test/kit/queuetools.ts';
import { mailrelay, TestRelay } from '#test/kit/relay.ts';
import { Sink } from '#test/kit/sink.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { inFile } from '#test/kit/storefile.ts';
import { until } from '#test/kit/wait.ts';

const LAUNCHER = new URL('../../bin/mailrelay', import.meta.url).pathname;
const CTRL_C = '\x03';
const CTRL_D = '\x04';
/** As long as `until` waits. */
const REPLACED_MS = 60_000;

describe('mailrelay queue', { concurrency: false }, () => {
  let relay: TestRelay;
  let sink: Sink | undefined;
  let nextHop = 0;
  /** Queue ids by the id of the test message. */
  const ids: Record<string, string> = {};

  const queue = (...args: string[]) => mailrelay(['queue', ...args, '--state', relay.stateDir]);
  const listed = async (...args: string[]) =>
    JSON.parse((await queue('list', '-o', 'json', ...args)).stdout) as QueueEntry[];
  const idsOf = async (...args: string[]) => (await listed(...args)).map(({ id }) => id);
  const id = (name: string) => ids[name] ?? assert.fail(`${name} was not sent`);

  before(async () => {
    nextHop = await freePort();
    relay = await TestRelay.start({ manifest: ([first]) => storyManifest({ port: first, nextHop }) });
    const client = await SmtpClient.connect(relay.ports[0] ?? 0);
    await client.hello();
    for (const [name, from, to] of [
      ['first', 'a@client.example', 'b@example.com'],
      ['second', 'a@client.example', 'b@sub.example.org'],
      ['bounce', '', 'b@example.com'],
      ['last', 'boss@client.example', 'b@example.com'],
    ] as const) {
      const reply = await client.send(from, [to], messageText(name));
      ids[name] = /queued as (\S+)/.exec(reply)?.[1] ?? assert.fail(reply);
    }
    await client.quit();
    await until('every message to wait for the next hop', async () => {
      const waiting = (await listQueue(relay)).filter(({ recipients: [to] }) => to?.reason);
      return waiting.length === Object.keys(ids).length;
    });
  });

  after(async () => {
    await relay?.remove();
    await sink?.down();
  });

  test('list tells what waits, since when, for whom and why; show the same of one', async () => {
    const { status, stdout } = await queue('list');
    assert.equal(status, 0);
    assert.match(stdout, /^ID +STATE +AGE +SIZE +SENDER, RECIPIENTS\n/);
    assert.match(
      stdout,
      new RegExp(`${id('first')} +queued +\\d+[smh] +\\d+B +<a@client\\.example>\\n +to b@example\\.com`),
    );
    assert.match(stdout, new RegExp(`4\\.4\\.1 127\\.0\\.0\\.1:${nextHop}: connection refused`));
    assert.match(stdout, /-- 4 messages, [\d.]+Ki\n$/);
    const [entry] = await listed();
    assert.equal(entry?.id, id('first'));
    assert.equal(entry?.recipients[0]?.destination, `127.0.0.1:${nextHop}`);
    const shown = await queue('show', id('bounce'), id('first'), '-o', 'json');
    assert.deepEqual(
      (JSON.parse(shown.stdout) as QueueEntry[]).map(({ from }) => from),
      ['', 'a@client.example'],
    );
  });

  test('messages are chosen by sender, recipient domain and age, all of which must apply', async () => {
    assert.deepEqual(await idsOf('--sender', 'client.example'), ['first', 'second', 'last'].map(id));
    assert.deepEqual(await idsOf('--sender', 'boss@client.example'), [id('last')]);
    assert.deepEqual(await idsOf('--sender', '<>'), [id('bounce')]);
    assert.deepEqual(await idsOf('--domain', '*.example.org', '--sender', 'a@client.example'), [
      id('second'),
    ]);
    assert.deepEqual(await idsOf('--older', '1h'), []);
    assert.match((await queue('list', '--older', '1h')).stdout, /^There is nothing to show/);
  });

  test('what is held is listed as held, counted, and not tried', async () => {
    const held = await queue('hold', id('first'), id('second'));
    assert.deepEqual([held.status, held.stderr], [0, '']);
    assert.match(held.stdout, new RegExp(`^${id('first')} held back\\n${id('second')} held back\\n$`));
    assert.deepEqual(await idsOf('--held'), ['first', 'second'].map(id));
    await until('the status to count them', async () => (await relay.status()).queue.held === 2);
    const retried = await queue('retry', id('first'));
    assert.equal(retried.status, 1);
    assert.match(retried.stderr, /is held: release it first/);
    const released = await queue('release', id('last'));
    assert.deepEqual([released.status, released.stderr], [1, `${id('last')} is not held\n`]);
  });

  test('retry tells what came of it, by message or in short', async () => {
    const one = await queue('retry', id('last'));
    assert.equal(one.status, 0, one.stderr);
    assert.match(
      one.stdout,
      new RegExp(
        `^${id('last')} tried, and still waits, again at 20\\S+: 4\\.4\\.1 127\\.0\\.0\\.1:${nextHop}: connection refused`,
      ),
    );
    const all = await queue('retry', '--all');
    assert.match(all.stdout, /^2 messages tried, and still wait\n {2}2x 4\.4\.1 .*\n$/);
    const lines = (await queue('retry', '--all', '--ids')).stdout.trimEnd().split('\n');
    assert.deepEqual(
      lines.map((line) => line.split(' ')[0]),
      ['bounce', 'last'].map(id),
    );
    const json = JSON.parse((await queue('retry', '--all', '-o', 'json')).stdout);
    assert.deepEqual(
      json.map(({ result, outcome }: { result: string; outcome: string }) => [result, outcome]),
      [
        ['done', 'waiting'],
        ['done', 'waiting'],
      ],
    );
  });

  test('a list has columns for programs, and ends at a screenful unless it shall be whole', async () => {
    const wide = (await queue('list', '-o', 'wide')).stdout.trimEnd().split('\n');
    assert.match(wide[0] ?? '', /^ID\tSTATE\tRECEIVED\t/);
    assert.ok(wide.slice(1, -1).every((line) => line.split('\t').length === 9));
    const tall = await atTerminal(`queue list --state ${relay.stateDir}`, '', 'stty rows 8');
    assert.match(tall.output, /\.\.\. and 3 more: add --all to list them\r?\n-- 4 messages/);
    const whole = await atTerminal(`queue list --all --state ${relay.stateDir}`, '', 'stty rows 8');
    assert.ok(
      Object.values(ids).every((one) => whole.output.includes(one)) && !whole.output.includes('more:'),
    );
  });

  test('export gives the message as it will go out; several go into a folder', async () => {
    const { status, stdout } = await queue('export', id('last'));
    assert.equal(status, 0);
    assert.match(stdout, new RegExp(`^Received: from client\\.example .*id ${id('last')}`, 's'));
    assert.ok(stdout.endsWith('end\r\n'));
    const dir = join(relay.dir, 'exported', 'new');
    const all = await queue('export', '--all', '--to', dir);
    const count = Object.keys(ids).length;
    assert.deepEqual([all.status, all.stdout], [0, `${count} messages written into ${dir}\n`]);
    assert.deepEqual(
      readdirSync(dir).toSorted(),
      Object.values(ids)
        .map((one) => `${one}.eml`)
        .toSorted(),
    );
    assert.equal(readFileSync(join(dir, `${id('last')}.eml`), 'latin1'), stdout);
    const none = await queue('export', '--domain', 'nowhere.example');
    assert.deepEqual(
      [none.status, none.stdout, none.stderr],
      [0, '', 'There is no such message to export.\n'],
    );
    const again = await queue('export', id('last'), '--to', dir);
    assert.equal(again.status, 1);
    assert.match(again.stderr, /^mailrelay: Cannot write ".*\.eml": there is one already\n$/);
  });

  test('removal asks first, and without a terminal wants --yes', async () => {
    const unasked = await queue('remove', id('last'));
    assert.equal(unasked.status, 2);
    assert.match(unasked.stderr, /Remove message \S+ for good.* add --yes/);
    for (const [answer, status] of [
      ['n', 1],
      ['', 1],
      [CTRL_C, 1],
      [CTRL_D, 1],
      ['y', 0],
    ] as const) {
      const removal = await atTerminal(`queue remove ${id('last')} --state ${relay.stateDir}`, answer);
      assert.equal(removal.status, status);
      if (status === 1) assert.match(removal.output, /\[y\/N\] [^\n]*\r?\nNothing was removed\.\r?\n$/);
      assert.equal((await idsOf()).includes(id('last')), status === 1, `answered "${answer}"`);
    }
    const done = await queue('remove', '--sender', '<>', '--yes', '-o', 'json');
    assert.deepEqual(JSON.parse(done.stdout), [{ id: id('bounce'), result: 'done' }] satisfies Done[]);
    assert.deepEqual(await idsOf(), ['first', 'second'].map(id));
  });

  test('while a policy changes, and with it the router, the queue is there for whoever asks', async () => {
    const client = new QueueClient(relay.stateDir);
    const { routerStarts } = (await relay.status()).tasks;
    relay.edit(storyManifest({ port: relay.ports[0], nextHop, level: 'None' }));
    const end = performance.now() + REPLACED_MS;
    while ((await relay.status()).tasks.routerStarts === routerStarts) {
      assert.ok(performance.now() < end, 'the router was not replaced');
      const seen: string[] = [];
      for await (const entry of client.list()) seen.push(entry.id);
      assert.deepEqual(seen, ['first', 'second'].map(id));
    }
    assert.deepEqual(await idsOf('--held'), ['first', 'second'].map(id));
  });

  test('what is released goes out, what is held stays', async () => {
    sink = await Sink.start({ port: nextHop });
    assert.equal((await queue('release', id('first'))).status, 0);
    await queue('retry', '--all');
    await until('the message', () => sink?.counts().get('first') === 1);
    await until('the other one alone', async () => (await idsOf()).join() === id('second'));
    assert.equal((await queue('release', '--all')).status, 0);
    await queue('retry', '--all');
    await until('the queue to be empty', async () => (await idsOf()).length === 0);
    assert.deepEqual(
      [...(sink?.counts() ?? [])],
      [
        ['first', 1],
        ['second', 1],
      ],
    );
  });

  test('an entry that cannot be read is listed, and can be given up', async () => {
    await sink?.down();
    const client = await SmtpClient.connect(relay.ports[0] ?? 0);
    await client.hello();
    await client.send('a@client.example', ['b@example.com'], messageText('damaged'));
    await client.quit();
    await relay.stop();
    inFile(join(relay.stateDir, 'queue.db'), (database) => database.exec("UPDATE records SET value = x'00'"));
    await relay.up();
    const [entry] = await listed('--held');
    assert.equal(entry?.state, 'damaged');
    const released = await queue('release', entry?.id ?? '');
    assert.equal(released.status, 1);
    assert.match(released.stderr, /cannot be read: it can only be removed/);
    assert.equal((await queue('remove', '--held', '--yes')).status, 0);
    assert.deepEqual(await listed(), []);
    await until('the status to forget it', async () => (await relay.status()).queue.held === 0);
  });

  test('what is not there is named, and the rest is done', async () => {
    for (const verb of ['hold', 'release', 'retry', 'remove', 'show', 'export']) {
      const { status, stderr } = await queue(verb, id('first'), ...(verb === 'remove' ? ['--yes'] : []));
      assert.equal(status, 1, verb);
      assert.ok(stderr.includes(id('first')) && stderr.trim().split('\n').length === 1, `${verb}: ${stderr}`);
    }
  });
});

/** Runs the command at a terminal of its own, after a command that prepares it, and types one answer. */
async function atTerminal(command: string, answer: string, prepare = 'true') {
  const line = `${prepare}; ${LAUNCHER} ${command}`;
  const child = spawn('script', ['--quiet', '--return', '--command', line, '/dev/null']);
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
    if (String(chunk).includes('[y/N]')) child.stdin.write(`${answer}\n`);
  });
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { status, output };
}
