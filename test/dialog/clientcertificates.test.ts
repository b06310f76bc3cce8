/** Client certificates: whose authority is trusted and whose name is allowed may relay, and that counts as a login. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Authority, makeAuthority, type Pair } from '#test/kit/ca.ts';
import { CA, OpensslAuthority } from '#test/kit/opensslca.ts';
import { messageText } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { Rig } from './rig.ts';

/** ConfigMaps without a certificate, or that are not there. */
const NOBODY = ['missing', 'blank', 'other'];
const certificatesOf = (trustConfigMapName: string) => ({
  certificates: { trustConfigMapName, names: ['app.example.com', '*.Pods.example.com'] },
});

const openssl = new OpensslAuthority();
const root = openssl.issue('root', CA);
const below = openssl.issue('below', CA, root);
let trusted: Authority;
let publicOne: Authority;
let rig: Rig;
const dir = mkdtempSync(join(tmpdir(), 'mailrelay-roots-'));

before(async () => {
  trusted = await makeAuthority('clients CA');
  publicOne = await makeAuthority('a public CA');
  writeFileSync(join(dir, 'roots.pem'), publicOne.cert);
  rig = await Rig.start({
    listeners: {
      smtp: {},
      submissions: { implicitTLS: true, auth: 'Required' },
      unasked: { clients: {} },
      below: { clients: certificatesOf('below-ca') },
      ...Object.fromEntries(NOBODY.map((name) => [name, { clients: certificatesOf(name) }])),
    },
    inbound: {
      clients: certificatesOf('clients-ca'),
      limits: { messagesPerLoginPerMinute: 20 },
    },
    configMaps: {
      'clients-ca': { 'ca.crt': trusted.cert },
      'below-ca': { 'ca.crt': below.cert },
      blank: { 'ca.crt': '' },
      other: { 'ca.crt': 'text' },
    },
    env: { NODE_EXTRA_CA_CERTS: join(dir, 'roots.pem') },
  });
});

after(async () => {
  await rig?.end();
  rmSync(dir, { recursive: true });
  openssl.remove();
});

async function recipientReply(
  listener: string,
  names: readonly string[],
  authority: Pick<Authority, 'issue'> = trusted,
) {
  const client = await rig.secureClient(listener, { pair: await authority.issue(names) });
  await client.command('MAIL FROM:<a@x.example>');
  return client.command('RCPT TO:<b@y.example>');
}

test('an allowed name of the trusted authority may relay, exactly or by its pattern', async () => {
  const client = await rig.secureClient('smtp', { pair: await trusted.issue(['APP.example.com']) });
  assert.match(await client.send('a@x.example', ['b@y.example'], messageText('certificate')), /^250/);
  // No AUTH was said (RFC 3848).
  assert.match((await rig.arrived('certificate')).text, /with ESMTPS id /);
  assert.match(await recipientReply('smtp', ['other.example', 'one.pods.example.com']), /^250/);
});

test('another name, another authority, an expired certificate or none may not', async () => {
  const denied = /^550 5\.7\.1 Relaying denied/;
  assert.match(await recipientReply('smtp', ['other.example.com']), denied);
  assert.match(await recipientReply('smtp', ['a.b.pods.example.com']), denied);
  for (const name of ['another CA', 'clients CA'])
    assert.match(await recipientReply('smtp', ['app.example.com'], await makeAuthority(name)), denied);
  const expired = await trusted.issue(['app.example.com'], { from: -20, until: -10 });
  const late = await rig.secureClient('smtp', { pair: expired });
  await late.command('MAIL FROM:<a@x.example>');
  assert.match(await late.command('RCPT TO:<b@y.example>'), denied);
  const none = await rig.secureClient('smtp');
  await none.command('MAIL FROM:<a@x.example>');
  assert.match(await none.command('RCPT TO:<b@y.example>'), denied);
});

test('an intermediate authority is enough, and trusts only what it signed', async () => {
  const issueBy = (by: Pair) => ({
    issue: async ([name = '']: readonly string[]) => openssl.issue(name, [`subjectAltName=DNS:${name}`], by),
  });
  assert.match(await recipientReply('below', ['app.example.com'], issueBy(below)), /^250/);
  assert.match(await recipientReply('below', ['app.example.com'], issueBy(root)), /^550 5\.7\.1/);
});

test('where a login is required, the certificate is one, and nothing else is offered', async () => {
  const pair = await trusted.issue(['app.example.com']);
  const client = await rig.tlsClient('submissions', { pair });
  assert.doesNotMatch(await client.command('EHLO client.example'), /AUTH/);
  assert.match(await client.send('a@x.example', ['b@y.example'], messageText('required')), /^250/);
  const none = await rig.tlsClient('submissions');
  assert.match(await none.command('MAIL FROM:<a@x.example>'), /^530 5\.7\.0 Authentication required/);
});

test('the messages of a certificate are counted as those of a login', async () => {
  const client = await rig.secureClient('smtp', { pair: await trusted.issue(['many.pods.example.com']) });
  // A minute may turn meanwhile.
  const replies: string[] = [];
  for (let n = 0; n < 42; n++) {
    replies.push(await client.command('MAIL FROM:<a@x.example>'));
    await client.command('RSET');
  }
  assert.ok(
    replies.some((reply) => /^450 4\.7\.1 Too many messages of this login/.test(reply)),
    replies.join(),
  );
  assert.match(await recipientReply('smtp', ['few.pods.example.com']), /^250/);
});

test('a listener that trusts no certificates asks for none, and takes none', async () => {
  assert.match(await recipientReply('unasked', ['app.example.com']), /^550 5\.7\.1/);
});

test('a resumed session is who its certificate said', async () => {
  const pair = await trusted.issue(['app.example.com']);
  const first = await rig.secureClient('smtp', { pair });
  const session = await first.session();
  const resumed = await rig.secureClient('smtp', { session });
  assert.equal(resumed.tls?.isSessionReused(), true);
  await resumed.command('MAIL FROM:<a@x.example>');
  assert.match(await resumed.command('RCPT TO:<b@y.example>'), /^250/);
});

test('a session that is resumed proves nobody when its certificate has expired', async () => {
  const endsAt = Date.now() + 3_000;
  const pair = await trusted.issue(['app.example.com'], { until: 3_000 / 86_400_000 });
  const session = await (await rig.secureClient('smtp', { pair })).session();
  await until('the certificate to expire', () => Date.now() > endsAt + 1_000);
  const resumed = await rig.secureClient('smtp', { session });
  assert.equal(resumed.tls?.isSessionReused(), true);
  await resumed.command('MAIL FROM:<a@x.example>');
  assert.match(await resumed.command('RCPT TO:<b@y.example>'), /^550 5\.7\.1 Relaying denied/);
});

test('a ConfigMap without an authority trusts nobody, the public roots neither', async () => {
  for (const listener of ['smtp', ...NOBODY])
    assert.match(await recipientReply(listener, ['app.example.com'], publicOne), /^550 5\.7\.1/, listener);
});
