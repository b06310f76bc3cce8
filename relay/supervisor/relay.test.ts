import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { parsePodStatus } from '#crds/podstatus.ts';
import { hashContent, POLICY_FILE_NAME, type Policy, printPolicy } from '#crds/policyfile.ts';
import { makePair } from '#test/kit/ca.ts';
import { startPodRelay } from '#test/kit/podrelay.ts';
import { freePort } from '#test/kit/ports.ts';
import { HOSTNAME, hopTo, listenerAt, mount, type PodDirs, podDirs, policyOf } from '#test/kit/relayrig.ts';
import { Sink } from '#test/kit/sink.ts';
import { SmtpClient } from '#test/kit/smtpclient.ts';
import { eventually, until } from '#test/kit/wait.ts';
import type { PairText } from '../task/messages.ts';
import type { Relay, RelayOptions } from './options.ts';

let dirs: PodDirs;
let sink: Sink;
let relay: Relay | undefined;
let port: number;
const pair = await makePair();

beforeEach(async () => {
  dirs = podDirs();
  port = await freePort();
  sink = await Sink.start({ port: await freePort(), pair: await makePair('mx.example.net') });
});
afterEach(async () => {
  await relay?.stop();
  relay = undefined;
  await sink.down();
  dirs.remove();
});

const mountPolicy = (policy: Policy) => mount(dirs.policyDir, { [POLICY_FILE_NAME]: printPolicy(policy) });
const mountPair = ({ cert, key }: PairText) =>
  mount(dirs.certificateDir, { 'tls.crt': cert, 'tls.key': key });
const outbound = () => ({ smartHosts: [hopTo(sink.port, { tlsLevel: 'Encrypt' })] });
const policyWith = (starttls: 'Disabled' | 'Enabled' | 'Required', more: Partial<Policy['inbound']> = {}) =>
  policyOf({ listeners: [listenerAt(port, { starttls })], ...more }, outbound());

async function start(changes: Partial<RelayOptions> = {}): Promise<Relay> {
  relay = await startPodRelay(dirs, { processes: 2, ...changes });
  return relay;
}

const log = () =>
  readFileSync(join(dirs.root, 'log'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
const rejects = (message: RegExp) =>
  assert.rejects(start(), (error: Error) => message.test(error.message) && !error.message.includes('\n'));

async function greeted(): Promise<SmtpClient> {
  const talker = await SmtpClient.connect(port);
  assert.match(await talker.reply(), /^220 /);
  return talker;
}

async function secured(): Promise<SmtpClient> {
  const talker = await greeted();
  assert.deepEqual(await talker.codes('EHLO client.example', 'STARTTLS'), [250, 220]);
  await talker.startTls({});
  await talker.command('EHLO client.example');
  return talker;
}

const send = (talker: SmtpClient, subject = 'x') =>
  talker.codes(
    'MAIL FROM:<me@example.com>',
    'RCPT TO:<you@example.net>',
    'DATA',
    `Subject: ${subject}\r\n\r\nhi\r\n.`,
  );
const SENT = [250, 250, 354, 250];

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

test('a change of the inbound policy is in force for new sessions, old ones end normally, nobody is refused', async () => {
  mountPair(pair);
  mountPolicy(policyWith('Enabled'));
  const started = await start({ drainMs: 60_000 });
  const inTransaction = await greeted();
  await inTransaction.codes('EHLO client.example', 'MAIL FROM:<me@example.com>', 'RCPT TO:<you@example.net>');
  const inTls = await secured();
  let going = true;
  let sessions = 0;
  const streams = Array.from({ length: 4 }, async () => {
    while (going) {
      const talker = await greeted();
      assert.deepEqual(await talker.codes('EHLO client.example', 'QUIT'), [250, 221]);
      sessions += 1;
    }
  });
  const wanted = policyWith('Required');
  mountPolicy(wanted);
  await eventually(() => started.status().policy.hash === hashContent(wanted));
  const before = sessions;
  await eventually(() => sessions > before + 8);
  const plain = await greeted();
  assert.deepEqual(await plain.codes('EHLO client.example', 'MAIL FROM:<me@example.com>'), [250, 530]);
  const status = started.status();
  assert.deepEqual(status.tasks, { listenerStarts: 2, routerStarts: 1 });
  assert.ok(status.sessions.ofOldPolicy >= 2 && status.sessions.oldPolicyEnds !== null);
  assert.deepEqual(await inTransaction.codes('DATA', 'Subject: old\r\n\r\nhi\r\n.'), [354, 250]);
  assert.deepEqual(await send(inTls), SENT);
  for (const talker of [inTransaction, inTls, plain]) talker.close();
  going = false;
  await Promise.all(streams);
  await eventually(() => started.status().sessions.ofOldPolicy === 0);
  await until('2 messages', () => sink.arrived.length >= 2);
});

test('sessions of an old policy are ended at the deadline, with 421', async () => {
  mountPair(pair);
  mountPolicy(policyWith('Enabled'));
  const started = await start({ drainMs: 300 });
  const talker = await greeted();
  mountPolicy(policyWith('Required'));
  assert.match(await talker.reply(), /^421 4\.3\.2 /);
  await talker.closed();
  await eventually(() => started.status().sessions.open === 0);
});

test('a change of the outbound policy restarts the router only; mail goes the new way', async () => {
  mountPair(pair);
  mountPolicy(policyWith('Enabled'));
  const started = await start();
  const talker = await secured();
  const other = await Sink.start({ port: await freePort() });
  mountPolicy(policyOf({ listeners: [listenerAt(port)] }, { smartHosts: [hopTo(other.port)] }));
  await eventually(() => started.status().tasks.routerStarts === 2);
  assert.equal(started.status().tasks.listenerStarts, 1);
  assert.deepEqual(await send(talker), SENT);
  await until('1 messages', () => other.arrived.length >= 1);
  assert.equal(sink.arrived.length, 0);
  talker.close();
  await other.down();
});

test('the same policy again restarts nothing', async () => {
  mountPair(pair);
  mountPolicy(policyWith('Enabled'));
  const started = await start();
  const { revision, tasks } = started.status();
  for (let round = 0; round < 3; round++) {
    mountPolicy(policyWith('Enabled'));
    mountPair(pair);
    await started.reload();
  }
  assert.deepEqual([started.status().revision, started.status().tasks], [revision, tasks]);
});

test('a policy that cannot be taken is refused by name, the old one stays in force', async () => {
  mountPair(pair);
  const good = policyWith('Enabled');
  mountPolicy(good);
  const started = await start();
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const busy = (taken.address() as { port: number }).port;
  const bad: [Policy, RegExp][] = [
    [policyOf({ listeners: [listenerAt(port)] }, { tlsLevel: 'Dane' }), /Dane/],
    [
      policyOf({ listeners: [listenerAt(port), listenerAt(busy, { name: 'two' })] }),
      /listener "two".*in use/,
    ],
  ];
  for (const [policy, message] of bad) {
    mountPolicy(policy);
    await started.reload();
    assert.match(started.status().policy.refused?.message ?? '', message);
    assert.equal(started.status().policy.refused?.hash, hashContent(policy));
  }
  mount(dirs.policyDir, { [POLICY_FILE_NAME]: '{"format": 1}' });
  await started.reload();
  assert.equal(started.status().policy.refused?.hash, null);
  assert.deepEqual([started.status().policy.hash, started.ready()], [hashContent(good), true]);
  assert.deepEqual(started.status().tasks, { listenerStarts: 1, routerStarts: 1 });
  mountPolicy(good);
  await started.reload();
  assert.equal(started.status().policy.refused, null);
  taken.close();
});

test('a listener that is added is served, one that is removed closes its port', async () => {
  mountPair(pair);
  mountPolicy(policyWith('Enabled'));
  const started = await start();
  const second = await freePort();
  mountPolicy(policyOf({ listeners: [listenerAt(second, { name: 'two' })] }, outbound()));
  await started.reload();
  assert.deepEqual(started.addresses(), [{ name: 'two', address: '127.0.0.1', port: second }]);
  const talker = await SmtpClient.connect(second);
  assert.match(await talker.reply(), /^220 /);
  talker.close();
  await assert.rejects(SmtpClient.connect(port));
});

/** With `servername` the client sends this name as SNI. */
async function serialServed(servername = ''): Promise<string> {
  const socket: TLSSocket = connectTls({ port, host: '127.0.0.1', servername, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return serialNumber;
}

test('a renewed pair is served at once and a mismatched key is not, without restarting anything', async () => {
  const listeners = [listenerAt(port, { starttls: 'Disabled', implicitTLS: true })];
  mountPair(pair);
  mountPolicy(policyOf({ listeners }, outbound()));
  const started = await start();
  const open = await SmtpClient.connectTls(port, {});
  assert.match(await open.reply(), /^220 /);
  let last = pair;
  for (let rotation = 0; rotation < 3; rotation++) {
    last = await makePair();
    mountPair(last);
    const before = started.status().certificate?.serial;
    await eventually(() => started.status().certificate?.serial !== before);
    await eventually(async () => (await serialServed()) === started.status().certificate?.serial);
  }
  mountPair({ cert: last.cert, key: pair.key });
  await eventually(() => started.status().certificateProblem?.reason === 'KeyMismatch');
  assert.equal(await serialServed(), started.status().certificate?.serial);
  assert.equal(started.ready(), true);
  assert.deepEqual(started.status().tasks, { listenerStarts: 1, routerStarts: 1 });
  assert.deepEqual(await open.codes('EHLO client.example', 'QUIT'), [250, 221]);
});

test('names inside the cluster get a pair of their own, renewed by itself, and its authority is told', async () => {
  const inside = 'relay.mail.svc';
  const secretDir = join(dirs.secretsDir, 'inside');
  const mountInside = ({ cert, key }: PairText, authority = cert) =>
    mount(secretDir, { 'tls.crt': cert, 'tls.key': key, 'ca.crt': `${authority}\n${key}` });
  mkdirSync(secretDir);
  mountPair(pair);
  mountPolicy(
    policyOf({
      listeners: [listenerAt(port, { starttls: 'Disabled', implicitTLS: true })],
      internalTls: { secret: 'inside', names: [inside] },
    }),
  );
  const started = await start();
  assert.equal(started.ready(), true, 'the pair of the host name is enough');
  assert.equal(started.status().internalCertificateProblem?.reason, 'CertificateMissing');
  const hostSerial = await serialServed();
  assert.equal(await serialServed(inside), hostSerial);

  const [first, second] = [await makePair(inside), await makePair(inside)];
  const served: string[] = [];
  for (const fresh of [first, second]) {
    mountInside(fresh);
    await eventually(async () => !served.concat(hostSerial).includes(await serialServed(inside)));
    served.push(await serialServed(inside));
    assert.equal(await serialServed(), hostSerial);
    assert.equal(await serialServed(HOSTNAME), hostSerial);
  }
  const { internalCertificate, internalCertificateProblem, internalAuthority } = started.status();
  assert.equal(internalCertificate?.serial, served[1]);
  assert.equal(internalCertificateProblem, null);
  assert.equal(
    internalAuthority?.trim(),
    second.cert.trim(),
    'certificates alone, whatever else is in ca.crt',
  );

  mountInside({ cert: first.cert, key: second.key });
  await eventually(() => started.status().internalCertificateProblem?.reason === 'KeyMismatch');
  assert.equal(started.status().internalAuthority?.trim(), second.cert.trim(), 'of what is served');
  assert.equal(await serialServed(inside), served[1]);
  mountPair(await makePair());
  await eventually(async () => (await serialServed()) !== hostSerial);
  assert.equal(await serialServed(inside), served[1]);
  assert.deepEqual(started.status().tasks, { listenerStarts: 1, routerStarts: 1 });
});

test('without a pair the relay is not ready and takes nobody in; when the pair comes it is ready', async () => {
  mountPolicy(policyWith('Enabled'));
  const started = await start();
  assert.match(started.status().notReady.join(), /no usable certificate/);
  const refused = await greeted();
  assert.doesNotMatch(await refused.command('EHLO client.example'), /STARTTLS|AUTH/);
  assert.match(await refused.command('STARTTLS'), /^454 4\.7\.0 /);
  assert.match(await refused.command('MAIL FROM:<me@example.com>'), /^451 4\.3\.2 /);
  refused.close();
  mountPair(pair);
  await eventually(() => started.ready());
  const talker = await secured();
  talker.close();
  assert.equal(started.status().tasks.listenerStarts, 1);
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
  sink = await Sink.start({ port: hop, pair: await makePair('mx.example.net') });
  const second = await start();
  await until('1 messages', () => sink.arrived.length >= 1);
  assert.match(sink.arrived[0]?.text ?? '', /Subject: kept/);
  await eventually(() => second.status().queue.depth === 0);
});

test('the last good policy serves where the mounted one is gone or broken', async () => {
  mountPair(pair);
  const good = policyWith('Required');
  mountPolicy(good);
  await (await start()).stop();
  mount(dirs.policyDir, { [POLICY_FILE_NAME]: 'broken' });
  const again = await start();
  const { hash, refused } = again.status().policy;
  assert.deepEqual([hash, refused?.message], [hashContent(good), 'the policy file is not JSON']);
});

test('a policy of an older operator, without what this version demands, changes nothing, now and after a restart', async () => {
  mountPair(pair);
  const good = policyWith('Required');
  mountPolicy(good);
  const first = await start();
  const { masqueradeDomains: _, ...inbound } = policyWith('Disabled').inbound;
  const older = JSON.stringify({ ...policyWith('Disabled'), inbound });
  mount(dirs.policyDir, { [POLICY_FILE_NAME]: older });
  await eventually(() => first.status().policy.refused !== null);
  await first.stop();
  const second = await start();
  for (const { hash, refused } of [first.status().policy, second.status().policy]) {
    assert.equal(hash, hashContent(good));
    assert.match(refused?.message ?? '', /^inbound\.masqueradeDomains: /);
  }
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
  relay = first;
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
    /^Error: Cannot lock ".*owner\.lock": the file is not one of a relay: remove it$/,
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

test('session tickets resume in every process, and no longer when their key is forgotten', async () => {
  mountPair(pair);
  mountPolicy(policyWith('Enabled'));
  const started = await start({ ticketKeyMs: 86_400_000 });
  const first = await SmtpClient.connect(port);
  await first.hello();
  await first.secure();
  const session = await first.session();
  assert.equal(await resumes(session), true);
  await started.stop();
  await start({ ticketKeyMs: 100 });
  const early = await SmtpClient.connect(port);
  await early.hello();
  await early.secure();
  const old = await early.session();
  await eventually(async () => !(await resumes(old)));
  for (const client of [first, early]) client.close();
});

async function resumes(session: Buffer): Promise<boolean> {
  const client = await SmtpClient.connect(port);
  await client.hello();
  await client.secure({ session });
  const resumed = client.tls?.isSessionReused() ?? false;
  client.close();
  return resumed;
}

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
