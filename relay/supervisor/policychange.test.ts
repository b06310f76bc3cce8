/** A policy that changes, or cannot be taken, while a whole relay serves: sessions and mail go on. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { hashContent, POLICY_FILE_NAME, type Policy } from '#crds/policyfile.ts';
import { beforeReads } from '#test/kit/beforereads.ts';
import { freePort } from '#test/kit/ports.ts';
import { hopTo, listenerAt, mount, policyOf } from '#test/kit/relayrig.ts';
import {
  dirs,
  greeted,
  mountPair,
  mountPolicy,
  outbound,
  pair,
  policyWith,
  port,
  SENT,
  secured,
  send,
  sink,
  start,
} from '#test/kit/servingrelay.ts';
import { Sink } from '#test/kit/sink.ts';
import { SmtpClient } from '#test/kit/smtpclient.ts';
import { eventually, until } from '#test/kit/wait.ts';

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

test('where the system has no means to read what is mounted, all stays as it is, and the log and soon the status say so', async (t) => {
  mountPair(pair);
  const good = policyWith('Enabled');
  mountPolicy(good);
  const started = await start();
  mountPolicy(policyWith('Required'));
  let lacks = true;
  beforeReads(t, (path) => {
    if (lacks && path.startsWith(dirs.certificateDir))
      throw Object.assign(new Error('EMFILE'), { code: 'EMFILE' });
  });
  await started.reload();
  const soon = started.status();
  assert.deepEqual([soon.policy.hash, soon.policy.refused], [hashContent(good), null]);
  for (let look = 0; look < 5; look++) await started.reload();
  const { policy, certificateProblem } = started.status();
  assert.deepEqual([policy.hash, certificateProblem], [hashContent(good), null]);
  const message = /^Cannot read ".*tls\.crt": too many files are open$/;
  assert.match(policy.refused?.message ?? '', message);
  assert.equal(readFileSync(join(dirs.root, 'log'), 'utf8').split('"inputs_not_read"').length, 2);
  lacks = false;
  await started.reload();
  assert.equal(started.status().policy.refused, null);
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
