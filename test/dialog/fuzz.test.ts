/** Sessions of pieces of SMTP in any order, cut anywhere: no task dies of them, and the next client is served. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { hashPassword } from '#crds/passwordhash.ts';
import fc from '#test/kit/property.ts';
import { messageText } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { Rig } from './rig.ts';

let rig: Rig;

before(async () => {
  rig = await Rig.start({
    listeners: { smtp: { auth: 'Optional' }, proxied: { proxyProtocol: { networks: ['127.0.0.0/8'] } } },
    inbound: {
      clients: { networks: ['127.0.0.0/8'], credentialsSecretName: 'users' },
      acceptDomains: ['y.example'],
    },
    secrets: { users: { app: await hashPassword('secret', 4096) } },
  });
});

after(() => rig?.end());

const piece = fc.oneof(
  fc.constantFrom(
    ...[
      'EHLO client.example\r\n',
      'HELO x\r\n',
      'MAIL FROM:<a@x.example>\r\n',
      'MAIL FROM:<> SMTPUTF8 RET=FULL\r\n',
    ],
    ...[
      'RCPT TO:<b@y.example>\r\n',
      'RCPT TO:<postmaster> NOTIFY=NEVER\r\n',
      'DATA\r\n',
      '.\r\n',
      '\r\n.\r\n',
      'RSET\r\n',
    ],
    ...[
      'AUTH PLAIN AGFwcABzZWNyZXQ=\r\n',
      'AUTH SCRAM-SHA-256 bixhLA==\r\n',
      'AUTH OAUTHBEARER =\r\n',
      '*\r\n',
      '=\r\n',
    ],
    ...[
      'Subject: x\r\n\r\n',
      'STARTTLS\r\n',
      'QUIT\r\n',
      'BDAT 5 LAST\r\n',
      '\r',
      '\n',
      'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n',
    ],
  ),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme-ascii', maxLength: 20 }).map((text) => `${text}\r\n`),
);

const session = fc.record({
  listener: fc.constantFrom('smtp', 'smtp-tls', 'proxied'),
  pieces: fc.array(piece, { minLength: 1, maxLength: 25 }),
  ending: fc.constantFrom('close', 'reset'),
});

async function play({ listener, pieces, ending }: { listener: string; pieces: string[]; ending: string }) {
  const client =
    listener === 'smtp-tls'
      ? await rig.secureClient('smtp')
      : await rig.connect(listener === 'proxied' ? 'proxied' : 'smtp');
  for (const text of pieces) {
    client.write(Buffer.from(text, 'latin1'));
    // So that pieces come together, and apart.
    if (text.length % 2 === 0) await new Promise((turn) => setImmediate(turn));
  }
  // A reset below TLS is more than Node's own client can take.
  if (ending === 'reset' && !client.tls) return client.reset();
  // Out of a message, out of a login, and out.
  client.write('\r\n.\r\n*\r\nQUIT\r\n*\r\nQUIT\r\n');
  await until('the session to end', () => client.ended, 2_000).catch(() => undefined);
  client.close();
}

test('no task dies of whatever clients say', async () => {
  const { tasks } = await rig.relay.status();
  await fc.assert(
    fc.asyncProperty(fc.array(session, { minLength: 5, maxLength: 10 }), async (sessions) => {
      await Promise.all(sessions.map(play));
    }),
    { numRuns: Number(process.env['FUZZ_RUNS'] ?? 5), endOnFailure: true },
  );
  assert.deepEqual((await rig.relay.status()).tasks, tasks);
  assert.ok((await rig.metrics()).split('\n').length < 250, 'clients make series');
  const honest = await rig.client('smtp', '127.0.0.99');
  assert.match(await honest.send('a@x.example', ['b@y.example'], messageText('honest')), /^250/);
  await rig.arrived('honest');
  await honest.quit();
  await until('every session to be over', async () => (await rig.relay.status()).sessions.open === 0, 60_000);
});
