/**
 * The key pairs that a whole relay serves: renewed, mismatched, missing, its own, and the tickets of their sessions.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { makePair } from '#test/kit/ca.ts';
import { HOSTNAME, listenerAt, mount, policyOf } from '#test/kit/relayrig.ts';
import {
  dirs,
  greeted,
  mountPair,
  mountPolicy,
  outbound,
  pair,
  policyWith,
  port,
  secured,
  start,
} from '#test/kit/servingrelay.ts';
import { SmtpClient } from '#test/kit/smtpclient.ts';
import { eventually } from '#test/kit/wait.ts';
import type { PairText } from '../task/messages.ts';

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
