/** The clients that postmasters have at hand, through a relay that requires STARTTLS. */
import assert from 'node:assert/strict';
import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { endWithFile } from '#test/kit/child.ts';
import { installProblem } from '#test/kit/debian.ts';
import { storyManifest } from '#test/kit/manifest.ts';
import { bytesOf, hardMessage } from '#test/kit/peer.ts';
import { freePort } from '#test/kit/ports.ts';
import { TestRelay } from '#test/kit/relay.ts';
import { Sink } from '#test/kit/sink.ts';
import { SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';

const FROM = 'a@client.example';
const TO = 'b@example.com';

describe('clients', { concurrency: false }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'mailrelay-clients-'));
  const ca = join(dir, 'ca.crt');
  let relay: TestRelay;
  let sink: Sink;
  let port = 0;

  before(async () => {
    const nextHop = await freePort();
    sink = await Sink.start({ port: nextHop });
    relay = await TestRelay.start({
      manifest: ([first]) => storyManifest({ port: first, nextHop, starttls: 'Required' }),
    });
    port = relay.ports[0] ?? 0;
    writeFileSync(ca, relay.ca());
  });

  after(async () => {
    await relay?.remove();
    await sink?.down();
    rmSync(dir, { recursive: true, force: true });
  });

  /** What arrived is what was sent, below our own header field. */
  async function arrives(id: string, text: string): Promise<void> {
    const arrived = await until(`message ${id}`, () => sink.arrived.find((one) => one.id === id));
    assert.ok(arrived.text.endsWith(bytesOf(`${text}\r\n`)), arrived.text);
  }

  function sClient(...args: string[]): SpawnSyncReturns<string> {
    const connect = ['s_client', '-starttls', 'smtp', '-connect', `127.0.0.1:${port}`];
    return spawnSync('openssl', [...connect, ...args], { input: 'QUIT\n', encoding: 'utf8' });
  }

  test('openssl s_client -starttls smtp verifies chain and name', () => {
    const verify = (name: string) =>
      sClient('-CAfile', ca, '-verify_hostname', name, '-verify_return_error').stdout;
    assert.match(verify('relay.example.com'), /Verify return code: 0 \(ok\)/);
    assert.doesNotMatch(verify('other.example'), /Verify return code: 0 \(ok\)/);
  });

  test('openssl s_client refuses to speak TLS 1.1 with us, and we with it', () => {
    const { stdout, status } = sClient('-tls1_1', '-cipher', 'ALL:@SECLEVEL=0');
    assert.notEqual(status, 0);
    assert.match(stdout, /Cipher is \(NONE\)/);
  });

  test('openssl s_client sends', async () => {
    const text = hardMessage('s_client');
    const connect = ['-connect', `127.0.0.1:${port}`, '-CAfile', ca, '-verify_return_error'];
    const child = endWithFile(
      spawn('openssl', ['s_client', '-starttls', 'smtp', '-quiet', ...connect], {
        stdio: ['pipe', 'pipe', 'ignore'],
      }),
    );
    let heard = '';
    child.stdout.on('data', (chunk) => {
      heard += chunk;
    });
    const steps: [string, RegExp][] = [
      // Its own EHLO was in plain text; the end of that reply is the first that it shows.
      ['EHLO client.example', /^250 /m],
      [`MAIL FROM:<${FROM}>`, /^250 /m],
      [`RCPT TO:<${TO}>`, /^250 /m],
      ['DATA', /^354/m],
      [`${text.replaceAll(/^\./gm, '..')}\r\n.`, /^250 /m],
      ['QUIT', /^221/m],
    ];
    for (const [line, reply] of steps) {
      heard = '';
      child.stdin.write(`${line}\r\n`);
      await until(`the reply to ${line}`, () => reply.test(heard));
    }
    child.kill();
    await arrives('s_client', text);
  });

  test('swaks sends with STARTTLS, and is refused without', { skip: swaksProblem() }, async () => {
    const server = ['--server', `127.0.0.1:${port}`];
    const args = [...server, '--to', TO, '--from', FROM, '--header', 'X-Test-Id: swaks'];
    const verified = ['--tls', '--tls-verify', '--tls-ca-path', ca];
    const sent = spawnSync('swaks', [...args, ...verified, '--body', 'Hello.'], { encoding: 'utf8' });
    assert.equal(sent.status, 0, sent.stdout);
    assert.match(sent.stdout, /250 2\.0\.0 Ok: queued/);
    await arrives('swaks', '\r\n\r\nHello.\r\n\r\n');
    const refused = spawnSync('swaks', args, { encoding: 'utf8' });
    assert.match(refused.stdout, /530 5\.7\.0 Must issue a STARTTLS command first/);
  });

  test("Python's smtplib verifies and sends, and is refused without STARTTLS", async () => {
    const program = `
import smtplib, ssl, sys
port, ca, text = int(sys.argv[1]), sys.argv[2], sys.argv[3].encode()
with smtplib.SMTP('localhost', port) as plain:
    try:
        plain.sendmail('${FROM}', ['${TO}'], text)
        sys.exit('sent in plain text')
    except smtplib.SMTPSenderRefused as refusal:
        print(refusal.smtp_code)
with smtplib.SMTP('localhost', port) as client:
    client.starttls(context=ssl.create_default_context(cafile=ca))
    client.sendmail('${FROM}', ['${TO}'], text)
`;
    const text = hardMessage('smtplib');
    const { status, stdout, stderr } = spawnSync('python3', ['-c', program, String(port), ca, text], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
    assert.equal(stdout, '530\n');
    await arrives('smtplib', text);
  });

  test('the OpenSSL of the pinned Node agrees with us on the hybrid of X25519 and ML-KEM-768', async () => {
    const client = await SmtpClient.connect(port);
    await client.hello();
    await client.secure({ ca: relay.ca(), servername: 'relay.example.com' });
    const group = client.tls?.getEphemeralKeyInfo();
    await client.quit();
    assert.deepEqual(group, { type: 'TLSGroup', name: 'X25519MLKEM768', size: undefined });
  });
});

function swaksProblem(): string | undefined {
  const works = () =>
    existsSync('/usr/bin/swaks') && spawnSync('perl', ['-MNet::SSLeay', '-e', '1']).status === 0;
  return installProblem(works, 'swaks', 'libnet-ssleay-perl');
}
