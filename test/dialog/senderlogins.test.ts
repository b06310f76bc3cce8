/** Who may send as whom: by password, by token and by certificate, in the envelope and in the header. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { hashPassword } from '#crds/passwordhash.ts';
import { SECTION_BYTES } from '#relay/headers/section.ts';
import { type Authority, makeAuthority } from '#test/kit/ca.ts';
import { loginByLogin, loginByScram, plain, xoauth2 } from '#test/kit/sasl.ts';
import type { SmtpClient } from '#test/kit/smtpclient.ts';
import { Rig } from './rig.ts';

const ISSUER = 'https://issuer.example';
const keys = await generateKeyPair('ES256');
const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'one' };
const tokenOf = (subject: string) =>
  new SignJWT({ claim: 'x'.repeat(2_000) })
    .setProtectedHeader({ alg: 'ES256', kid: 'one' })
    .setIssuer(ISSUER)
    .setAudience('smtp')
    .setSubject(subject)
    .setExpirationTime('10m')
    .sign(keys.privateKey);

const subjects = ['system:serviceaccount:*'];
let authority: Authority;

async function rigWith(mode: 'Durable' | 'CutThrough'): Promise<Rig> {
  const hash = await hashPassword('secret', 4096);
  return Rig.start({
    listeners: { submission: { auth: 'Optional' } },
    inbound: {
      clients: {
        networks: ['127.0.0.9'],
        credentialsSecretName: 'users',
        certificates: { trustConfigMapName: 'clients-ca', names: ['*.jobs.example'] },
        oauth: {
          issuer: ISSUER,
          audience: 'smtp',
          subjects,
          keysConfigMapName: 'keys',
          acceptAsPassword: true,
        },
        senderLogins: [
          { logins: ['system:serviceaccount:shop:*'], senders: ['shop.example'] },
          { certificateNames: ['app.jobs.example'], senders: ['app@jobs.example'] },
        ],
      },
      acceptDomains: ['y.example'],
    },
    spec: (hop) => ({
      queue: { mode },
      outbound: { tls: { discover: [] }, smartHosts: [{ host: '127.0.0.1', port: hop }] },
      addresses: { sender: { entries: [{ address: 'alice@x.example', to: 'ceo@x.example' }] } },
    }),
    secrets: { users: { alice: `${hash} alice@x.example, a@relay.example.com`, free: hash } },
    configMaps: {
      keys: { 'jwks.json': JSON.stringify({ keys: [jwk] }) },
      'clients-ca': { 'ca.crt': authority.cert },
    },
  });
}

before(async () => {
  authority = await makeAuthority('clients CA');
});

for (const mode of ['Durable', 'CutThrough'] as const)
  describe(mode, () => {
    let rig: Rig;
    before(async () => {
      rig = await rigWith(mode);
    });
    after(() => rig?.end());

    async function alice(): Promise<SmtpClient> {
      const client = await rig.secureClient('submission');
      assert.match(await client.command(`AUTH PLAIN ${plain('alice', 'secret')}`), /^235/);
      return client;
    }
    const send = (client: SmtpClient, id: string, from: string, header: string, to = 'b@z.example') =>
      client.send(from, [to], `${header}\r\nX-Test-Id: ${id}\r\n\r\nbody`);

    test('what the client wrote counts, and is rewritten after that', async () => {
      const client = await alice();
      assert.match(await send(client, 'own', 'alice@x.example', 'From: A <alice@x.example>'), /^250/);
      const { from, text } = await rig.arrived('own');
      assert.equal(from, 'ceo@x.example');
      assert.match(text, /^From: A <ceo@x\.example>\r$/m);
      assert.match(
        await send(client, 'result', 'alice@x.example', 'From: ceo@x.example'),
        /^553 5\.7\.1 Sender refused: From address <ceo@x\.example> is not one of login "alice"$/,
      );
      // Without a domain it is an address of the relay.
      assert.match(await send(client, 'short', 'a', 'From: alice@x.example'), /^250/);
    });

    test('the envelope: 553 at MAIL, for accepted domains too, and the session goes on', async () => {
      const client = await alice();
      assert.equal(
        await client.command('MAIL FROM:<bob@x.example>'),
        '553 5.7.1 Sender refused: sender <bob@x.example> is not one of login "alice"',
      );
      assert.match(await client.command('MAIL FROM:<b>'), /^553 5\.7\.1 .*<b@relay\.example\.com>/);
      assert.match(await send(client, 'null', '', 'From: alice@x.example', 'b@y.example'), /^250/);
      const cure = rig.logged({ event: 'refused', rule: 'sender_login_mismatch', login: 'alice' });
      assert.match(String((await cure)['cure']), /clients\.senderLogins/);
    });

    test('the header: a foreign, a doubtful or no From is refused, and nothing of it arrives', async () => {
      const client = await alice();
      const long = `X-Long: ${'x'.repeat(900)}\r\n`.repeat(SECTION_BYTES / 900 + 1);
      const headers = [
        'From: bob@x.example',
        'From: alice@x.example, bob@x.example',
        'From: alice@x.example\r\nSender: bob@x.example',
        'From: alice@x.example\r\nFrom: bob@x.example',
        'From: Team: alice@x.example;',
        'From: =?utf-8?q?bob=40x.example?=@x.example',
        'Subject: none',
        ' From: alice@x.example',
        'no field\r\nFrom: alice@x.example',
        `${long}From: alice@x.example`,
      ];
      for (const [index, header] of headers.entries())
        assert.match(
          await send(client, `bad${index}`, 'alice@x.example', header),
          /^553 5\.7\.1 .*"alice"/,
          header.slice(0, 80),
        );
      assert.match(await send(client, 'good', 'alice@x.example', 'From: alice@x.example'), /^250/);
      await rig.arrived('good');
      assert.deepEqual(
        rig.hop.arrived.filter(({ id }) => id?.startsWith('bad')),
        [],
      );
      // Three more are in the tests before.
      await rig.metric(`mailrelay_refusals_total{reason="sender_login_mismatch"} ${headers.length + 3}`);
    });

    test('a login that nothing is said of may use any sender, and so may a trusted network', async () => {
      const client = await rig.secureClient('submission');
      assert.match(await loginByScram(client, 'free', 'secret'), /^235/);
      assert.match(await send(client, 'free', 'any@any.example', 'Subject: none'), /^250/);
      const ours = await rig.client('submission', '127.0.0.9');
      assert.match(await send(ours, 'net', 'any@any.example', 'From: x@any.example'), /^250/);
    });

    test('a ServiceAccount, by a token as its password too', async () => {
      const shop = await tokenOf('system:serviceaccount:shop:mailer');
      const ways: ((client: SmtpClient) => Promise<string>)[] = [
        (client) => client.command(`AUTH PLAIN ${plain('anybody', shop)}`),
        (client) => loginByLogin(client, 'anybody', shop),
        (client) => client.command(`AUTH XOAUTH2 ${xoauth2('anybody', shop)}`),
      ];
      for (const [index, logIn] of ways.entries()) {
        const client = await rig.secureClient('submission');
        assert.match(await logIn(client), /^235/);
        assert.match(await send(client, `shop${index}`, 'a@shop.example', 'From: b@shop.example'), /^250/);
        assert.match(
          await client.command('MAIL FROM:<a@x.example>'),
          /^553 5\.7\.1 .*login "system:serviceaccount:shop:mailer"$/,
        );
      }
      const other = await rig.secureClient('submission');
      const token = await tokenOf('system:serviceaccount:other:mailer');
      assert.match(await other.command(`AUTH PLAIN ${plain('', token)}`), /^235/);
      assert.match(await send(other, 'other', 'a@any.example', 'From: b@any.example'), /^250/);
    });

    test('a certificate by its name', async () => {
      const pair = await authority.issue(['app.jobs.example']);
      const client = await rig.secureClient('submission', { pair });
      assert.match(await send(client, 'cert', 'app@jobs.example', 'From: app@jobs.example'), /^250/);
      assert.match(
        await send(client, 'cert2', 'app@jobs.example', 'From: x@jobs.example'),
        /^553 5\.7\.1 .*certificate "app\.jobs\.example"$/,
      );
    });
  });

test('the senders of a login are those of the time of the login', async () => {
  const rig = await rigWith('Durable');
  try {
    const client = await rig.secureClient('submission');
    assert.match(await client.command(`AUTH PLAIN ${plain('alice', 'secret')}`), /^235/);
    await rig.edit({
      listeners: { submission: { auth: 'Optional' } },
      inbound: { clients: { credentialsSecretName: 'users' } },
      secrets: { users: {} },
    });
    assert.match(await client.command('MAIL FROM:<bob@x.example>'), /^(553|421)/);
  } finally {
    await rig.end();
  }
});
