/** A whole relay in a folder as a pod has it: it takes mail, survives a task or a stop, and says how it is. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { parsePodStatus } from '#crds/podstatus.ts';
import { policyOf } from '#test/kit/relayrig.ts';
import {
  dirs,
  greeted,
  mountPair,
  mountPolicy,
  openSink,
  pair,
  policyWith,
  port,
  SENT,
  secured,
  send,
  sink,
  start,
  stopAtEnd,
} from '#test/kit/servingrelay.ts';
import { SmtpClient } from '#test/kit/smtpclient.ts';
import { eventually, until } from '#test/kit/wait.ts';

const log = () =>
  readFileSync(join(dirs.root, 'log'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
const rejects = (message: RegExp) =>
  assert.rejects(start(), (error: Error) => message.test(error.message) && !error.message.includes('\n'));

test('a message goes from a client to the next hop, over STARTTLS on both sides', async () => {
  mountPair(pair);
  mountPolicy(policyWith('Required'));
  const started = await start();
  assert.equal(started.ready(), true);
  assert.deepEqual(started.addresses(), [{ name: 'smtp', address: '127.0.0.1', port }]);
  const talker = await secured();
  assert.deepEqual(await send(talker), SENT);
  await until('1 messages', () => sink.arrived.length >= 1);
  assert.match(
    sink.arrived[0]?.text ?? '',
    /^Received: from .* with ESMTPS id \w{16}\r\n\t\(using TLSv1\.3 /s,
  );
  assert.ok(sink.arrived[0]?.tls);
  await eventually(() => log().some(({ event }) => event === 'delivered'));
  const { from, to, tls, tlsLevel, group, seconds } = log().find(({ event }) => event === 'delivered') ?? {};
  assert.deepEqual(
    { from, to, tls, tlsLevel, group },
    {
      from: 'me@example.com',
      to: 'you@example.net',
      tls: 'TLSv1.3',
      tlsLevel: 'Encrypt',
      group: 'X25519MLKEM768',
    },
  );
  assert.ok(Number(seconds) >= 0);
  talker.close();
});

test('nobody else can read what a relay keeps, in an open folder neither', async () => {
  process.umask(0o022);
  mkdirSync(dirs.stateDir, { mode: 0o755, recursive: true });
  mountPair(pair);
  mountPolicy(policyWith('Disabled'));
  await start();
  const talker = await greeted();
  assert.deepEqual(await talker.codes('EHLO client.example'), [250]);
  assert.deepEqual(await send(talker), SENT);
  talker.close();
  const open = readdirSync(dirs.stateDir).filter((name) => statSync(join(dirs.stateDir, name)).mode & 0o077);
  assert.deepEqual(open, []);
});

test('connections of one client are bounded over all processes, and given free again', async () => {
  mountPair(pair);
  const limits = { ...policyOf().inbound.limits, connectionsPerClient: 3 };
  mountPolicy(policyWith('Enabled', { limits }));
  const started = await start();
  const talkers = [await greeted(), await greeted(), await greeted()];
  const fourth = await SmtpClient.connect(port);
  assert.match(await fourth.reply(), /^421 4\.7\.0 /);
  assert.equal(started.status().sessions.open, 3);
  talkers[0]?.close();
  await eventually(() => started.status().sessions.open === 2);
  talkers.push(await greeted());
  for (const talker of talkers) talker.close();
  await eventually(() => started.status().sessions.open === 0);
});

/** The child processes of this process, by the task in their arguments. */
async function listPids(task: 'listener' | 'router'): Promise<number[]> {
  const { stdout } = await promisify(execFile)('ps', ['-o', 'pid=,args=', '--ppid', String(process.pid)]);
  const lines = stdout.split('\n').filter((line) => line.includes(`${task}/main.ts`));
  return lines.map((line) => Number.parseInt(line, 10));
}

test('a task that dies is replaced; connections wait and the queue goes on', async () => {
  mountPair(pair);
  mountPolicy(policyWith('Enabled'));
  const started = await start();
  for (const task of ['listener', 'router'] as const) {
    const pids = await listPids(task);
    assert.ok(pids.length > 0);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await eventually(() => log().filter(({ died }) => died === task).length === pids.length);
  }
  const talker = await secured();
  assert.deepEqual(await send(talker), SENT);
  talker.close();
  await until('1 messages', () => sink.arrived.length >= 1);
  await eventually(() => started.ready());
});

test('the queue survives a stop, and what was queued goes out when the next hop is back', async () => {
  mountPair(pair);
  mountPolicy(policyWith('Enabled'));
  const { port: hop } = sink;
  await sink.down();
  const first = await start();
  const talker = await secured();
  assert.deepEqual(await send(talker, 'kept'), SENT);
  talker.close();
  await eventually(() => first.status().queue.deferrals.length === 1);
  assert.equal(first.status().queue.depth, 1);
  await first.stop();
  await openSink(hop);
  const second = await start();
  await until('1 messages', () => sink.arrived.length >= 1);
  assert.match(sink.arrived[0]?.text ?? '', /Subject: kept/);
  await eventually(() => second.status().queue.depth === 0);
});

test('without any policy, with a port in use, or beside another relay, one sentence says what to do', async () => {
  await rejects(/^Cannot start without a policy: the policy file is missing/);
  mountPair(pair);
  const taken = createServer().listen(port, '127.0.0.1');
  await once(taken, 'listening');
  mountPolicy(policyWith('Enabled'));
  await rejects(new RegExp(`listener "smtp" at 127\\.0\\.0\\.1 port ${port}: the port is in use`));
  taken.close();
  await once(taken, 'close');
  const first = await start();
  await rejects(/^Another relay uses the state folder/);
  stopAtEnd(first);
});

test('a state folder that cannot be used is one sentence', async () => {
  mountPolicy(policyWith('Disabled'));
  const stateDir = join(dirs.root, 'file');
  writeFileSync(stateDir, '');
  await assert.rejects(
    start({ stateDir }),
    /^Error: Cannot write to the state folder ".*file": it is a file; /,
  );
  // Node's own mkdir with "recursive" never ends here.
  await assert.rejects(
    start({ stateDir: '/proc/none/state' }),
    /^Error: Cannot write to the state folder "\/proc\/none\/state": no folder can be made there; /,
  );
  await assert.rejects(
    start({ stateDir: '/proc' }),
    /^Error: Cannot lock "\/proc\/owner\.lock": .*: choose another/,
  );
  writeFileSync(join(dirs.stateDir, 'owner.lock'), 'not a lock '.repeat(100));
  await assert.rejects(
    start(),
    /^Error: Cannot lock ".*owner\.lock": the file is not one of a relay: move it away$/,
  );
  rmSync(join(dirs.stateDir, 'owner.lock'));
});

test('a queue that is no store at all is set aside, and the relay starts with a new one', async () => {
  mountPair(pair);
  mountPolicy(policyWith('Disabled'));
  const text = 'not a store '.repeat(1000);
  writeFileSync(join(dirs.stateDir, 'queue.db'), text);
  const started = await start();
  assert.equal(started.ready(), true);
  const kept = readdirSync(dirs.stateDir, { recursive: true, encoding: 'utf8' })
    .map((name) => join(dirs.stateDir, name))
    .filter((path) => statSync(path).isFile() && readFileSync(path, 'utf8') === text);
  assert.equal(kept.length, 1);
});

test('health, status with its long poll, and metrics', async () => {
  mountPair(pair);
  mountPolicy(policyWith('Enabled'));
  const started = await start();
  const base = `http://127.0.0.1:${started.admin().port}`;
  const get = async (path: string) => {
    const response = await fetch(base + path);
    return { code: response.status, text: await response.text() };
  };
  assert.deepEqual(await get('/healthz'), { code: 200, text: 'ok\n' });
  assert.deepEqual(await get('/readyz'), { code: 200, text: 'ok\n' });
  const status = parsePodStatus((await get('/status')).text);
  assert.deepEqual(status, started.status());
  const polled = get(`/status?since=${status?.revision}`);
  mountPolicy(policyWith('Required'));
  const news = parsePodStatus((await polled).text);
  assert.notEqual(news?.revision, status?.revision);
  const talker = await secured();
  await send(talker);
  talker.close();
  await until('1 messages', () => sink.arrived.length >= 1);
  // Listener and router report these separately.
  const counted = [
    /^mailrelay_recipients_delivered_total\{class="hops"\} 1$/m,
    /^mailrelay_messages_accepted_total\{listener="smtp"\} 1$/m,
  ];
  await eventually(async () => {
    const { text } = await get('/metrics');
    return counted.every((line) => line.test(text));
  });
  const metrics = (await get('/metrics')).text;
  assert.match(
    metrics,
    /^mailrelay_certificate_not_after_timestamp_seconds\{field="tls",hostname=""\} [1-9]\d{9}$/m,
  );
  assert.equal((await get('/nowhere')).code, 404);
  assert.equal((await fetch(`${base}/status`, { method: 'POST' })).status, 405);
});

test('a stopped relay leaves no process, no port and no lock', async () => {
  mountPair(pair);
  mountPolicy(policyWith('Enabled'));
  const started = await start();
  const talker = await greeted();
  const stopped = started.stop();
  assert.deepEqual(started.status().notReady, ['the relay is stopping']);
  assert.deepEqual(await talker.codes('EHLO client.example', 'QUIT'), [250, 221]);
  await stopped;
  assert.deepEqual([await listPids('listener'), await listPids('router')], [[], []]);
  assert.deepEqual(readdirSync(join(dirs.stateDir, 'bodies')), []);
  await (await start()).stop();
});

test('the status names the last refusals by reason, with the last client of each', async () => {
  mountPair(pair);
  mountPolicy(policyWith('Required'));
  const started = await start();
  const talker = await greeted();
  assert.deepEqual(await talker.codes('EHLO old.example', 'MAIL FROM:<a@x.example>', 'FOO'), [250, 530, 530]);
  talker.close();
  const refusals = () => started.status().sessions.refusals ?? [];
  await until('both', () => refusals().reduce((sum, { count }) => sum + count, 0) >= 2);
  assert.deepEqual(
    refusals().map(({ reason, client, helo }) => ({ reason, client, helo })),
    [{ reason: 'starttls_required', client: '127.0.0.1', helo: 'old.example' }],
  );
  assert.deepEqual(parsePodStatus(JSON.stringify(started.status()))?.sessions.refusals, refusals());
});
