/** `mailrelay run` as a newcomer lives with it: the first message, edits of the manifest, renewed certificates. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeAuthority } from '#test/kit/ca.ts';
import { storyManifest, type Wish } from '#test/kit/manifest.ts';
import { freePort } from '#test/kit/ports.ts';
import { secretOf, TestRelay } from '#test/kit/relay.ts';
import { Sink } from '#test/kit/sink.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { streamOfConnections } from '#test/kit/stream.ts';
import { until } from '#test/kit/wait.ts';

describe('mailrelay run', { concurrency: false }, () => {
  let relay: TestRelay;
  let sink: Sink;
  let nextHop = 0;
  let port = 0;

  const edit = (wish: Partial<Wish> = {}) => relay.edit(storyManifest({ port, nextHop, ...wish }));
  const hash = async () => (await relay.status()).policy.hash;

  async function inForce(change: () => void): Promise<void> {
    const before = await hash();
    change();
    await until('another policy in force', async () => (await hash()) !== before);
  }

  async function serial(): Promise<string> {
    const client = await SmtpClient.connect(port);
    await client.hello();
    await client.secure();
    const { serialNumber } = client.tls?.getPeerCertificate() ?? {};
    client.close();
    return serialNumber ?? 'none';
  }

  before(async () => {
    nextHop = await freePort();
    sink = await Sink.start({ port: nextHop });
    relay = await TestRelay.start({ manifest: ([first]) => storyManifest({ port: first, nextHop }) });
    port = relay.ports[0] ?? 0;
  });

  after(async () => {
    await relay?.remove();
    await sink?.down();
  });

  test('prints its addresses, certificate and policy, and where its health is', async () => {
    const text = relay.stdout;
    assert.match(text, new RegExp(`smtp +127\\.0\\.0\\.1:${port} +STARTTLS Enabled`));
    assert.match(text, /certificate +relay\.example\.com, localhost +until 20\d\d-/);
    assert.ok(text.includes((await hash()) ?? '?'));
    assert.match(text, new RegExp(`http://127\\.0\\.0\\.1:${relay.adminPort}/readyz`));
  });

  test('the command that it prints sends a message through it with STARTTLS', async () => {
    const line = relay.stdout.split('\n').find((text) => text.includes('bin/mailrelay send')) ?? '';
    assert.match(line, /--tls starttls/);
    const { status, stdout, stderr } = spawnSync('sh', ['-c', line], { cwd: tmpdir(), encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^250 2\.0\.0 Ok: queued as [0-9a-v]+\nTLSv1\.3 /);
    await until('the message', () => sink.arrived.length === 1);
  });

  test('Enabled to Required by an edit: in force for new sessions, old ones end in peace, the router stays', async () => {
    const { tasks: before } = await relay.status();
    const inTransaction = await SmtpClient.connect(port);
    await inTransaction.hello();
    assert.match(await inTransaction.command('MAIL FROM:<a@client.example>'), /^250/);
    const underTls = await SmtpClient.connect(port);
    await underTls.hello();
    await underTls.secure({ ca: relay.ca(), servername: 'relay.example.com' });
    const stream = await streamOfConnections(port);

    await inForce(() => edit({ starttls: 'Required' }));
    const fresh = await SmtpClient.connect(port);
    await fresh.hello();
    assert.match(
      await fresh.command('MAIL FROM:<a@client.example>'),
      /^530 5\.7\.0 Must issue a STARTTLS command first/,
    );
    await fresh.quit();

    const { oldPolicyEnds } = await until('the old sessions to be told', async () => {
      const { sessions } = await relay.status();
      return sessions.ofOldPolicy === 2 && sessions;
    });
    assert.ok(Date.parse(oldPolicyEnds ?? '') > Date.now());
    assert.match(await inTransaction.command('RCPT TO:<b@example.com>'), /^250/);
    assert.match(await inTransaction.command('DATA'), /^354/);
    assert.match(await inTransaction.command(`${messageText('old')}\r\n.`), /^250/);
    assert.match(await underTls.send('a@client.example', ['b@example.com'], messageText('old-tls')), /^250/);
    await inTransaction.quit();
    await underTls.quit();
    await until('the old sessions to end', async () => (await relay.status()).sessions.ofOldPolicy === 0);

    const { connections, failures } = await stream.stop();
    assert.deepEqual(failures, []);
    assert.ok(connections > 10, `${connections}`);
    const { tasks } = await relay.status();
    assert.deepEqual(tasks, { listenerStarts: before.listenerStarts + 1, routerStarts: before.routerStarts });
    await until('both messages', () => ['old', 'old-tls'].every((id) => sink.counts().get(id) === 1));
  });

  test('back to Disabled, STARTTLS is no longer offered', async () => {
    await inForce(() => edit({ starttls: 'Disabled' }));
    const client = await SmtpClient.connect(port);
    assert.ok(!(await client.hello()).includes('STARTTLS'));
    await client.quit();
    await inForce(() => edit());
  });

  test('a change of the outbound policy restarts the router task only', async () => {
    const { tasks: before } = await relay.status();
    await inForce(() => edit({ level: 'None' }));
    const { tasks } = await relay.status();
    assert.deepEqual(tasks, { listenerStarts: before.listenerStarts, routerStarts: before.routerStarts + 1 });
    await inForce(() => edit());
  });

  test('three renewed certificates in a row are served without any restart', async () => {
    const authority = await makeAuthority();
    const { tasks: before } = await relay.status();
    for (let round = 0; round < 3; round++) {
      const pair = await authority.issue(['relay.example.com']);
      edit({ documents: secretOf('relay-tls', pair) });
      await until('the new serial', async () => (await serial()) === pair.serial);
      assert.equal((await relay.status()).certificate?.serial, pair.serial);
    }
    assert.deepEqual((await relay.status()).tasks, before);
  });

  test('a key that does not match keeps the last good certificate in service, and says so', async () => {
    const authority = await makeAuthority();
    const [one, two] = [
      await authority.issue(['relay.example.com']),
      await authority.issue(['relay.example.com']),
    ];
    const served = await serial();
    edit({ documents: secretOf('relay-tls', { cert: one.cert, key: two.key }) });
    await until(
      'the problem',
      async () => (await relay.status()).certificateProblem?.reason === 'KeyMismatch',
    );
    assert.equal(await serial(), served);
    assert.equal((await relay.status()).ready, true);
    await relay.waitForOutput(/last good pair stays in service/);
    edit();
    await until('no problem', async () => (await relay.status()).certificateProblem === null);
  });

  test('the same manifest again does nothing, nor does what it says of pods and of a Service', async () => {
    const before = await relay.status();
    edit({ spec: 'pod: {resources: {limits: {cpu: "2"}}}\n  service: {annotations: {example.com/a: b}}' });
    await relay.status();
    await until('the next look at the files', async () => {
      const client = await SmtpClient.connect(port);
      await client.hello();
      await client.quit();
      return true;
    });
    const status = await relay.status();
    assert.deepEqual(status.tasks, before.tasks);
    assert.equal(status.policy.hash, before.policy.hash);
  });

  test('a manifest that is not valid changes nothing, and is named in one sentence', async () => {
    const before = await relay.status();
    relay.edit(storyManifest({ port, nextHop }).replace('starttls: Enabled', 'starttls: Sometimes'));
    await until('the sentence', () =>
      /not applied, nothing changed: .*spec\.inbound\.starttls: /.test(relay.stdout),
    );
    const status = await relay.status();
    assert.equal(status.policy.hash, before.policy.hash);
    assert.deepEqual(status.tasks, before.tasks);
    edit();
  });

  test('a new listener on a port that is taken is refused, and the old policy stays', async () => {
    const before = await hash();
    relay.edit(
      storyManifest({ port, nextHop }).replace(
        '}]\n    clients',
        `}, {name: other, port: ${nextHop}}]\n    clients`,
      ),
    );
    await until('the refusal', async () =>
      (await relay.status()).policy.refused?.message.includes('the port is in use'),
    );
    assert.equal(await hash(), before);
    edit();
    await until('no refusal', async () => (await relay.status()).policy.refused === null);
  });

  test('tasks that are killed are replaced, and connections wait meanwhile', async () => {
    const { tasks: before } = await relay.status();
    const [, ...children] = relay.tree();
    for (const pid of children) process.kill(pid, 'SIGKILL');
    await until('the deaths to be noticed', () => relay.stdout.split('died').length > 2);
    const client = await SmtpClient.connect(port);
    assert.match(await client.hello(), /^250/);
    assert.match(await client.send('a@client.example', ['b@example.com'], messageText('after-kill')), /^250/);
    await client.quit();
    await until('the message', () => sink.counts().get('after-kill') === 1);
    assert.ok((await relay.status()).tasks.listenerStarts > before.listenerStarts);
  });

  test('SIGTERM lets an open transaction finish, and ends with 0', async () => {
    const client = await SmtpClient.connect(port);
    await client.hello();
    assert.match(await client.command('MAIL FROM:<a@client.example>'), /^250/);
    const stopped = relay.stop();
    assert.match(await client.command('RCPT TO:<b@example.com>'), /^250/);
    assert.match(await client.command('DATA'), /^354/);
    assert.match(await client.command(`${messageText('at-the-end')}\r\n.`), /^250/);
    await client.quit();
    assert.equal(await stopped, 0);
  });

  test('a note for other commands that cannot be written is told, and the relay serves all the same', async () => {
    const note = join(relay.stateDir, 'run.json');
    rmSync(note);
    mkdirSync(note);
    await relay.up();
    assert.match(relay.stdout, /^Cannot write ".*run\.json": .*--address 127\.0\.0\.1 --admin-port \d+$/m);
    const client = await SmtpClient.connect(port);
    assert.match(await client.hello(), /^250/);
    await client.quit();
    assert.equal(await relay.stop(), 0);
  });
});
