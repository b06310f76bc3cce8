/** Logins by password: every mechanism, never before TLS, and nothing that tells who exists. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { hashPassword } from '#crds/passwordhash.ts';
import { base64, loginByLogin, loginByScram, plain } from '#test/kit/sasl.ts';
import { messageText, type SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { Rig, type Story } from './rig.ts';

const OK = /^235 /;
const FAILED = '535 5.7.8 Authentication credentials invalid';
/** Failures slow their client down, so each test that fails has a client of its own. */
const CLIENTS = ['127.0.0.20', '127.0.0.21', '127.0.0.22', '127.0.0.23', '127.0.0.24'] as const;

/** Some users whose check takes a while. */
const scripts = async () =>
  Object.fromEntries(
    await Promise.all(
      Array.from(
        { length: 6 },
        async (_, n) => [`cron${n}`, await hashPassword(`secret${n}`, 32_768)] as const,
      ),
    ),
  );

const story = async (password: string): Promise<Story> => ({
  listeners: {
    submission: { auth: 'Required', starttls: 'Required' },
    submissions: { auth: 'Required', implicitTLS: true },
    smtp: { auth: 'Optional' },
  },
  inbound: { clients: { credentialsSecretName: 'users' } },
  secrets: { users: { app: await hashPassword(password, 4096), ...(await scripts()) } },
});

let rig: Rig;

before(async () => {
  rig = await Rig.start(await story('correct horse'));
});

after(() => rig?.end());

test('PLAIN, LOGIN and SCRAM-SHA-256 log in, and who has may relay', async () => {
  const ways: Record<string, (client: SmtpClient) => Promise<string>> = {
    plain: (client) => client.command(`AUTH PLAIN ${plain('app', 'correct horse')}`),
    plainLater: async (client) => {
      assert.equal(await client.command('AUTH PLAIN'), '334');
      return client.command(plain('app', 'correct horse'));
    },
    login: (client) => loginByLogin(client, 'app', 'correct horse'),
    scram: (client) => loginByScram(client, 'app', 'correct horse'),
  };
  for (const [id, logIn] of Object.entries(ways)) {
    const client = await rig.secureClient('submission');
    assert.match(await logIn(client), OK, id);
    assert.match(await client.send('a@x.example', ['b@y.example'], messageText(id)), /^250/);
    assert.match((await rig.arrived(id)).text, /with ESMTPSA id /);
  }
  await rig.metric('mailrelay_logins_total{mechanism="SCRAM-SHA-256",result="accepted"} 1');
});

test('a login is for one session, once, outside transactions, and can be given up', async () => {
  const client = await rig.tlsClient('submissions');
  assert.match(await client.command('AUTH SCRAM-SHA-256'), /^334/);
  assert.match(await client.command('*'), /^501 5\.7\.0/);
  assert.match(await client.command('AUTH SCRAM-SHA-256 !!!!'), /^501 5\.5\.2/);
  assert.match(await client.command('AUTH CRAM-MD5'), /^504/);
  assert.match(await loginByScram(client, 'app', 'correct horse'), OK);
  assert.doesNotMatch(await client.command('EHLO client.example'), /AUTH/);
  assert.match(await client.command(`AUTH PLAIN ${plain('x', 'y')}`), /^503/);
  const other = await rig.tlsClient('submissions');
  assert.match(await other.command('MAIL FROM:<a@x.example>'), /^530/);
  const optional = await rig.secureClient('smtp');
  await optional.command('MAIL FROM:<a@x.example>');
  assert.match(await optional.command(`AUTH PLAIN ${plain('app', 'correct horse')}`), /^503 5\.5\.1/);
});

test('never before TLS: not offered, not obeyed, whatever else is said', async () => {
  for (const listener of ['smtp', 'submission']) {
    const client = await rig.client(listener);
    assert.doesNotMatch(await client.command('EHLO client.example'), /AUTH/);
    for (const command of [`AUTH PLAIN ${plain('app', 'correct horse')}`, 'AUTH LOGIN', 'auth plain'])
      assert.match(await client.command(command), /^530 5\.7\.0 Must issue a STARTTLS command first/);
  }
});

test('a wrong password, an unknown user and a bad proof sound alike, are slowed down, counted and logged', async () => {
  const attempts: ((client: SmtpClient) => Promise<string>)[] = [
    (client) => client.command(`AUTH PLAIN ${plain('app', 'wrong')}`),
    (client) => client.command(`AUTH PLAIN ${plain('nobody', 'correct horse')}`),
    (client) => loginByLogin(client, 'nobody', 'x'),
    (client) => loginByScram(client, 'app', 'wrong'),
    (client) => loginByScram(client, 'nobody', 'wrong'),
  ];
  const replies = await Promise.all(
    attempts.map(async (attempt, index) => attempt(await rig.secureClient('submission', {}, CLIENTS[index]))),
  );
  assert.deepEqual(
    replies,
    attempts.map(() => FAILED),
  );
  const secure = await rig.secureClient('submission', {}, CLIENTS[0]);
  const began = Date.now();
  assert.equal(await secure.command(`AUTH PLAIN ${plain('app', 'wrong')}`), FAILED);
  assert.ok(Date.now() - began >= 500, 'the second failure was answered at once');
  await rig.logged({ event: 'login_failed', client: CLIENTS[1], user: 'nobody', reason: 'unknown user' });
  await rig.logged({ event: 'login_failed', client: CLIENTS[3], reason: 'wrong password or unknown user' });
  await rig.metric('mailrelay_logins_total{mechanism="SCRAM-SHA-256",result="wrong"} 2');
  await rig.relay.waitForMetrics(/^mailrelay_refusals_total\{reason="auth_failed"\} [1-9]/m);
});

test('a SCRAM challenge tells nothing either: an unknown user has a salt that stays', async () => {
  const challengeOf = async (user: string) => {
    const client = await rig.secureClient('submission');
    const reply = await client.command(`AUTH SCRAM-SHA-256 ${base64(`n,,n=${user},r=abc`)}`);
    return Buffer.from(reply.slice(4), 'base64')
      .toString()
      .replace(/^r=[^,]+/, '');
  };
  const [real, decoy, again] = [await challengeOf('app'), await challengeOf('x'), await challengeOf('x')];
  assert.match(real, /^,s=[A-Za-z0-9+/]{22}==,i=4096$/);
  assert.match(decoy, /^,s=[A-Za-z0-9+/]{22}==,i=(4096|32768)$/);
  assert.equal(decoy, again);
});

test('a client that guesses on and on is not heard any more, others are', async () => {
  const guesser = '127.0.0.30';
  const clients = await Promise.all(
    Array.from({ length: 20 }, () => rig.secureClient('submission', {}, guesser)),
  );
  const replies = await Promise.all(
    clients.map((client, index) => client.command(`AUTH PLAIN ${plain(`user${index}`, 'guess')}`)),
  );
  assert.deepEqual(new Set(replies), new Set([FAILED]));
  const deaf = await rig.secureClient('submission', {}, guesser);
  assert.match(
    await deaf.command(`AUTH PLAIN ${plain('app', 'correct horse')}`),
    /^421 4\.7\.0 Too many failed logins/,
  );
  await until('the session to end', () => deaf.ended);
  const honest = await rig.secureClient('submission');
  assert.match(await honest.command(`AUTH PLAIN ${plain('app', 'correct horse')}`), OK);
});

test('wrong answers that wait keep no good login from its answer', async () => {
  const nat = '127.0.0.31';
  const open = (count: number) =>
    Promise.all(Array.from({ length: count }, () => rig.secureClient('submission', {}, nat)));
  const guess = async (clients: readonly SmtpClient[], name: string) => {
    clients.forEach((client, n) => {
      client.write(`AUTH PLAIN ${plain(`${name}${n}`, 'old password')}\r\n`);
    });
    for (let n = 0; n < clients.length; n++) await rig.logged({ event: 'login_failed', user: `${name}${n}` });
  };
  const [first, second, good, deaf] = [await open(15), await open(5), await open(2), await open(1)];
  const logIn = () => good.pop()?.command(`AUTH PLAIN ${plain('app', 'correct horse')}`) ?? '';
  await guess(first, 'first');
  assert.match(await logIn(), OK);
  // The last one of these is answered after ten seconds. With them the client is deaf, but not for who is known there.
  await guess(second, 'second');
  assert.match((await deaf[0]?.command(`AUTH PLAIN ${plain('cron0', 'secret0')}`)) ?? '', /^421 4\.7\.0/);
  assert.match(await logIn(), OK);
  assert.ok(
    second.some(({ unread }) => unread === ''),
    'before the wrong answers',
  );
});

test('who has closed its sending side waits for its turn like others, and its mail is taken', async () => {
  // One segment and the end, as a script with netcat sends it. Two passwords are checked at a time.
  const say = async (client: SmtpClient, n: number, password: string) => {
    const login = `AUTH PLAIN ${plain(`cron${n}`, password)}`;
    const mail = `MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n${messageText(`cron${n}`)}`;
    client.finish(`${login}\r\n${mail}\r\n.\r\nQUIT\r\n`);
    return client.reply();
  };
  const open = (count: number) =>
    Promise.all(Array.from({ length: count }, () => rig.secureClient('submission', {}, '127.0.0.33')));
  const scripts = await open(6);
  const replies = await Promise.all(scripts.map((client, n) => say(client, n, `secret${n}`)));
  assert.deepEqual(new Set(replies), new Set(['235 Authentication successful']));
  for (let n = 0; n < 6; n++) await rig.arrived(`cron${n}`);
  const [first, second] = await open(2);
  assert.ok(first && second);
  assert.equal(await say(first, 0, 'wrong'), FAILED);
  const began = performance.now();
  assert.equal(await say(second, 0, 'wrong again'), FAILED);
  assert.ok(performance.now() - began >= 500, 'its answer is held back too');
});

test('an old password that comes again and again is one failure, and the applications beside it go on', async () => {
  const nat = '127.0.0.34';
  const clients = await Promise.all(
    Array.from({ length: 25 }, () => rig.secureClient('submission', {}, nat)),
  );
  const replies: Promise<string>[] = [];
  const failed = () => rig.log().filter(({ event, client }) => event === 'login_failed' && client === nat);
  // Each one comes when the one before is judged, but not answered.
  for (const [n, client] of clients.entries()) {
    replies.push(client.command(`AUTH PLAIN ${plain('cron1', 'old password')}`));
    await until('the verdict', () => failed().length > n);
  }
  assert.deepEqual(new Set(await Promise.all(replies)), new Set([FAILED]));
  const good = await rig.secureClient('submission', {}, nat);
  assert.match(await good.command(`AUTH PLAIN ${plain('cron1', 'secret1')}`), OK);
});

test('failures count for all listeners of the process', async () => {
  const guesser = '127.0.0.32';
  const names = ['submission', 'smtp', 'submission', 'smtp'];
  const clients = await Promise.all(
    Array.from({ length: 20 }, (_, n) => rig.secureClient(names[n % 4] ?? '', {}, guesser)),
  );
  await Promise.all(
    clients.map((client, index) => client.command(`AUTH PLAIN ${plain(`user${index}`, 'guess')}`)),
  );
  for (const name of ['submission', 'smtp']) {
    const deaf = await rig.secureClient(name, {}, guesser);
    assert.match(await deaf.command(`AUTH PLAIN ${plain('app', 'correct horse')}`), /^421 4\.7\.0/);
  }
});

test('a changed Secret is in force for the next login, and nothing restarts', async () => {
  const { tasks } = await rig.relay.status();
  await rig.edit(await story('new password'));
  const client = await rig.secureClient('submission');
  assert.equal(await client.command(`AUTH PLAIN ${plain('app', 'correct horse')}`), FAILED);
  assert.match(await client.command(`AUTH PLAIN ${plain('app', 'new password')}`), OK);
  assert.equal((await rig.relay.status()).tasks.listenerStarts, tasks.listenerStarts);
});

test('whoever is revoked cannot log in in a session of an earlier policy either', async () => {
  const changed = async (password: string): Promise<Story> => {
    const one = await story(password);
    return { ...one, inbound: { ...one.inbound, limits: { recipients: 7 } } };
  };
  const [first, second] = [
    await rig.secureClient('submission', {}, '127.0.0.26'),
    await rig.secureClient('submission', {}, '127.0.0.27'),
  ];
  await rig.edit(await changed('new password'));
  await until('its policy to be of before', async () => (await rig.relay.status()).sessions.ofOldPolicy > 1);
  await rig.edit(await changed('newer password'));
  // The process of the earlier policy hears of it a moment later.
  await until('the login', async () =>
    OK.test(await first.command(`AUTH PLAIN ${plain('app', 'newer password')}`)),
  );
  assert.equal(await second.command(`AUTH PLAIN ${plain('app', 'new password')}`), FAILED);
});
