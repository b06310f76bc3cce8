/** Logins with tokens: they are checked with the keys of an issuer, and delay no other login. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { SignJWT } from 'jose';
import { hashPassword } from '#crds/passwordhash.ts';
import { from, issuer, jwks, keys, loginsAt } from '#test/kit/loginrig.ts';
import { clientsOf, listenerAt } from '#test/kit/relayrig.ts';
import { until } from '#test/kit/wait.ts';
import { LoginGuard } from '../auth/guard.ts';
import { Counters } from '../task/counts.ts';
import { Logins } from './logins.ts';
import { REPLIES } from './reply.ts';

test('a token is good from its beginning to its end, with a minute of grace for clocks', async () => {
  let now = Date.UTC(2026, 0, 1);
  const logins = loginsAt(() => now, { keys: JSON.stringify(jwks) });
  const seconds = now / 1000;
  const token = await new SignJWT({
    iss: issuer,
    aud: ['b', 'a'],
    sub: 'app',
    nbf: seconds,
    exp: seconds + 600,
  })
    .setProtectedHeader({ alg: 'ES256', kid: 'one' })
    .sign(keys.privateKey);
  let client = 0;
  const judged = async (at: number) => {
    now = Date.UTC(2026, 0, 1) + at * 1000;
    const auth = { method: 'XOAUTH2' as const, username: 'x', accessToken: token };
    return (await logins.judge(auth, from(`client${++client}`))).kind;
  };
  assert.equal(await judged(-70), 'tokenRefused');
  assert.equal(await judged(-50), 'login');
  assert.equal(await judged(650), 'login');
  assert.equal(await judged(670), 'tokenRefused');
});

test('keys that are missing, no key set or not to be read are a failure for now', async () => {
  const [key] = jwks.keys;
  const broken = [[null], [{ ...key, x: '!' }]];
  const sets = broken.map((all) => JSON.stringify({ keys: all }));
  for (const text of [undefined, '', '{}', 'keys', ...sets]) {
    const logins = loginsAt(Date.now, text === undefined ? {} : { keys: text });
    const token = await new SignJWT().setProtectedHeader({ alg: 'ES256', kid: 'one' }).sign(keys.privateKey);
    const judged = await logins.judge(
      { method: 'XOAUTH2' as const, username: 'x', accessToken: token },
      from('client'),
    );
    assert.deepEqual(judged, { kind: 'refused', reply: REPLIES.authUnavailable }, text ?? 'none');
  }
});

test('a token as a password has the checks and limits of a token, and no other password becomes one', async () => {
  const users = { app: await hashPassword('secret', 4_096) };
  const at = (accepts: boolean) => loginsAt(Date.now, { users, keys: JSON.stringify(jwks) }, accepts);
  const [yes, no] = [at(true), at(false)];
  const token = (subject: string) =>
    new SignJWT({ iss: issuer, aud: 'a', sub: subject })
      .setProtectedHeader({ alg: 'ES256', kid: 'one' })
      .setExpirationTime('10m')
      .sign(keys.privateKey);
  let client = 0;
  const judge = (logins: Logins, password: string, method: 'PLAIN' | 'LOGIN' = 'PLAIN') =>
    logins.judge({ method, username: 'whoever', password }, from(`client${++client}`));
  const good = await token('app');
  for (const method of ['PLAIN', 'LOGIN'] as const)
    assert.deepEqual(await judge(yes, good, method), {
      kind: 'login',
      login: { name: 'app', source: issuer, senders: null },
    });
  const refused = { kind: 'refused', reply: REPLIES.authFailed };
  const actingAs = (authzid: string) =>
    yes.judge({ method: 'PLAIN', username: 'whoever', authzid, password: good }, from('acting'));
  assert.equal((await actingAs('whoever')).kind, 'login');
  assert.deepEqual(await actingAs('app'), refused);
  assert.deepEqual(await judge(no, good), refused);
  assert.deepEqual(await judge(yes, await token('other')), refused);
  for (const password of ['a.b.c', `${good}x`, `${good}.x`, ` ${good}`, 'e30.e30.e30', ''])
    assert.deepEqual(await judge(yes, password), refused, password);
  // The user name beside a token is nobody's, so failures with it do not slow that user down.
  const slow = loginsAt(() => 0, { users, keys: JSON.stringify(jwks) }, true);
  for (let index = 0; index < 5; index++)
    await slow.judge({ method: 'PLAIN', username: 'app', password: `${good}x` }, from(`other${index}`));
  const began = performance.now();
  const login = await slow.judge({ method: 'PLAIN', username: 'app', password: 'secret' }, from('new'));
  assert.equal(login.kind, 'login');
  // Five failures would delay it by 8 s. The check itself takes milliseconds, on a busy machine more.
  assert.ok(performance.now() - began < 7_000, 'no delay of the user');
});

test('PLAIN and LOGIN are offered for tokens alone, and SCRAM is not', () => {
  const clients = (acceptAsPassword: boolean) =>
    clientsOf({
      oauth: {
        issuer,
        audience: 'a',
        subjects: ['app'],
        keysConfigMap: 'k',
        trustConfigMap: null,
        acceptAsPassword,
      },
    });
  const offered = (acceptAsPassword: boolean) => {
    const clocks = { monotonic: Date.now, wall: Date.now };
    const deps = { log: () => undefined, clocks, guard: new LoginGuard(Date.now) };
    const listener = listenerAt(587, { auth: 'Required', clients: clients(acceptAsPassword) });
    return new Logins({ ...deps, listener, counters: new Counters() }, { secrets: {}, configMaps: {} })
      .mechanisms;
  };
  assert.deepEqual(offered(true), ['PLAIN', 'LOGIN', 'OAUTHBEARER', 'XOAUTH2']);
  assert.deepEqual(offered(false), ['OAUTHBEARER', 'XOAUTH2']);
});

test('a slow issuer delays no password, and whoever has gone waits for it no more', async (t) => {
  const held: Socket[] = [];
  const slow = createServer((socket) => held.push(socket.on('error', () => undefined)));
  await once(slow.listen(0, '127.0.0.1'), 'listening');
  t.after(() => {
    for (const socket of held) socket.destroy();
    slow.close();
  });
  const url = `https://127.0.0.1:${(slow.address() as AddressInfo).port}`;
  const users = { app: await hashPassword('secret', 4_096) };
  const logins = loginsAt(() => 0, { users }, false, { issuer: url, keysConfigMap: null });
  const accessToken = await new SignJWT({ iss: url })
    .setProtectedHeader({ alg: 'ES256', kid: 'one' })
    .sign(keys.privateKey);
  const token = { method: 'XOAUTH2' as const, username: 'x', accessToken };
  const began = performance.now();
  const session = new AbortController();
  const unavailable = { kind: 'refused', reply: REPLIES.authUnavailable };
  const gone = Array.from({ length: 600 }, () => logins.judge(token, from('192.0.2.1', session.signal)));
  const stays = Array.from({ length: 600 }, () => logins.judge(token, from('192.0.2.1')));
  let isOver = false;
  void Promise.race(stays).then(() => {
    isOver = true;
  });
  await until('the issuer to be asked', () => held.length > 0);
  session.abort();
  for (const said of await Promise.all(gone))
    assert.deepEqual(said, { kind: 'refused', reply: REPLIES.authAborted });
  const password = { method: 'PLAIN' as const, username: 'app', password: 'secret' };
  assert.equal((await logins.judge(password, from('192.0.2.1'))).kind, 'login');
  // The issuer has five seconds for its answer, and they are not over.
  assert.equal(isOver, false);
  for (const said of await Promise.all(stays)) assert.deepEqual(said, unavailable);
  assert.ok(performance.now() - began >= 4_900, 'they waited for the issuer');
  assert.equal(held.length, 1);
});

test('tokens of another audience make nobody deaf who comes from their address', async () => {
  const logins = loginsAt(Date.now, { keys: JSON.stringify(jwks) });
  const kind = async (aud: string, jti: string) => {
    const accessToken = await new SignJWT({ iss: issuer, aud, sub: 'app', jti })
      .setProtectedHeader({ alg: 'ES256', kid: 'one' })
      .setExpirationTime('10m')
      .sign(keys.privateKey);
    return (await logins.judge({ method: 'XOAUTH2', username: '', accessToken }, from('192.0.2.1'))).kind;
  };
  for (let n = 0; n < 25; n++) assert.equal(await kind('api', `${n}`), 'tokenRefused');
  assert.equal(await kind('a', 'mended'), 'login');
});
