import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { createSecureContext, TLSSocket } from 'node:tls';
import { describeFailure } from '#crds/failure.ts';
import { makePair } from '#test/kit/ca.ts';
import { wayTo } from '#test/kit/hopway.ts';
import { hopTo, makeParcel, policyOf } from '#test/kit/relayrig.ts';
import { NO_MATERIALS } from '../task/materials.ts';
import { AttemptBudget } from './budget.ts';
import { SmtpClient } from './smtpclient.ts';

const pair = await makePair('hop.example');
const ends: (() => void)[] = [];
after(() => {
  for (const end of ends) end();
});

const USER = 'alice@example.com';
const PASSWORD = 'open sesame, please';
const TOKEN = 'ya29.a0AfH6SMBxTokenOfAnHour';
const base64 = (text: string) => Buffer.from(text).toString('base64');

type Answer = (line: string, socket: Socket) => string | undefined;

/** A hop behind implicit TLS that answers each line as a test tells it. */
async function secureHop(answer: Answer, greet = () => '220 hop'): Promise<number> {
  const secureContext = createSecureContext(pair);
  const server = createServer((raw) => {
    const socket = new TLSSocket(raw, { isServer: true, secureContext });
    socket.on('error', () => undefined);
    raw.on('error', () => undefined);
    socket.write(`${greet()}\r\n`);
    socket.on('data', (chunk) => {
      for (const line of chunk.toString().split('\r\n').slice(0, -1)) {
        const reply = answer(line, socket);
        if (reply !== undefined) socket.write(`${reply}\r\n`);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** Everything that people may read of a delivery: its result and its trace. */
async function deliver(answer: Answer, files: Record<string, string>) {
  const told: string[] = [];
  const note = (line: Buffer | string) => void told.push(String(line));
  const session = {
    received: note,
    sent: () => undefined,
    tls: () => undefined,
    body: () => undefined,
    ended: note,
  };
  const tracer = { session: () => session, follows: () => true };
  const materials = { ...NO_MATERIALS, secrets: { login: { username: USER, ...files } } };
  const client = new SmtpClient(policyOf(), materials, tracer);
  const parcel = makeParcel('Subject: x\r\n\r\nx\r\n');
  const hop = hopTo(await secureHop(answer), { implicitTLS: true, credentialsSecret: 'login' });
  const budget = new AttemptBudget();
  const result = await client.deliver(wayTo(hop), '127.0.0.1', parcel, budget);
  budget.close();
  client.close();
  return { result, told: `${told.join('\n')}\n${JSON.stringify(result)}` };
}

const MECHANISMS = {
  PLAIN: {
    files: { password: PASSWORD },
    secret: PASSWORD,
    line: `AUTH PLAIN ${base64(`\0${USER}\0${PASSWORD}`)}`,
  },
  LOGIN: { files: { password: PASSWORD }, secret: PASSWORD, line: base64(PASSWORD) },
  XOAUTH2: {
    files: { token: TOKEN },
    secret: TOKEN,
    line: `AUTH XOAUTH2 ${base64(`user=${USER}\x01auth=Bearer ${TOKEN}\x01\x01`)}`,
  },
};

function assertSilent(told: string, secret: string, line: string): void {
  const encoded = line.slice(line.lastIndexOf(' ') + 1);
  for (const form of [secret, base64(secret), encoded.slice(-24)]) {
    for (let at = 0; at + 8 <= form.length; at += 1) assert.ok(!told.includes(form.slice(at, at + 8)), told);
  }
}

for (const [mechanism, { files, secret, line }] of Object.entries(MECHANISMS)) {
  const echoes: Record<string, (heard: string, socket: Socket) => string | undefined> = {
    'a 535 that echoes a part': (heard) => `535 5.7.8 wrong: ${heard.slice(0, -3)}...`,
    'a 454 that echoes all of it': (heard) => `454 4.7.0 later: ${heard}`,
    'a 535 of several lines': (heard) => `535-5.7.8 wrong\r\n535 5.7.8 ${secret} ${heard}`,
    'an echo without an end': (heard, socket) => void socket.end(`535 5.7.8 ${heard}`),
    'a second reply': (heard) => `334 \r\n535 5.7.8 ${heard}\r\n535 5.7.8 ${secret.slice(0, -3)}`,
  };
  const hop = (
    atAuth: (heard: string, socket: Socket) => string | undefined,
    atMail?: (heard: string) => string,
  ): Answer => {
    let heard = '';
    return (said, socket) => {
      if (said.startsWith('EHLO')) return `250-hop\r\n250 AUTH ${mechanism}`;
      // A bare 334 asks for the name, and then for the password.
      if (said === 'AUTH LOGIN' || said === base64(USER)) return '334';
      if (said === line) {
        heard = said;
        return atAuth(said, socket);
      }
      if (said.startsWith('MAIL')) return atMail?.(heard) ?? '250 ok';
      if (said === 'DATA') return '354 go on';
      return said === '' ? undefined : '250 ok';
    };
  };
  for (const [how, echo] of Object.entries(echoes)) {
    test(`${mechanism}: of ${how} nothing is told`, async () => {
      const { result, told } = await deliver(hop(echo), files);
      assert.equal(result.kind, 'unreachable');
      assertSilent(told, secret, line);
    });
  }
  test(`${mechanism}: a reply after the login that echoes a part of it is cleared`, async () => {
    const { told } = await deliver(
      hop(
        () => '235 2.7.0 welcome',
        (heard) => `550 5.7.1 not with <${heard.slice(0, -3)}> or <${secret.slice(0, -2)}>`,
      ),
      files,
    );
    assert.match(told, /550 5\.7\.1 not with/);
    assertSilent(told, secret, line);
  });
  test(`${mechanism}: a hop that heard a login of the process before tells nobody in its greeting`, async () => {
    const greet = () => `554 not with <${secret}>, ${base64(secret)} or <${secret.slice(0, -3)}>`;
    const port = await secureHop(() => undefined, greet);
    const materials = { ...NO_MATERIALS, secrets: { login: { username: USER, ...files } } };
    const client = new SmtpClient(policyOf(), materials, { session: () => undefined, follows: () => false });
    const way = wayTo(hopTo(port, { implicitTLS: true, credentialsSecret: 'login' }));
    const budget = new AttemptBudget();
    const told = JSON.stringify(await client.deliver(way, '127.0.0.1', makeParcel('x\r\n'), budget));
    budget.close();
    client.close();
    assert.match(told, /554 not with <\*\*\*>, \*\*\* or <\*\*\*>/);
    assertSilent(told, secret, line);
  });
  test(`${mechanism}: the login is taken, with bare challenges too`, async () => {
    const { result } = await deliver(
      hop(() => '235'),
      files,
    );
    assert.equal(
      result.kind === 'answered' ? result.verdicts[0]?.kind : describeFailure(result.failure),
      'delivered',
    );
  });
}

const UMLAUTS = 'gehéimwörtßäöü';
for (const [how, after] of [
  ['whole', '\r\n'],
  ['cut off', ''],
  ['with a byte that is no UTF-8', '\xe9\r\n'],
  ['cut off in a character', '\xc3'],
  ['without its last line', '\r\n550-5.7.1 see'],
] as const)
  test(`a password beyond ASCII in a reply after the login, ${how}, is cleared`, async () => {
    const isBegun = how === 'without its last line';
    const echo = Buffer.concat([
      Buffer.from(`550${isBegun ? '-' : ' '}5.7.1 not with <${UMLAUTS}>`),
      Buffer.from(after, 'latin1'),
    ]);
    const { told } = await deliver(
      (said, socket) => {
        if (said.startsWith('EHLO')) return '250-hop\r\n250 AUTH PLAIN';
        if (said.startsWith('AUTH')) return '235 2.7.0 welcome';
        if (said.startsWith('MAIL')) socket.end(echo);
        return undefined;
      },
      { password: UMLAUTS },
    );
    assert.match(told, /5\.7\.1 not with <\*\*\*>/);
    for (const form of [UMLAUTS, Buffer.from(UMLAUTS).toString('latin1')])
      assert.ok(!told.includes(form.slice(0, 8)));
  });

test('a hop that tells in its next greeting what it heard in a login tells nobody', async () => {
  const { files, line } = MECHANISMS.PLAIN;
  const heard: string[] = [];
  const greet = () => (heard.length === 0 ? '220 hop' : `554 not with <${PASSWORD}> or ${heard[0]}`);
  const port = await secureHop((said, socket) => {
    if (said.startsWith('EHLO')) return '250-hop\r\n250 AUTH PLAIN';
    if (said.startsWith('AUTH')) heard.push(said);
    return said === 'QUIT' ? void socket.end() : '421 4.7.0 later';
  }, greet);
  const materials = { ...NO_MATERIALS, secrets: { login: { username: USER, ...files } } };
  const client = new SmtpClient(policyOf(), materials, { session: () => undefined, follows: () => false });
  const hop = hopTo(port, { implicitTLS: true, credentialsSecret: 'login' });
  const told: string[] = [];
  for (let count = 0; count < 2; count++) {
    const budget = new AttemptBudget();
    const parcel = makeParcel('Subject: x\r\n\r\nx\r\n');
    told.push(JSON.stringify(await client.deliver(wayTo(hop), '127.0.0.1', parcel, budget)));
    budget.close();
  }
  client.close();
  assert.match(told[1] ?? '', /554 not with <\*\*\*>/);
  assertSilent(told.join('\n'), PASSWORD, line);
});

test('after a login by CRAM-MD5 a reply that names the domain of our name is told as it is', async () => {
  let said = '';
  const { told } = await deliver(
    (heard) => {
      if (heard.startsWith('EHLO')) return '250-hop\r\n250 AUTH CRAM-MD5';
      if (heard === 'AUTH CRAM-MD5') return `334 ${base64('<1.2@hop>')}`;
      if (heard.startsWith('MAIL')) {
        const digest = Buffer.from(said, 'base64').toString().split(' ').at(-1);
        return `550 5.7.1 <bob@example.com> not at mx.example.com, ${digest} ${said}`;
      }
      said = heard;
      return '235 2.7.0 welcome';
    },
    { password: PASSWORD },
  );
  assert.match(told, /550 5\.7\.1 <bob@example\.com> not at mx\.example\.com, \*\*\* \*\*\*/);
});

test('after a login by CRAM-MD5 a token that is name and password is not told, however many connections there were', async () => {
  const token = 'b3f1c2d4-5a6b-4c7d-8e9f-0a1b2c3d4e5f';
  let challenges = 0;
  const port = await secureHop((said) => {
    if (said.startsWith('EHLO')) return '250-hop\r\n250 AUTH CRAM-MD5';
    if (said === 'AUTH CRAM-MD5') return `334 ${base64(`<${challenges++}@hop>`)}`;
    return said.startsWith('MAIL') ? `421 4.7.1 <${token}> has no credit` : '235 2.7.0 welcome';
  });
  const materials = { ...NO_MATERIALS, secrets: { login: { username: token, password: token } } };
  const client = new SmtpClient(policyOf(), materials, { session: () => undefined, follows: () => false });
  const way = wayTo(hopTo(port, { implicitTLS: true, credentialsSecret: 'login' }));
  for (let count = 0; count < 6; count++) {
    const budget = new AttemptBudget();
    const result = await client.deliver(way, '127.0.0.1', makeParcel('x\r\n'), budget);
    budget.close();
    assert.match(JSON.stringify(result), /421 4\.7\.1 <\*\*\*> has no credit/);
  }
  client.close();
});

for (const [how, before, again] of [
  ['after the digest', '', '334 '],
  ['after the digest, in two lines', '', '334-more\r\n334 '],
  ['in two lines', '334-more\r\n', ''],
] as const)
  test(`a challenge of CRAM-MD5 ${how} is told without its text`, async () => {
    const challenge = base64('<1.2@hop.example>');
    const said: string[] = [];
    const { told } = await deliver(
      (heard) => {
        if (heard.startsWith('EHLO')) return '250-hop\r\n250 AUTH CRAM-MD5';
        if (heard === 'AUTH CRAM-MD5') return `${before}334 ${challenge}`;
        said.push(heard);
        return `${again}${heard}`;
      },
      { password: PASSWORD },
    );
    const digest = createHmac('md5', PASSWORD).update('<1.2@hop.example>').digest('hex');
    const line = base64(`${USER} ${digest}`);
    assert.deepEqual(said, before === '' ? [line] : []);
    assert.match(told, /Invalid login sequence while waiting for .*: 334/);
    for (const secret of [challenge, line]) assert.ok(!told.includes(secret), told);
  });

for (const [password, name, status] of [
  ['LOGIN', 'hop', '4.4.2'],
  ['relay.example', 'relay.example', '5.4.6'],
] as const)
  test(`the password ${password} hides neither extensions nor the name ${name} of the next connection`, async () => {
    let connections = 0;
    const port = await secureHop((said) => {
      if (said.startsWith('EHLO')) return `250-${connections++ === 0 ? 'hop' : name}\r\n250 AUTH LOGIN`;
      if (said === 'AUTH LOGIN' || said === base64(USER)) return '334';
      if (said === base64(password)) return '235 2.7.0 welcome';
      return said.startsWith('AUTH') ? '504 5.5.4 only LOGIN' : '421 4.7.0 later';
    });
    const materials = { ...NO_MATERIALS, secrets: { login: { username: USER, password } } };
    const policy = { ...policyOf(), hostname: 'relay.example' };
    const client = new SmtpClient(policy, materials, { session: () => undefined, follows: () => false });
    const way = wayTo(hopTo(port, { implicitTLS: true, credentialsSecret: 'login' }));
    const told: unknown[] = [];
    for (let count = 0; count < 2; count++) {
      const budget = new AttemptBudget();
      const result = await client.deliver(way, '127.0.0.1', makeParcel('x\r\n'), budget);
      told.push(result.kind === 'unreachable' ? result.failure.status : result);
      budget.close();
    }
    client.close();
    assert.deepEqual(told, ['4.4.2', status]);
  });
