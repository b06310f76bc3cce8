/**
 * Mail by the tokens of Microsoft 365 and of Google: a token service that answers as they do, and next hops of the
 * library smtp-server that check XOAUTH2. Mail waits until the login is mended, and each refusal has its cure.
 */
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { SMTPServer } from 'smtp-server';
import { makeAuthority, type Pair } from '#test/kit/ca.ts';
import { freePort } from '#test/kit/ports.ts';
import type { TestRelay } from '#test/kit/relay.ts';
import { microsoftError, TokenService, tokenReply } from '#test/kit/tokenservice.ts';
import { until } from '#test/kit/wait.ts';
import { accepted, manifestOf, objectOf, type Sections, startRelay } from './story.ts';

const USER = 'relay@example.com';
const SECRET = 'canary-app-secret';
const SIGNS = { type: 'pkcs8', format: 'pem' } as const;
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

/** A next hop that takes mail from who shows the last token of the service. */
class Peer {
  readonly #server: SMTPServer;
  readonly taken: string[] = [];
  logins = 0;
  refusal: string | undefined;

  constructor(service: TokenService, pair: Pair) {
    this.#server = new SMTPServer({
      ...pair,
      authMethods: ['XOAUTH2'],
      onAuth: ({ username, accessToken }, _session, callback) => {
        this.logins += 1;
        if (this.refusal === undefined && username === USER && accessToken === service.token)
          callback(null, { user: USER });
        else
          callback(
            Object.assign(new Error(this.refusal ?? '5.7.3 Authentication unsuccessful'), {
              responseCode: 535,
            }),
          );
      },
      onData: (stream, _session, callback) => {
        void text(stream).then((message) => {
          this.taken.push(/X-Test-Id: (\S+)/.exec(message)?.[1] ?? '');
          callback();
        });
      },
    });
    this.#server.on('error', () => undefined);
  }

  async up(port: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.listen(port, '127.0.0.1', () => resolve());
    });
  }

  down(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }
}

let microsoft: TokenService;
let google: TokenService;
let certificate: Pair;
let relay: TestRelay;
let sections: Sections;
const peers: Peer[] = [];

const secrets = (clientSecret: string) =>
  [
    objectOf('Secret', 'app', { username: USER, clientId: 'app-1', clientSecret, tokenURL: microsoft.url }),
    objectOf('Secret', 'certified', {
      username: USER,
      clientId: 'app-1',
      'tls.crt': certificate.cert,
      'tls.key': certificate.key,
      tokenURL: microsoft.url,
    }),
    objectOf('Secret', 'google', {
      username: USER,
      serviceAccountKey: JSON.stringify({
        client_email: 'relay@project.iam.gserviceaccount.com',
        private_key: privateKey.export(SIGNS),
        token_uri: google.url,
      }),
    }),
  ].join('');

before(async () => {
  [microsoft, google] = [await TokenService.start(), await TokenService.start()];
  const authority = await makeAuthority();
  certificate = await authority.issue(['relay'], { rsa: true });
  const pair = await authority.issue(['localhost']);
  const routes: string[] = [];
  for (const [name, service] of [
    ['app', microsoft],
    ['certified', microsoft],
    ['google', google],
  ] as const) {
    const [peer, port] = [new Peer(service, pair), await freePort()];
    await peer.up(port);
    peers.push(peer);
    routes.push(
      `  - {recipientDomains: [${name}.example], hosts: [{host: 127.0.0.1, port: ${port}, credentialsSecretName: ${name}}]}`,
    );
  }
  microsoft.answer = () => tokenReply(`microsoft-${microsoft.asked.length}`);
  google.answer = () => tokenReply(`google-${google.asked.length}`);
  sections = {
    trace: '{level: 4}',
    outbound: `tls: {discover: []}\nlimits: {messagesPerConnection: 1}\nroutes:\n${routes.join('\n')}\n`,
  };
  relay = await startRelay({ ...sections, documents: secrets(SECRET) });
});

after(async () => {
  await relay?.remove();
  microsoft?.down();
  google?.down();
  for (const peer of peers) await peer.down();
});

async function arrives(id: string, domain: string, at: Peer | undefined): Promise<void> {
  await accepted(relay, { id, to: [`a@${domain}.example`] });
  await until(`${id} to arrive`, () => at?.taken.includes(id));
}

const refusals = async () => (await relay.status()).queue.loginsRefused.map(({ message }) => message);

test('an app with a client secret: one token for all connections, with the right of the app', async () => {
  const [peer] = peers;
  const ids = Array.from({ length: 6 }, (_, index) => `app-${index}`);
  await Promise.all(ids.map((id) => arrives(id, 'app', peer)));
  assert.equal(peer?.logins, ids.length);
  const asked = microsoft.asked.filter((form) => form['client_secret'] !== undefined);
  assert.deepEqual(asked, [{ grant_type: 'client_credentials', client_id: 'app-1', client_secret: SECRET }]);
});

test('an app with a certificate proves itself by a signature', async () => {
  await arrives('certified', 'certified', peers[1]);
  const { claims } = await microsoft.readAssertion(
    microsoft.asked.at(-1) ?? {},
    createPublicKey(certificate.cert),
  );
  assert.equal(claims.sub, 'app-1');
});

test('a service account of Google sends in the name of the mailbox', async () => {
  await arrives('google', 'google', peers[2]);
  const { claims } = await google.readAssertion(google.asked[0] ?? {}, publicKey);
  assert.deepEqual([claims.sub, claims['scope']], [USER, 'https://mail.google.com/']);
});

test('a token that ended early is fetched anew, and nobody is told', async () => {
  microsoft.token = 'withdrawn';
  const before = microsoft.asked.length;
  await arrives('anew', 'app', peers[0]);
  assert.equal(microsoft.asked.length, before + 1);
  assert.deepEqual(await refusals(), []);
});

test('an expired client secret: mail waits and the status has the cure; a new one ends it at once', async () => {
  microsoft.answer = (form) =>
    form['client_secret'] === SECRET
      ? microsoftError(7000222, `The provided client secret keys for app 'app-1' are expired. ${SECRET}`)
      : tokenReply(`microsoft-${microsoft.asked.length}`);
  microsoft.token = 'withdrawn';
  await accepted(relay, { id: 'expired', to: ['a@app.example'] });
  const [told = ''] = await until('the refusal', async () => {
    const all = await refusals();
    return all.length > 0 ? all : undefined;
  });
  assert.match(
    told,
    /refuses our login \(the token service says AADSTS7000222\): the client secret has expired: make/,
  );
  relay.edit(manifestOf(relay.ports[0], { ...sections, documents: secrets('the-new-one') }));
  await until('the message', () => peers[0]?.taken.includes('expired'));
  await until('no refusal', async () => (await refusals()).length === 0);
});

test('a mailbox that the app may not use: mail waits, and the cure is that of the code and the words', async () => {
  for (const [name, peer, refusal, cure] of [
    [
      'certified',
      peers[1],
      '5.7.3 Authentication unsuccessful [FR0P281CA0100.DEUP281.PROD.OUTLOOK.COM]',
      /\(535 5\.7\.3\): .*New-ServicePrincipal/,
    ],
    [
      'app',
      peers[0],
      '5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox. Visit https://aka.ms/smtp_auth_disabled for more information.',
      /\(535 5\.7\.139\): SMTP AUTH is off for the mailbox/,
    ],
  ] as const) {
    assert.ok(peer);
    peer.refusal = refusal;
    await accepted(relay, { id: `refused-${name}`, to: [`a@${name}.example`] });
    await until('the refusal', async () => (await refusals()).some((told) => cure.test(told)));
    peer.refusal = undefined;
  }
});

test('a service that is away is a wait, not a refused login', async () => {
  google.token = 'withdrawn';
  google.answer = () => ({ status: 503, body: 'Service Unavailable' });
  await accepted(relay, { id: 'away', to: ['a@google.example'] });
  await relay.waitForReason(/gives no token/);
  assert.ok(!(await refusals()).some((text) => text.includes('no token')));
});

test('no secret and no token is in the log, the trace or the status', async () => {
  const heard = `${relay.stderr}${relay.stdout}${JSON.stringify(await relay.status())}`;
  const key = String(privateKey.export(SIGNS)).split('\n')[3] ?? '';
  for (const word of [SECRET, 'the-new-one', key, microsoft.token, 'microsoft-1', 'google-1'])
    assert.ok(
      word.length > 5 && !heard.includes(word) && !heard.includes(Buffer.from(word).toString('base64')),
      word,
    );
});
