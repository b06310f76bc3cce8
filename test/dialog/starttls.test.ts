/** STARTTLS while there is no certificate: a relay as in a pod, whose Secret comes late. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { effectivePolicy } from '#crds/effective.ts';
import { POLICY_FILE_NAME, printPolicy } from '#crds/policyfile.ts';
import { makeAuthority } from '#test/kit/ca.ts';
import { endWithFile } from '#test/kit/child.ts';
import { freePort } from '#test/kit/ports.ts';
import { SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';

const LAUNCHER = new URL('../../bin/mailrelay', import.meta.url).pathname;
const dir = mkdtempSync(join(tmpdir(), 'mailrelay-test-'));
const clients: SmtpClient[] = [];
let enabled = 0;
let required = 0;
let implicit = 0;
let stop: () => Promise<void> = async () => undefined;

before(async () => {
  [enabled, required, implicit] = [await freePort(), await freePort(), await freePort()];
  const admin = String(await freePort());
  for (const name of ['policy', 'tls', 'state']) mkdirSync(join(dir, name));
  const policy = effectivePolicy(
    { name: 'late', namespace: 'default' },
    {
      hostname: 'relay.example.com',
      replicas: 1,
      tls: { secretName: 'relay-tls' },
      inbound: {
        listeners: [
          { name: 'enabled', port: enabled },
          { name: 'required', port: required, starttls: 'Required' },
          { name: 'implicit', port: implicit, implicitTLS: true },
        ],
        clients: { networks: ['127.0.0.0/8'] },
      },
    },
  );
  writeFileSync(join(dir, 'policy', POLICY_FILE_NAME), printPolicy(policy));
  const folders = ['policy', 'state'].flatMap((name) => [`--${name}`, join(dir, name)]);
  const args = ['relay', ...folders, '--certificate', join(dir, 'tls'), '--listen', '127.0.0.1'];
  const child = endWithFile(
    spawn(LAUNCHER, [...args, '--admin-port', admin, '--processes', '1', '--grace', '0'], {
      stdio: ['ignore', 'ignore', 'inherit'],
    }),
  );
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  stop = async () => {
    child.kill('SIGTERM');
    await ended;
  };
  await until('the relay to answer', async () => (await hello(enabled)) !== undefined, 60_000);
});

after(async () => {
  for (const client of clients) client.close();
  await stop();
  rmSync(dir, { recursive: true, force: true });
});

async function hello(port: number): Promise<SmtpClient> {
  const client = await SmtpClient.connect(port);
  clients.push(client);
  await client.hello();
  return client;
}

test('without a certificate STARTTLS is 454 and not offered, mail waits, and implicit TLS takes nobody in', async () => {
  const client = await hello(enabled);
  assert.doesNotMatch(await client.command('EHLO client.example'), /STARTTLS/);
  assert.match(await client.command('STARTTLS'), /^454 4\.7\.0 TLS is not available now/);
  assert.match(await client.command('MAIL FROM:<a@x.example>'), /^451 4\.3\.2/);
  const strict = await hello(required);
  assert.match(await strict.command('STARTTLS'), /^454 4\.7\.0/);
  for (const command of ['MAIL FROM:<a@x.example>', 'RCPT TO:<b@y.example>', 'DATA'])
    assert.match(await strict.command(command), /^451 4\.3\.2/);
  await assert.rejects(SmtpClient.connectTls(implicit, {}));
});

test('a certificate that comes is in force at once, in sessions that are open too', async () => {
  const open = await hello(required);
  const pair = await (await makeAuthority()).issue(['relay.example.com']);
  for (const [name, text] of [
    ['tls.key', pair.key],
    ['tls.crt', pair.cert],
  ] as const) {
    writeFileSync(join(dir, name), text);
    renameSync(join(dir, name), join(dir, 'tls', name));
  }
  await until('STARTTLS to be offered', async () =>
    (await open.command('EHLO client.example')).includes('STARTTLS'),
  );
  await open.secure({ servername: 'relay.example.com' });
  assert.match(await open.command('MAIL FROM:<a@x.example>'), /^250/);
  const direct = await SmtpClient.connectTls(implicit, {});
  clients.push(direct);
  assert.match(await direct.hello(), /^250/);
});
