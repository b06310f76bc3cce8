/** Logins by token: a real issuer with discovery over HTTPS, and keys from a mounted file. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { base64url, exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose';
import { makeAuthority } from '#test/kit/ca.ts';
import { base64, oauthBearer, xoauth2 } from '#test/kit/sasl.ts';
import { messageText } from '#test/kit/smtpclient.ts';
import { Rig } from './rig.ts';

const SUBJECT = 'system:serviceaccount:shop:mailer';
const FAILED = '535 5.7.8 Authentication credentials invalid';
const keys = await generateKeyPair('ES256', { extractable: true });
const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'one', alg: 'ES256', use: 'sig' };

let server: Server;
let issuer: string;
let asked = 0;
let rig: Rig;

before(async () => {
  const authority = await makeAuthority();
  const pair = await authority.issue(['localhost']);
  server = createServer({ cert: pair.cert, key: pair.key }, (request, response) => {
    asked += 1;
    if (request.url === '/jwks') response.end(JSON.stringify({ keys: [jwk] }));
    else if (request.url === '/.well-known/openid-configuration')
      response.end(JSON.stringify({ issuer, jwks_uri: `${issuer}/jwks` }));
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => {
    server.listen(0, 'localhost', resolve);
  });
  issuer = `https://localhost:${(server.address() as AddressInfo).port}`;
  const oauth = { issuer, audience: 'mailrelay', subjects: [SUBJECT, 'team-a-*'] };
  rig = await Rig.start({
    listeners: {
      discovery: { auth: 'Required', clients: { oauth: { ...oauth, trustConfigMapName: 'issuer-ca' } } },
      file: { auth: 'Required', clients: { oauth: { ...oauth, keysConfigMapName: 'issuer-keys' } } },
      untrusted: { auth: 'Required', clients: { oauth } },
    },
    configMaps: {
      'issuer-ca': { 'ca.crt': authority.cert },
      'issuer-keys': { 'jwks.json': JSON.stringify({ keys: [jwk] }) },
    },
  });
});

after(async () => {
  await rig?.end();
  server?.close();
});

interface Wish {
  readonly issuer?: string;
  readonly audience?: string;
  readonly subject?: string;
  readonly expiresIn?: number;
  readonly kid?: string;
}

function tokenOf(wish: Wish = {}): Promise<string> {
  return new SignJWT()
    .setProtectedHeader({ alg: 'ES256', kid: wish.kid ?? 'one' })
    .setIssuer(wish.issuer ?? issuer)
    .setAudience(wish.audience ?? 'mailrelay')
    .setSubject(wish.subject ?? SUBJECT)
    .setIssuedAt()
    .setExpirationTime(Math.floor(Date.now() / 1000) + (wish.expiresIn ?? 600))
    .sign(keys.privateKey);
}

/** From an address of its own each time, because failures slow their client down. */
let addresses = 0;
const fresh = () => `127.0.2.${++addresses}`;

async function reject(token: string): Promise<string> {
  const client = await rig.secureClient('file', {}, fresh());
  const reason = await client.command(`AUTH OAUTHBEARER ${oauthBearer(token)}`);
  assert.deepEqual(JSON.parse(Buffer.from(reason.slice(4), 'base64').toString()), {
    status: 'invalid_token',
    schemes: 'bearer',
  });
  // What a client says to it (RFC 7628 section 3.2.3).
  return client.command(base64('\x01'));
}

test('who has closed its sending side waits for the keys of the issuer', async () => {
  const client = await rig.secureClient('discovery');
  client.finish(`AUTH XOAUTH2 ${xoauth2('anything', await tokenOf())}\r\n`);
  assert.match(await client.reply(), /^235/);
  await client.closed();
  assert.equal(asked, 2);
});

test('a token logs in by OAUTHBEARER and XOAUTH2, keys are discovered once, and who has may relay', async () => {
  const client = await rig.secureClient('discovery');
  assert.match(await client.command('EHLO client.example'), /AUTH OAUTHBEARER XOAUTH2\n/);
  assert.match(await client.command('MAIL FROM:<a@x.example>'), /^530/);
  assert.match(await client.command(`AUTH OAUTHBEARER ${oauthBearer(await tokenOf())}`), /^235/);
  assert.match(await client.send('a@x.example', ['b@y.example'], messageText('oauthbearer')), /^250/);
  const other = await rig.secureClient('discovery');
  const token = await tokenOf({ subject: 'team-a-printer' });
  assert.match(await other.command(`AUTH XOAUTH2 ${xoauth2('anything', token)}`), /^235/);
  assert.match(await other.send('a@x.example', ['b@y.example'], messageText('xoauth2')), /^250/);
  assert.match((await rig.arrived('xoauth2')).text, /with ESMTPSA id /);
  await rig.logged({ event: 'accepted', login: 'team-a-printer' });
  assert.equal(asked, 2);
});

test('a projected token of a ServiceAccount is good with keys from a file, said in two steps too', async () => {
  const client = await rig.secureClient('file');
  assert.equal(await client.command('AUTH OAUTHBEARER'), '334');
  assert.match(await client.command(oauthBearer(await tokenOf())), /^235/);
});

test('another issuer, audience, subject or key, and an old token, are refused', async () => {
  const other = await generateKeyPair('ES256');
  const forged = new SignJWT().setProtectedHeader({ alg: 'ES256', kid: 'one' });
  forged.setIssuer(issuer).setAudience('mailrelay').setSubject(SUBJECT).setExpirationTime('10m');
  const refused = [
    await tokenOf({ issuer: 'https://evil.example' }),
    await tokenOf({ audience: 'other' }),
    await tokenOf({ subject: 'system:serviceaccount:shop:other' }),
    await tokenOf({ expiresIn: -300 }),
    await tokenOf({ kid: 'two' }),
    await forged.sign(other.privateKey),
    'not.a.token',
  ];
  const replies = await Promise.all(refused.map(reject));
  assert.deepEqual(
    replies,
    refused.map(() => FAILED),
  );
  await rig.logged({ event: 'login_failed', mechanism: 'OAUTHBEARER', reason: 'ERR_JWT_EXPIRED' });
});

test('no signature, and one by the public key, are refused', async () => {
  const claims = { iss: issuer, aud: 'mailrelay', sub: SUBJECT, exp: Math.floor(Date.now() / 1000) + 600 };
  const unsigned = `${base64url.encode('{"alg":"none"}')}.${base64url.encode(JSON.stringify(claims))}.`;
  const bySecret = await new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256', kid: 'one' })
    .sign(Buffer.from(await exportSPKI(keys.publicKey)));
  assert.equal(await reject(unsigned), FAILED);
  assert.equal(await reject(bySecret), FAILED);
  const client = await rig.secureClient('file', {}, fresh());
  assert.match(await client.command(`AUTH XOAUTH2 ${xoauth2('x', unsigned)}`), /^334 /);
  assert.match(await client.command(''), /^535/);
});

test('an issuer that cannot be asked is a failure for now, and the log says which', async () => {
  const client = await rig.secureClient('untrusted', {}, fresh());
  assert.match(
    await client.command(`AUTH OAUTHBEARER ${oauthBearer(await tokenOf())}`),
    /^454 4\.7\.0 Temporary authentication failure/,
  );
  await rig.logged({ event: 'login_failed', listener: 'untrusted' });
  const reason = rig.log().find(({ listener }) => listener === 'untrusted')?.['reason'];
  assert.match(String(reason), /^Cannot get https:\/\/localhost:\d+\/\.well-known\/openid-configuration: /);
});
