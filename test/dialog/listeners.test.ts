/** Listeners and client policies: what each port offers, takes and refuses, and to whom. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { messageText } from '#test/kit/smtpclient.ts';
import { Rig } from './rig.ts';

const OLD = '127.0.0.5';
const MODERN = '127.0.0.6';
const PARTNER = '127.0.0.7';
const PLAIN = '127.0.0.8';

let rig: Rig;

before(async () => {
  rig = await Rig.start({
    listeners: {
      smtp: {},
      off: { enabled: false },
      plain: { starttls: 'Disabled' },
      required: { starttls: 'Required' },
      closed: { clients: { networks: ['192.0.2.0/24'] } },
      submissions: { implicitTLS: true },
      optional: { auth: 'Optional' },
      login: { auth: 'Required', starttls: 'Required' },
    },
    inbound: {
      clients: { networks: ['127.0.0.0/8'], credentialsSecretName: 'users' },
      clientPolicies: [
        { networks: [OLD], minVersion: 'TLSv1' },
        { networks: [MODERN], minVersion: 'TLSv1.3' },
        { networks: [PARTNER], starttls: 'Required' },
        { networks: [PLAIN], starttls: 'Disabled' },
        { networks: [PLAIN], starttls: 'Required' },
      ],
    },
    secrets: { users: {} },
  });
});

after(() => rig?.end());

test('a listener that is not enabled is not served', async () => {
  await assert.rejects(rig.connect('off'), /ECONNREFUSED/);
});

test('the listeners take mail as they say, and it arrives', async () => {
  const plain = await rig.client('plain', '127.0.0.9');
  const plainOffer = await plain.command('EHLO client.example');
  assert.doesNotMatch(plainOffer, /STARTTLS|AUTH/);
  assert.match(await plain.send('a@x.example', ['b@y.example'], messageText('plain')), /^250 2\.0\.0 /);
  const verified = { ca: rig.relay.ca(), servername: 'relay.example.com' };
  const implicit = await rig.tlsClient('submissions', verified);
  assert.doesNotMatch(await implicit.command('EHLO client.example'), /STARTTLS|AUTH/);
  assert.match(await implicit.command('STARTTLS'), /^50/);
  assert.match(await implicit.send('a@x.example', ['b@y.example'], messageText('implicit')), /^250/);
  await Promise.all([rig.arrived('plain'), rig.arrived('implicit')]);
});

test('a listener with clients of its own does not know those of the relay', async () => {
  const client = await rig.client('closed');
  await client.command('MAIL FROM:<a@x.example>');
  assert.match(await client.command('RCPT TO:<b@y.example>'), /^550 5\.7\.1 Relaying denied/);
});

test('auth: Disabled, Optional and Required', async () => {
  const disabled = await rig.secureClient('smtp');
  assert.doesNotMatch(await disabled.command('EHLO client.example'), /AUTH/);
  assert.match(await disabled.command('AUTH PLAIN AGEAYg=='), /^502 5\.5\.1/);
  const optional = await rig.secureClient('optional');
  assert.match(await optional.command('EHLO client.example'), /AUTH PLAIN LOGIN SCRAM-SHA-256\n/);
  assert.match(await optional.command('MAIL FROM:<a@x.example>'), /^250/);
  // A trusted network is no login.
  const required = await rig.secureClient('login');
  assert.match(await required.command('MAIL FROM:<a@x.example>'), /^530 5\.7\.0 Authentication required/);
});

test('a client policy raises or lowers STARTTLS for its networks, and the first that matches wins', async () => {
  const partner = await rig.client('smtp', PARTNER);
  assert.match(await partner.command('MAIL FROM:<a@x.example>'), /^530 5\.7\.0 Must issue a STARTTLS/);
  await partner.secure();
  assert.match(await partner.command('MAIL FROM:<a@x.example>'), /^250/);
  const plain = await rig.client('required', PLAIN);
  assert.doesNotMatch(await plain.command('EHLO client.example'), /STARTTLS/);
  assert.match(await plain.command('STARTTLS'), /^502 5\.5\.1/);
  assert.match(await plain.command('MAIL FROM:<a@x.example>'), /^250/);
});

test('a client policy never weakens a listener where clients must log in, nor one with implicit TLS', async () => {
  const client = await rig.client('login', PLAIN);
  assert.match(await client.command('MAIL FROM:<a@x.example>'), /^530 5\.7\.0 Must issue a STARTTLS/);
  await assert.rejects(rig.secureClient('login', { maxVersion: 'TLSv1.1' }, OLD));
  await assert.rejects(rig.tlsClient('submissions', { maxVersion: 'TLSv1.1' }, OLD));
});

test('a TLS floor for old devices, and a higher one for others', async () => {
  for (const maxVersion of ['TLSv1', 'TLSv1.1'] as const) {
    const old = await rig.secureClient('smtp', { maxVersion }, OLD);
    assert.equal(old.tls?.getProtocol(), maxVersion);
    assert.match(await old.send('a@x.example', ['b@y.example'], messageText(maxVersion)), /^250/);
    assert.match((await rig.arrived(maxVersion)).text, new RegExp(`using ${maxVersion} with cipher`));
  }
  await assert.rejects(rig.secureClient('smtp', { maxVersion: 'TLSv1.1' }));
  await assert.rejects(rig.secureClient('smtp', { maxVersion: 'TLSv1.2' }, MODERN));
  const modern = await rig.secureClient('smtp', {}, MODERN);
  assert.equal(modern.tls?.getProtocol(), 'TLSv1.3');
});

test('sessions are counted by listener, TLS by version, cipher and group, plain text by itself', async () => {
  const client = await rig.secureClient('required', {}, '127.0.0.9');
  const { name } = client.tls?.getCipher() ?? {};
  await rig.metric(
    `mailrelay_tls_sessions_total{listener="required",version="TLSv1.3",cipher="${name}",group="X25519MLKEM768"} 1`,
  );
  await rig.metric('mailrelay_plaintext_sessions_total{listener="plain"} 1');
  await rig.metric('mailrelay_sessions_total{listener="closed"} 1');
  await rig.relay.waitForMetrics(/^mailrelay_refusals_total\{reason="starttls_required"\} [1-9]/m);
});
