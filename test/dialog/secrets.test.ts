/**
 * Canaries: a session that holds a password, a token and a message, each with a word that must never be seen again,
 * at the highest trace level, while logins and deliveries succeed and fail. The words are looked for in every form in
 * everything that the relay says.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { hashPassword } from '#crds/passwordhash.ts';
import { makeAuthority } from '#test/kit/ca.ts';
import { base64, loginByLogin, loginByScram, oauthBearer, plain, xoauth2 } from '#test/kit/sasl.ts';
import type { SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { Rig } from './rig.ts';

const PASSWORD = 'canary-password-7f3a';
const WRONG = 'canary-wrong-91bd';
const BODY = 'canary-body-c0de';
const HOP_PASSWORD = 'canary-hop-5e1f';
const ISSUER = 'https://issuer.example';
const keys = await generateKeyPair('ES256');

let rig: Rig;
let token: string;
let heard = '';

before(async () => {
  const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'one' };
  token = await new SignJWT()
    .setProtectedHeader({ alg: 'ES256', kid: 'one' })
    .setIssuer(ISSUER)
    .setAudience('mailrelay')
    .setSubject('app')
    .setExpirationTime('10m')
    .sign(keys.privateKey);
  rig = await Rig.start({
    listeners: { submission: { auth: 'Optional' }, plain: { starttls: 'Disabled' } },
    inbound: {
      clients: {
        networks: ['127.0.0.2'],
        credentialsSecretName: 'users',
        oauth: {
          issuer: ISSUER,
          audience: 'mailrelay',
          subjects: ['app'],
          keysConfigMapName: 'keys',
          acceptAsPassword: true,
        },
      },
      acceptDomains: ['y.example'],
    },
    spec: (hop) => ({
      trace: { level: 4 },
      outbound: {
        tls: { discover: [] },
        smartHosts: [{ host: '127.0.0.1', port: hop }],
        routes: [
          {
            recipientDomains: ['login.example'],
            hosts: [{ host: '127.0.0.1', port: hop, credentialsSecretName: 'hop' }],
          },
        ],
      },
    }),
    secrets: {
      users: { app: await hashPassword(PASSWORD, 4096), broken: PASSWORD },
      hop: { username: 'relay', password: HOP_PASSWORD },
    },
    configMaps: { keys: { 'jwks.json': JSON.stringify({ keys: [jwk] }) } },
    // It offers logins under TLS, and takes none.
    hop: {
      pair: await (await makeAuthority()).issue(['hop.example']),
      refuseMessage: (id) => (id === 'refused' ? 554 : undefined),
    },
  });
});

after(() => rig?.end());

/** Remembers all replies. */
function listened(client: SmtpClient): SmtpClient {
  const { reply } = client;
  client.reply = async () => {
    const text = await reply.call(client);
    heard += `${text}\n`;
    return text;
  };
  return client;
}

const secure = async (from: string) => listened(await rig.secureClient('submission', {}, from));

test('logins that succeed and fail, by every mechanism', async () => {
  const attempts: ((client: SmtpClient) => Promise<string>)[] = [
    (client) => client.command(`AUTH PLAIN ${plain('app', PASSWORD)}`),
    (client) => client.command(`auth  plain  ${plain('app', WRONG)}`),
    (client) => client.command(`AUTH PLAIN ${plain('app', PASSWORD)} ${WRONG}`),
    (client) => loginByLogin(client, 'app', PASSWORD),
    (client) => loginByLogin(client, 'app', WRONG),
    (client) => loginByScram(client, 'app', PASSWORD),
    (client) => loginByScram(client, 'broken', PASSWORD),
    (client) => client.command(`AUTH OAUTHBEARER ${oauthBearer(token)}`),
    (client) => client.command(`AUTH OAUTHBEARER ${oauthBearer(`${token}x`)}`),
    (client) => client.command(`AUTH XOAUTH2 ${xoauth2('app', token)}`),
    (client) => client.command(`AUTH PLAIN ${plain('anybody', token)}`),
    (client) => client.command(`AUTH PLAIN ${plain('anybody', `${token}x`)}`),
    (client) => loginByLogin(client, 'anybody', token),
    (client) => loginByLogin(client, 'anybody', `${token}x`),
    (client) => client.command(`AUTH XOAUTH2 ${base64(WRONG)}`),
    (client) => client.command(`AUTH CRAM-MD5 ${base64(WRONG)}`),
    (client) => client.command(`AUTH ${plain('app', PASSWORD)}`),
  ];
  await Promise.all(attempts.map(async (attempt, index) => attempt(await secure(`127.0.3.${index + 1}`))));
});

test('a client that goes on with its login after it was refused, in clear text', async () => {
  const client = listened(await rig.client('plain', '127.0.3.100'));
  client.write(`AUTH LOGIN\r\n${base64('app')}\r\n${base64(PASSWORD)}\r\n${PASSWORD}\r\n`);
  for (let n = 0; n < 4; n++) assert.match(await client.reply(), /^50/);
});

test('messages that are taken, refused by us, refused by the next hop, and broken off', async () => {
  const client = listened(await rig.client('plain', '127.0.0.2'));
  const message = (id: string) => `Subject: ${BODY}\r\nX-Test-Id: ${id}\r\n\r\n${BODY}`;
  assert.match(await client.send('a@x.example', ['b@y.example'], message('taken')), /^250/);
  assert.match(await client.send('a@x.example', ['b@y.example'], `${message('bare')}\n`), /^554/);
  assert.match(await client.send('a@x.example', ['b@y.example'], message('refused')), /^250/);
  assert.match(await client.send('a@x.example', ['b@login.example'], message('login')), /^250/);
  for (const line of ['MAIL FROM:<a@x.example>', 'RCPT TO:<b@y.example>', 'DATA']) await client.command(line);
  client.write(message('torn'));
  client.reset();
  await rig.arrived('taken');
  await until(
    'the login at the next hop',
    async () => (await rig.relay.status()).queue.loginsRefused.length > 0,
  );
});

test('none of it is in a log line, a trace, a metric, the status or a reply', async () => {
  await rig.logged({ event: 'login_failed', client: '127.0.3.5' });
  await until('the logins to be traced', () => rig.relay.stderr.includes('AUTH LOGIN'));
  const said = [
    rig.relay.stdout,
    rig.relay.stderr,
    await rig.metrics(),
    JSON.stringify(await rig.relay.status()),
    heard,
  ].join('\n');
  // The trace has seen them all.
  for (const shown of [
    'R: AUTH PLAIN ****<CRLF>',
    'R: AUTH ****<CRLF>',
    'R: ****<CRLF>',
    'S: 334 ****<CRLF>',
  ])
    assert.ok(said.includes(shown), shown);
  const [, payload = '', signature = ''] = token.split('.');
  const words = [PASSWORD, WRONG, BODY, HOP_PASSWORD, payload, signature];
  const wholes = [
    plain('app', PASSWORD),
    plain('app', WRONG),
    plain('relay', HOP_PASSWORD),
    oauthBearer(token),
    xoauth2('app', token),
  ];
  for (const word of [...words, ...words.map(base64), ...wholes])
    assert.ok(!said.includes(word), `${word} was said`);
  const decoded = said.replace(/[A-Za-z0-9+/]{12,}={0,2}/g, (text) =>
    Buffer.from(text, 'base64').toString('latin1'),
  );
  for (const word of words) assert.ok(!decoded.includes(word), `${word} was said in base64`);
});
