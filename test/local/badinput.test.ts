/** Bad input: one clear sentence that names the field or file and the cure, status 1 (2 for usage), no stack trace. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeAuthority } from '#test/kit/ca.ts';
import { storyManifest } from '#test/kit/manifest.ts';
import { assertOneSentence } from '#test/kit/onesentence.ts';
import { freePort } from '#test/kit/ports.ts';
import { mailrelay, secretOf, TestRelay } from '#test/kit/relay.ts';

const LAUNCHER = new URL('../../bin/mailrelay', import.meta.url).pathname;

let dir = '';
let port = 0;
let admin = 0;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'mailrelay-bad-'));
  port = await freePort();
  admin = await freePort();
});

after(() => rmSync(dir, { recursive: true, force: true }));

function fileOf(name: string, text: string): string {
  const path = join(dir, name);
  writeFileSync(path, text);
  return path;
}

const good = () => storyManifest({ port, nextHop: 1 });
const run = (manifest: string, ...rest: string[]) =>
  mailrelay([
    'run',
    '-f',
    fileOf('relay.yaml', manifest),
    '--state',
    join(dir, 'state'),
    '--admin-port',
    String(admin),
    ...rest,
  ]);

test('no relay to speak to', async () => {
  const port = String(await freePort());
  assertOneSentence(
    await mailrelay(['status', '--admin-port', port]),
    1,
    'No relay answers',
    '--state DIR',
    '--admin-port PORT',
  );
  assertOneSentence(
    await mailrelay(['queue', 'list', '--state', join(dir, 'none')]),
    1,
    'no state folder',
    '--state',
  );
  assertOneSentence(await mailrelay(['queue', 'list', '--state', dir]), 1, 'No relay', '--state');
  // A relay at the usual port would be another one.
  for (const verb of ['status', 'console'])
    assertOneSentence(await mailrelay([verb, '--state', dir]), 1, 'No relay runs in the state folder', dir);
  const file = fileOf('file', '');
  for (const verb of [['queue', 'list'], ['find', 'joe'], ['status'], ['console']])
    assertOneSentence(await mailrelay([...verb, '--state', file]), 1, 'no state folder', '--state');
  const relay = await mailrelay(['relay', '--state', join(file, 'state')]);
  assertOneSentence(relay, 1, 'Cannot write', 'a part of its path is no folder');
  const sink = await mailrelay(['sink', '--port', port, '--keep', file]);
  assertOneSentence(sink, 1, 'Cannot write', 'it is a file');
  const long = join(dir, 'x'.repeat(120));
  mkdirSync(long);
  assertOneSentence(await mailrelay(['queue', 'list', '--state', long]), 1, 'too long', 'state folder');
  assertOneSentence(await mailrelay(['queue', 'remove', '--state', dir]), 2, 'which messages to remove');
});

test('a server that is no relay', async () => {
  const server = createHttpServer((_, response) => response.end('<html>\n</html>\n')).unref();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port: taken } = server.address() as { port: number };
  try {
    for (const words of [[], ['--metrics'], ['-o', 'json']])
      assertOneSentence(
        await mailrelay(['status', '--admin-port', `${taken}`, ...words]),
        1,
        'is no relay of this version',
      );
  } finally {
    server.close();
  }
});

test('standard input has one name', () => {
  for (const words of [
    ['tlsrpt', '-'],
    ['dkim', '-f', '-'],
    ['explain', 'joe@example.com', '-f', '-'],
  ]) {
    const { status, stdout, stderr } = spawnSync(LAUNCHER, words, { input: '{}', encoding: 'utf8' });
    assertOneSentence({ status: status ?? -1, stdout, stderr }, 1, 'standard input');
  }
});

test('no API server to speak to', async () => {
  const args = ['operator', '--relay-image', 'x', '--kubeconfig', join(dir, 'none')];
  assertOneSentence(await mailrelay(args), 1, '--kubeconfig', 'no such file', 'name another file');
});

test('a manifest that cannot be read, parsed or found', async () => {
  assertOneSentence(
    await mailrelay(['run', '-f', join(dir, 'nothing.yaml')]),
    1,
    'nothing.yaml',
    'no such file',
  );
  assertOneSentence(await run('a: [b\n'), 1, 'relay.yaml');
  assertOneSentence(await run('kind: Pod\n'), 1, 'no MailRelay', 'add a document');
  assertOneSentence(await run(`${good()}---\n${good()}`), 1, '2 MailRelays');
});

test('a manifest that does not validate names the field and the cure', async () => {
  assertOneSentence(
    await run(good().replace('starttls: Enabled', 'starttls: Maybe')),
    1,
    'spec.inbound.starttls',
  );
  assertOneSentence(
    await run(good().replace('tls: {secretName: relay-tls}', 'tls: {}')),
    1,
    'set spec.tls.secretName',
  );
  assertOneSentence(
    await run(good().replace('hostname: relay.example.com', 'hostname: "a b"')),
    1,
    'spec.hostname',
    'must be a host name',
  );
  assertOneSentence(
    await run(good().replace('starttls:', 'startls:')),
    1,
    'spec.inbound.startls',
    'no such field',
  );
  assertOneSentence(await run(good().replace('level: Opportunistic', 'level: Dane')), 1, 'use Verify');
});

test('a Secret that is empty, unreadable or mismatched', async () => {
  const authority = await makeAuthority();
  const [one, two] = [
    await authority.issue(['relay.example.com']),
    await authority.issue(['relay.example.com']),
  ];
  assertOneSentence(
    await run(good() + secretOf('relay-tls', { cert: '', key: '' })),
    1,
    'Secret "relay-tls"',
    'tls.crt',
  );
  assertOneSentence(
    await run(good() + secretOf('relay-tls', { cert: 'x', key: one.key })),
    1,
    'not a PEM certificate',
  );
  assertOneSentence(
    await run(good() + secretOf('relay-tls', { cert: one.cert, key: two.key })),
    1,
    'does not belong to tls.crt',
  );
});

test('a port in use, of a listener and of the health server', async () => {
  const taken = createServer().unref();
  await new Promise<void>((resolve) => taken.listen(port, '127.0.0.1', resolve));
  assertOneSentence(await run(good()), 1, '127.0.0.1', `${port}`, '"smtp"', 'in use');
  taken.close();
  const takenAdmin = createServer().unref();
  await new Promise<void>((resolve) => takenAdmin.listen(admin, '127.0.0.1', resolve));
  assertOneSentence(await run(good()), 1, `${admin}`, 'choose another port');
  takenAdmin.close();
});

test('a state folder that cannot be written', async () => {
  const file = fileOf('not-a-folder', '');
  assertOneSentence(
    await mailrelay(['run', '-f', fileOf('relay.yaml', good()), '--state', join(file, 'state')]),
    1,
    'not-a-folder',
    '--state',
  );
});

test('a state folder without permission', {
  skip: spawnSync('which', ['setpriv']).status !== 0 && 'needs setpriv',
}, () => {
  const locked = join(dir, 'locked');
  mkdirSync(locked, { mode: 0o755 });
  chmodSync(dir, 0o755);
  const launcher = new URL('../../bin/mailrelay', import.meta.url).pathname;
  const args = [
    '--reuid=65534',
    '--clear-groups',
    launcher,
    'run',
    '-f',
    fileOf('relay.yaml', good()),
    '--state',
    join(locked, 'state'),
  ];
  const { status, stdout, stderr } = spawnSync('setpriv', args, { encoding: 'utf8' });
  assertOneSentence({ status, stdout, stderr }, 1, 'no permission', '--state');
});

test('a file beside the state folders is no folder that is locked', async () => {
  const cwd = join(dir, 'beside');
  mkdirSync(join(cwd, '.state', 'sink'), { recursive: true });
  writeFileSync(join(cwd, '.state', 'notes.txt'), '');
  for (const words of [['queue', 'list'], ['find'], ['console']]) {
    const { status, stdout, stderr } = spawnSync(LAUNCHER, words, { encoding: 'utf8', cwd });
    assertOneSentence({ status, stdout, stderr }, 1, 'No relay runs here', '--state DIR');
  }
});

test('a state folder of another user is told as one, also where nobody names it', {
  skip: spawnSync('which', ['setpriv']).status !== 0 && 'needs setpriv',
}, () => {
  const cwd = join(dir, 'elsewhere');
  const folder = join(cwd, '.state');
  mkdirSync(join(folder, 'default-relay'), { recursive: true });
  chmodSync(dir, 0o755);
  for (const [locked, mode] of [
    ['.state/default-relay', 0o755],
    ['.state', 0o700],
  ] as const) {
    chmodSync(folder, mode);
    chmodSync(join(folder, 'default-relay'), 0o700);
    for (const words of [['queue', 'list'], ['find'], ['console']]) {
      const args = ['--reuid=65534', '--clear-groups', LAUNCHER, ...words];
      const { status, stdout, stderr } = spawnSync('setpriv', args, { encoding: 'utf8', cwd });
      const said = `You may not look into "${locked}": run this as the user of the relay`;
      assertOneSentence({ status, stdout, stderr }, 1, said, '--state DIR');
    }
  }
});

test('a second relay on the same state folder', async () => {
  const relay = await TestRelay.start({ manifest: ([first]) => storyManifest({ port: first, nextHop: 1 }) });
  try {
    const args = [
      'run',
      '-f',
      fileOf('relay.yaml', good()),
      '--state',
      relay.stateDir,
      '--admin-port',
      String(admin),
    ];
    assertOneSentence(await mailrelay(args), 1, relay.stateDir, 'Another relay');
  } finally {
    await relay.remove();
  }
});

test('lint names every fault, in text and as JSON, and ends with 1', async () => {
  const file = fileOf('lint.yaml', good().replace('starttls: Enabled', 'starttls: Maybe'));
  const { status, stdout } = await mailrelay(['lint', '-f', file]);
  assert.equal(status, 1);
  assert.match(stdout, /spec\.inbound\.starttls: /);
  const json = await mailrelay(['lint', '-f', file, '-o', 'json']);
  assert.equal((JSON.parse(json.stdout) as { faults: string[] }[])[0]?.faults.length, 1);
  assert.equal((await mailrelay(['lint', '-f', fileOf('fine.yaml', good())])).status, 0);
});
