/** The smaller verbs of the command beside a relay: a hash that lets somebody log in, the status, the trace, a pair. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { PodStatus } from '#crds/podstatus.ts';
import { CONTROL_SOCKET } from '#crds/wellknown.ts';
import { makeAuthority } from '#test/kit/ca.ts';
import { storyManifest } from '#test/kit/manifest.ts';
import { mailrelay, TestRelay } from '#test/kit/relay.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';

const LAUNCHER = new URL('../../bin/mailrelay', import.meta.url).pathname;
const PASSWORD = 'correct horse battery';

function withInput(input: string | Buffer, ...args: string[]) {
  return spawnSync(LAUNCHER, args, { input, encoding: 'utf8' });
}

describe('mailrelay hash, status, explain and trace', { concurrency: false }, () => {
  let relay: TestRelay;
  let hashed = '';
  const status = (...args: string[]) =>
    mailrelay(['status', '--admin-port', String(relay.adminPort), ...args]);

  const manifest = (ports: readonly number[]) =>
    storyManifest({ port: ports[0], nextHop: 1, documents: `---\n${hashed}` })
      .replace(
        '}]\n    clients: {',
        `}, {name: submission, port: ${ports[1]}, auth: Required}]\n    clients: {`,
      )
      .replace('networks: [127.0.0.0/8]', 'networks: [127.0.0.0/8], credentialsSecretName: relay-users')
      .replace('discover: []', 'discover: [], trustConfigMapName: roots')
      .replace('  outbound:', '  trace: {level: 3}\n  outbound:');

  before(async () => {
    const made = withInput(`${PASSWORD}\n`, 'hash', '--user', 'alice');
    assert.equal(made.status, 0, made.stderr);
    hashed = made.stdout;
    relay = await TestRelay.start({ ports: 2, manifest });
  });

  after(() => relay?.remove());

  async function logIn(password: string): Promise<string> {
    const client = await SmtpClient.connect(relay.ports[1] ?? 0);
    await client.hello();
    await client.secure({ ca: relay.ca(), servername: 'relay.example.com' });
    const said = await client.command(`AUTH PLAIN ${Buffer.from(`\0alice\0${password}`).toString('base64')}`);
    await client.quit();
    return said;
  }

  test('what the manifest names and nobody wrote is told at the start', () => {
    assert.match(
      relay.stdout,
      /^ +missing: outbound\.tls\.trustConfigMapName: ConfigMap "roots" does not exist/m,
    );
  });

  test('what hash made lets its user log in, by its password alone', async () => {
    assert.match(hashed, /^kind: Secret\n(.*\n)*stringData:\n {2}alice: SCRAM-SHA-256\$32768:/m);
    assert.ok(!hashed.includes(PASSWORD));
    assert.match(await logIn(PASSWORD), /^235/);
    assert.match(await logIn('correct horse'), /^535/);
  });

  test('hash puts a user whose name cannot be a key into the list of users', () => {
    const { stdout } = withInput(`${PASSWORD}\n`, 'hash', '--user', '..alice');
    assert.match(stdout, /^stringData:\n {2}users: .*\n? *\.\.alice:SCRAM/m);
  });

  test('send logs in, with the password from standard input', async () => {
    writeFileSync(join(relay.dir, 'ca.crt'), relay.ca());
    const send = (password: string, ...more: string[]) =>
      withInput(
        `${password}\n`,
        ...['send', '--server', `127.0.0.1:${relay.ports[1]}`, '--server-name', 'relay.example.com'],
        ...['--ca', join(relay.dir, 'ca.crt'), '--from', 'a@client.example', '--to', 'b@example.com'],
        ...['--user', 'alice', ...more],
      );
    assert.match(send(PASSWORD).stdout, /^250 2\.0\.0 Ok: queued as /);
    const wrong = send('wrong');
    assert.deepEqual([wrong.status, wrong.stdout], [1, '']);
    assert.match(wrong.stderr, /^mailrelay: The login was not taken: .*535/);
    assert.equal(send(PASSWORD, '--tls', 'none').status, 2);
  });

  test('hash takes a password from standard input only, and refuses what no client could send', () => {
    const line = withInput('secret', 'hash');
    assert.match(line.stdout, /^SCRAM-SHA-256\$32768:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+\n$/);
    for (const [input, args, code, words] of [
      ['', [], 1, 'the password is empty'],
      ['a\tb', [], 1, 'control characters'],
      ['secret', ['hunter2'], 2, 'never an argument'],
      ['secret', ['--secret', 'users'], 2, '--user'],
      ['secret', ['--user', 'alice:bob'], 2, 'without blanks and colons'],
      ['secret', ['--user', 'alice', '--secret', '_x'], 2, 'Option "--secret" cannot be "_x"'],
      ['secret', ['--user', 'alice', '--namespace', 'Bad NS'], 2, 'Option "--namespace" cannot be "Bad NS"'],
      ['secret', ['--user', 'alice', '--namespace', 'a.b'], 2, 'Option "--namespace" cannot be "a.b"'],
      [Buffer.from([0x61, 0xff, 0x62, 0x0a]), [], 1, 'not in UTF-8'],
      [
        'secret',
        ['--user', 'alice', '--sender', 'ok.example', '--sender', '*@bad.example'],
        2,
        '"*@bad.example"',
      ],
    ] as const) {
      const { status: ended, stdout, stderr } = withInput(input, 'hash', ...args);
      assert.deepEqual([ended, stdout], [code, ''], stderr);
      assert.ok(stderr.includes(words) && !stderr.includes('hunter2'), stderr);
    }
  });

  test('status tells policy, certificate, queue, and whom Required would refuse', async () => {
    const client = await SmtpClient.connect(relay.ports[0] ?? 0);
    await client.reply();
    await client.command('EHLO old-device.example');
    await client.send('a@client.example', ['b@example.com'], messageText('plain'));
    await client.quit();
    await until(
      'the plain text to be seen',
      async () => (await relay.status()).sessions.plaintext.length === 1,
    );
    await until('the queue to be seen', async () => {
      const { depth, deferrals } = (await relay.status()).queue;
      return depth === 2 && deferrals.length === 1;
    });
    const { policy, certificate } = await relay.status();
    const text = await status();
    assert.equal(text.status, 0, text.stderr);
    for (const words of [
      /^relay +0\.\d+\.\d+, ready$/m,
      new RegExp(
        `^listeners +smtp at port ${relay.ports[0]}: STARTTLS Enabled\n +submission at port ${relay.ports[1]}: STARTTLS Enabled, login Required$`,
        'm',
      ),
      /^delivers +at level Opportunistic, by smart hosts 127\.0\.0\.1:1$/m,
      new RegExp(`^policy +${policy.hash} in force$`, 'm'),
      new RegExp(`serial ${certificate?.serial}`),
      /^queue +2 messages, 0 held, the oldest for \d+[smh]\n +127\.0\.0\.1:1: 4\.4\.1 /m,
      /^missing +outbound\.tls\.trustConfigMapName: ConfigMap "roots" does not exist/m,
      /^plain text +1 client in the last 7 days; Required would have refused:\n +127\.0\.0\.0\/24 {2}old-device\.example {2}last at /m,
    ])
      assert.match(text.stdout, words);
    const json = JSON.parse((await status('-o', 'json')).stdout) as PodStatus;
    assert.equal(json.policy.hash, policy.hash);
  });

  test('status finds the relay by its state folder, as the queue tools do', async () => {
    const cwd = mkdtempSync(join(tmpdir(), 'mailrelay-cwd-'));
    const folder = join(cwd, '.state', 'default-relay');
    mkdirSync(folder, { recursive: true });
    for (const name of [CONTROL_SOCKET, 'run.json'])
      symlinkSync(join(relay.stateDir, name), join(folder, name));
    for (const args of [['status'], ['status', '--state', relay.stateDir]]) {
      const { status: ended, stdout, stderr } = await mailrelay(args, cwd);
      assert.equal(ended, 0, stderr);
      assert.match(stdout, /^policy +/m);
    }
    const none = await mailrelay(['status', '--state', join(cwd, 'none')], cwd);
    assert.deepEqual([none.status, none.stderr.includes('There is no state folder')], [1, true]);
    rmSync(cwd, { recursive: true });
  });

  test('explain --connect ends with 1 when no next hop gives a session', async () => {
    const explain = (...args: string[]) =>
      mailrelay(['explain', 'a@other.example', '-f', join(relay.dir, 'relay.yaml'), ...args]);
    const [told, tried] = [await explain(), await explain('--connect')];
    assert.deepEqual([told.status, tried.status], [0, 1], tried.stderr);
    assert.match(tried.stdout, /nothing listens|refused/);
  });

  test('trace picks its lines, and those of one session, out of the log', async () => {
    const log = join(relay.dir, 'relay.log');
    await until('the end of the session', () => /235 .*\n(.*\n)*.*session ends/.test(relay.stderr));
    writeFileSync(log, relay.stderr);
    const { stdout } = await mailrelay(['trace', '-f', log]);
    assert.ok(!stdout.includes('{"time"') && relay.stderr.includes('{"time"'));
    assert.match(stdout, /S: 220 Ready to start TLS<CRLF>\n\S+ \[\w+\] Sent 24 bytes to 127\.0\.0\.1\n/);
    assert.match(stdout, /R: AUTH PLAIN \*\*\*\*<CRLF>/);
    const session = /\[(\w+)\] \S+ session begins: submission/.exec(stdout)?.[1] ?? '';
    const one = withInput(relay.stderr, 'trace', '--session', session).stdout.trimEnd().split('\n');
    assert.ok(one.length > 10 && one.every((line) => line.includes(`[${session}]`)));
    const none = withInput(relay.stderr, 'trace', '--peer', '192.0.2.1');
    assert.deepEqual([none.stdout, none.stderr], ['', 'There is no line of such a session.\n']);
    const silent = withInput('{"event":"delivered"}\n', 'trace');
    assert.deepEqual([silent.status, silent.stdout], [0, '']);
    assert.match(silent.stderr, /^There is no line of a trace: the MailRelay turns it on, see "/);
  });

  test('cert judges a pair as the relay does', async () => {
    const authority = await makeAuthority();
    const [one, two] = [
      await authority.issue(['relay.example.com']),
      await authority.issue(['relay.example.com']),
    ];
    writeFileSync(join(relay.dir, 'tls.crt'), one.cert);
    const cert = (key: string, hostname: string) => {
      writeFileSync(join(relay.dir, 'tls.key'), key);
      const files = ['--cert', join(relay.dir, 'tls.crt'), '--key', join(relay.dir, 'tls.key')];
      return mailrelay(['cert', ...files, '--hostname', hostname]);
    };
    const good = await cert(one.key, 'relay.example.com');
    assert.equal(good.status, 0, good.stdout);
    assert.match(
      good.stdout,
      new RegExp(`^certificate +relay\\.example\\.com, until .*\\n +serial ${one.serial}`),
    );
    const other = await cert(one.key, 'other.example.com');
    assert.deepEqual([other.status, /HostnameNotCovered: /.test(other.stdout)], [1, true]);
    const mismatched = await cert(two.key, 'relay.example.com');
    assert.deepEqual([mismatched.status, /KeyMismatch: /.test(mismatched.stdout)], [1, true]);
  });

  test('cert prints the TLSA records of a certificate, without its key', async () => {
    const authority = await makeAuthority();
    const { cert } = await authority.issue(['relay.example.com', '*.example.com', 'mx.example.com']);
    const file = join(relay.dir, 'tlsa.crt');
    writeFileSync(file, cert);
    const print = (...args: string[]) => mailrelay(['cert', '--tlsa', '--cert', file, ...args]);
    const own = await print();
    assert.equal(own.status, 0, own.stderr);
    const line = (name: string) =>
      `_25\\._tcp\\.${name}\\.example\\.com\\. 3600 IN TLSA 3 1 1 [0-9a-f]{64}\\n`;
    assert.match(own.stdout, new RegExp(`^${line('relay')}${line('mx')}$`));
    const json = await print(
      '--hostname',
      'a.example',
      '--port',
      '465',
      '--port',
      '587',
      '--ttl',
      '60',
      '-o',
      'json',
    );
    const names = JSON.parse(json.stdout).map(({ name, ttl }: { name: string; ttl: number }) => [name, ttl]);
    assert.deepEqual(names, [
      ['_465._tcp.a.example', 60],
      ['_587._tcp.a.example', 60],
    ]);
    writeFileSync(file, 'no certificate');
    const bad = await print();
    assert.deepEqual([bad.status, /name tls\.crt of the Secret/.test(bad.stderr)], [1, true]);
  });
});
