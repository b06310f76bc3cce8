/** Plays every conversation against one real relay, and asks after each whether the relay still serves others. */
import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { basename } from 'node:path';
import { after, before, test } from 'node:test';
import { TestRelay } from '#test/kit/relay.ts';
import { SmtpClient } from '#test/kit/smtpclient.ts';
import { play, readDialog } from './dialog.ts';

const LISTENERS = ['disabled', 'enabled', 'required', 'implicit', 'login', 'normalize'] as const;

const manifest = ([disabled, enabled, required, implicit, login, normalize, nowhere]: readonly number[]) => `
apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: dialog}
spec:
  hostname: relay.example.com
  tls: {secretName: relay-tls}
  inbound:
    listeners:
      - {name: disabled, port: ${disabled}, starttls: Disabled}
      - {name: enabled, port: ${enabled}, starttls: Enabled}
      - {name: required, port: ${required}, starttls: Required}
      - {name: implicit, port: ${implicit}, implicitTLS: true}
      - {name: login, port: ${login}, starttls: Required, auth: Required}
      - {name: normalize, port: ${normalize}, lineEndings: Normalize}
    clientPolicies:
      - {networks: [127.0.0.3], starttls: Required}
      - {networks: [127.0.0.4/32], starttls: Disabled}
      - {networks: [127.0.0.6], lineEndings: Normalize}
      - {networks: [127.0.0.7], lineEndings: Strict}
    clients: {networks: [127.0.0.2, 127.0.0.3, 127.0.0.4, 127.0.0.5, 127.0.0.6, 127.0.0.7], credentialsSecretName: users}
    acceptDomains: [example.com]
    limits: {messageSize: 10k, recipients: 3, connectionsPerClient: 3}
  outbound:
    smartHosts: [{host: 127.0.0.1, port: ${nowhere}}]
`;

let relay: TestRelay;

before(async () => {
  relay = await TestRelay.start({ manifest, ports: 7 });
});

after(() => relay?.remove());

const files = globSync(new URL('conversations/*.dialog', import.meta.url).pathname).toSorted();

test('there are conversations', () => assert.ok(files.length > 20, `${files.length}`));

for (const file of files) {
  test(basename(file, '.dialog').replaceAll('-', ' '), async () => {
    const dialog = readDialog(file);
    const port = relay.ports[LISTENERS.indexOf(dialog.listener as (typeof LISTENERS)[number])] ?? 0;
    const { tasks } = await relay.status();
    await play(dialog, port, dialog.listener === 'implicit');
    const other = await SmtpClient.connect(relay.ports[1] ?? 0, '127.0.0.1', '127.0.0.5');
    assert.match(await other.hello(), /^250/);
    await other.quit();
    assert.deepEqual((await relay.status()).tasks, tasks, 'a task was restarted');
  });
}

test('the start names what client policies change', () => {
  assert.match(relay.stdout, /clients of +127\.0\.0\.3 +STARTTLS Required\n/);
  assert.match(relay.stdout, /clients of +127\.0\.0\.4\/32 +STARTTLS Disabled\n/);
});

test('the reply to STARTTLS is exactly 24 bytes', async () => {
  const client = await SmtpClient.connect(relay.ports[1] ?? 0);
  await client.hello();
  client.write('STARTTLS\r\n');
  const reply = await client.reply();
  assert.equal(`${reply}\r\n`, '220 Ready to start TLS\r\n');
  assert.equal(Buffer.byteLength(`${reply}\r\n`), 24);
  client.close();
});

test('one client gets no more connections than the limit, and another still does', async () => {
  const open = await Promise.all(
    [1, 2, 3].map(() => SmtpClient.connect(relay.ports[1] ?? 0, '127.0.0.1', '127.0.0.9')),
  );
  for (const client of open) assert.match(await client.hello(), /^250/);
  const refused = await SmtpClient.connect(relay.ports[1] ?? 0, '127.0.0.1', '127.0.0.9');
  assert.match(await refused.reply(), /^421 4\.7\.0 Too many connections/);
  const other = await SmtpClient.connect(relay.ports[1] ?? 0, '127.0.0.1', '127.0.0.10');
  assert.match(await other.hello(), /^250/);
  for (const client of [...open, refused, other]) client.close();
});
