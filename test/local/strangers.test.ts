/** What strangers write, printed by the command: manifests, names of files, replies of servers. No terminal and no CI obeys it. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { visibleLines } from '#crds/visible.ts';
import { type Ended, mailrelay } from '#test/kit/relay.ts';

const dir = mkdtempSync(join(tmpdir(), 'mailrelay-strangers-'));
after(() => rmSync(dir, { recursive: true }));

const EVIL = '\u001b]0;x\u0007\u009b31m\u202e';

function assertHarmless({ stdout, stderr }: Ended, lines: number): void {
  const said = stdout + stderr;
  assert.equal(said, visibleLines(said));
  assert.equal(said.trimEnd().split('\n').length, lines, said);
  assert.doesNotMatch(said, /^::/m);
}

test('a fault of a manifest is one line, whatever stands in it', async () => {
  const spec = {
    hostname: `relay.example.com${EVIL}\n::error::owned`,
    [`x${EVIL}\n::error::owned`]: 1,
    inbound: { listeners: [{ name: 'smtp', port: 25 }] },
  };
  const file = join(dir, `a\n::error::${EVIL}.yaml`);
  const relay = { apiVersion: 'mailrelay.dev/v1alpha1', kind: 'MailRelay', metadata: { name: 'a' }, spec };
  // In JSON, which is YAML, all of them can stand.
  writeFileSync(file, JSON.stringify(relay).replaceAll('\u009b', '\\u009b'));
  for (const path of [file, dir]) {
    const { status, ...text } = await mailrelay(['lint', path]);
    assert.equal(status, 1);
    assertHarmless({ status, ...text }, 3);
  }
  assertHarmless(await mailrelay(['dkim', '-f', file]), 3);
  assertHarmless(await mailrelay(['lint', `${file}\n::error::`]), 1);
  const json = (await mailrelay(['lint', file, '-o', 'json'])).stdout;
  assert.equal(json, visibleLines(json));
  assert.equal((JSON.parse(json) as { file: string }[])[0]?.file, file);
});

test('what a person has pasted is told without what hides in it', async () => {
  for (const words of [
    ['explain', `Word${EVIL}`],
    [`verb${EVIL}`],
    ['find', `a b${EVIL}`],
    ['queue', 'list', '--state', join(dir, EVIL)],
    ['tlsrpt', join(dir, EVIL)],
  ])
    assertHarmless(await mailrelay(words), 1);
});

test('a key whose file has an end of a line in its name stays in the comment of the record', async () => {
  const { stdout } = await mailrelay([
    ...['dkim', '--domain', 'example.com', '--selector', 's1', '--type', 'ed25519'],
    ...['--key', join(dir, `k\nevil.example. 60 IN TXT "x"${EVIL}`)],
  ]);
  const lines = stdout.trimEnd().split('\n');
  assert.ok(lines.slice(0, -1).every((line) => line.startsWith('; ')));
  assert.equal(stdout, visibleLines(stdout));
});

/** Answers each command with a text that no terminal should get. */
async function startServer(code: number) {
  const answer = (socket: Socket) => {
    socket.on('error', () => undefined);
    socket.write(`${code} hello ${EVIL}\r\n`);
    createInterface({ input: socket }).on('line', (line) => {
      const [verb = ''] = line.split(' ');
      const isRefused = line.includes('gone@');
      socket.write(
        `${isRefused ? 550 : verb === 'DATA' ? 354 : verb === 'QUIT' ? 221 : 250} said ${EVIL}\r\n`,
      );
    });
  };
  const server = createServer(answer).unref();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return { server, address: `127.0.0.1:${port}` };
}

test('send prints no reply of a server as it is', async () => {
  for (const [code, lines] of [
    [220, 3],
    [554, 1],
  ] as const) {
    const { server, address } = await startServer(code);
    const words = [
      'send',
      '--server',
      address,
      '--tls',
      'none',
      '--from',
      'a@x.example',
      '--to',
      'b@x.example',
    ];
    assertHarmless(await mailrelay([...words, '--to', 'gone@x.example']), lines);
    server.close();
  }
});
