/** More cases of logins: every input of a client gets an answer, and guesses are bounded, whoever makes them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashPassword } from '#crds/passwordhash.ts';
import { from, jwks, loginsAt } from '#test/kit/loginrig.ts';
import fc from '#test/kit/property.ts';
import { clientsOf, listenerAt } from '#test/kit/relayrig.ts';
import { loginByScram } from '#test/kit/sasl.ts';
import type { SmtpClient } from '#test/kit/smtpclient.ts';
import { LoginGuard } from '../auth/guard.ts';
import { Counters } from '../task/counts.ts';
import { Logins } from './logins.ts';
import { REPLIES } from './reply.ts';

const withoutDelays = () =>
  new LoginGuard(
    () => 0,
    async () => undefined,
  );

test('whatever a client says in whatever step, it is an answer', async () => {
  // Time jumps far ahead, so no test waits for a delay.
  let now = 0;
  const logins = loginsAt(() => (now += 3_600_000), { keys: JSON.stringify(jwks) });
  const said = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }).map((text) => Buffer.from(text).toString('base64')),
    fc.constantFrom('*', '=', '', Buffer.from('n,,n=x,r=y').toString('base64')),
  );
  const mechanism = fc.constantFrom('SCRAM-SHA-256', 'OAUTHBEARER');
  await fc.assert(
    fc.asyncProperty(mechanism, fc.array(said, { maxLength: 4 }), async (name, responses) => {
      const exchange = logins.exchange(name, from('client'));
      assert.ok(exchange);
      for (const response of responses) {
        const answer = await exchange(response);
        assert.notEqual(answer.kind, 'login');
        if (answer.kind === 'refused') break;
      }
    }),
  );
});

test('many logins at a time wait for their turn, and all are answered', async () => {
  const logins = loginsAt(() => 0, { users: { app: await hashPassword('secret', 4_096) } });
  const auth = { method: 'PLAIN' as const, username: 'app', password: 'secret' };
  const judged = await Promise.all(
    Array.from({ length: 60 }, (_, n) => logins.judge(auth, from(`client${n}`))),
  );
  assert.deepEqual(new Set(judged.map(({ kind }) => kind)), new Set(['login']));
  // A password longer than any allowed one is refused before it is checked.
  const long = { ...auth, password: 'x'.repeat(5_000) };
  assert.deepEqual(await logins.judge(long, from('other')), { kind: 'refused', reply: REPLIES.authFailed });
});

test('whoever has many addresses of IPv6 has no more attempts than others', async () => {
  const users = { app: await hashPassword('secret', 4_096) };
  const logins = loginsAt(() => 0, { users }, false, undefined, withoutDelays());
  const guess = (client: string, user: string) =>
    logins.judge({ method: 'PLAIN', username: user, password: 'wrong' }, from(client));
  await Promise.all(Array.from({ length: 20 }, (_, n) => guess(`2001:db8:1:2::${n + 1}`, `user${n}`)));
  assert.deepEqual(await guess('2001:db8:1:2::99', 'app'), {
    kind: 'refused',
    reply: REPLIES.tooManyFailures,
  });
  assert.deepEqual(await guess('2001:db8:1:3::99', 'app'), { kind: 'refused', reply: REPLIES.authFailed });
});

test('guesses at the same time are no more than those one after the other, and good logins at once all succeed', async () => {
  const users = { app: await hashPassword('guess30', 4_096) };
  const guess = (logins: Logins, password: string, index: number) =>
    logins.judge({ method: 'PLAIN', username: 'app', password }, from(index < 0 ? 'other' : '192.0.2.1'));
  const logins = loginsAt(() => 0, { users }, false, undefined, withoutDelays());
  const guesses = await Promise.all(Array.from({ length: 150 }, (_, n) => guess(logins, `guess${n}`, n)));
  const replies = guesses.map((said) => (said.kind === 'refused' ? said.reply.code : said.kind));
  assert.deepEqual(replies, [...Array(20).fill(535), ...Array(130).fill(421)]);
  const pod = loginsAt(() => 0, { users });
  await guess(pod, 'wrong', 0);
  const good = await Promise.all(Array.from({ length: 50 }, (_, n) => guess(pod, 'guess30', n)));
  assert.deepEqual(new Set(good.map(({ kind }) => kind)), new Set(['login']));
});

test('failures count in the process, whichever listener was asked', async () => {
  const users = { app: await hashPassword('secret', 4_096) };
  const guard = withoutDelays();
  const listeners = [1, 2].map(() => loginsAt(() => 0, { users }, false, undefined, guard));
  const guess = (n: number) =>
    listeners[n % 2]?.judge(
      { method: 'PLAIN', username: `user${n}`, password: `guess${n}` },
      from('192.0.2.1'),
    );
  const codes = (await Promise.all(Array.from({ length: 30 }, (_, n) => guess(n)))).map((said) =>
    said?.kind === 'refused' ? said.reply.code : said?.kind,
  );
  assert.deepEqual(codes, [...Array(20).fill(535), ...Array(10).fill(421)]);
});

test('users that have the same stored form are not mistaken for each other', async () => {
  const hash = await hashPassword('secret', 4_096);
  const logins = loginsAt(() => 0, { users: { alice: hash, bob: `${hash} bob@x.example` } });
  const judge = (username: string) =>
    logins.judge({ method: 'PLAIN', username, password: 'secret' }, from('192.0.2.1'));
  const [alice, bob] = await Promise.all([judge('alice'), judge('bob')]);
  const listed = [alice, bob].map((said) => said.kind === 'login' && [said.login.name, !said.login.senders]);
  assert.deepEqual(listed, [
    ['alice', true],
    ['bob', false],
  ]);
});

test('of who goes while its wrong answer waits nothing is kept', async () => {
  const users = { app: await hashPassword('secret', 4_096) };
  const logins = loginsAt(() => 0, { users });
  const guess = (n: number, ended?: AbortSignal) =>
    logins.judge({ method: 'PLAIN', username: 'app', password: `wrong${n}` }, from('192.0.2.1', ended));
  await guess(0);
  const session = new AbortController();
  const all = Array.from({ length: 10 }, (_, n) => guess(n + 1, session.signal));
  const began = performance.now();
  setTimeout(() => session.abort(), 100);
  for (const said of await Promise.all(all)) assert.equal(said.kind, 'refused');
  assert.ok(performance.now() - began < 9_000, `${performance.now() - began} ms`);
});

test('old passwords of some pods behind one address do not delay the good ones of the others', async () => {
  const users: Record<string, string> = {};
  for (let n = 0; n < 50; n++) users[`u${n}`] = await hashPassword(`s${n}`, 4_096);
  const logins = loginsAt(() => 0, { users });
  const began = performance.now();
  const judge = async (n: number) => {
    const password = n < 19 ? 'old' : `s${n}`;
    return logins.judge({ method: 'PLAIN', username: `u${n}`, password }, from('192.0.2.1'));
  };
  const session = new AbortController();
  const stale = Array.from({ length: 19 }, (_, n) =>
    logins.judge({ method: 'PLAIN', username: `u${n}`, password: 'old' }, from('192.0.2.1', session.signal)),
  );
  const good = await Promise.all(Array.from({ length: 31 }, (_, n) => judge(n + 19)));
  assert.deepEqual(new Set(good.map(({ kind }) => kind)), new Set(['login']));
  // The nineteenth wrong answer waits for ten seconds.
  assert.ok(performance.now() - began < 9_000, `${performance.now() - began} ms`);
  session.abort();
  for (const said of await Promise.all(stale)) assert.equal(said.kind, 'refused');
});

test('a host of IPv6 has twenty guesses, whichever listener trusts it', async () => {
  const guard = withoutDelays();
  const listeners = [['2001:db8::/32'], []].map((networks) => {
    const clients = clientsOf({ networks, usersSecret: 'users' });
    const clocks = { monotonic: () => 0, wall: () => 0 };
    const deps = { log: () => undefined, clocks, guard, counters: new Counters() };
    return new Logins({ ...deps, listener: listenerAt(587, { clients }) }, { secrets: {}, configMaps: {} });
  });
  const codes: unknown[] = [];
  for (let n = 0; n < 50; n++) {
    const shown = { method: 'PLAIN' as const, username: 'app', password: `guess${n}` };
    const said = await listeners[n % 2]?.judge(shown, from(`2001:db8::${n % 5}`));
    codes.push(said?.kind === 'refused' && said.reply.code);
  }
  assert.deepEqual(codes, [...Array(20).fill(535), ...Array(30).fill(421)]);
});

test('the Secret counts at the moment of the verdict, in every mechanism', async () => {
  const [old, fresh] = [await hashPassword('old', 4_096), await hashPassword('new', 4_096)];
  const slow = await hashPassword('x', 1_000_000);
  const asOf = (users: Record<string, string>) => ({ secrets: { users }, configMaps: {} });
  const logins = loginsAt(() => 0, { users: { app: old, slow } });
  const said = (username: string, password: string, client: string) =>
    logins.judge({ method: 'PLAIN', username, password }, from(client));
  // Both places are taken, so the others wait for their turn.
  const busy = ['a', 'b'].map((password) => said('slow', password, '192.0.2.1'));
  const waits = [said('app', 'old', '192.0.3.1'), said('app', 'new', '192.0.4.1')];
  const exchange = logins.exchange('SCRAM-SHA-256', from('192.0.5.1'));
  const command = async (line: string) => {
    const answer = await exchange?.(line.replace('AUTH SCRAM-SHA-256 ', ''));
    // Between the challenge and the proof, for SCRAM.
    logins.use(asOf({ app: `${fresh} app@x.example`, slow }));
    if (answer?.kind === 'challenge') return `334 ${answer.text}`;
    return answer?.kind === 'refused' ? `${answer.reply.code}` : '235';
  };
  assert.equal(await loginByScram({ command } as SmtpClient, 'app', 'old'), '535');
  const [revoked, changed] = await Promise.all(waits);
  assert.deepEqual(revoked, { kind: 'refused', reply: REPLIES.authFailed });
  assert.ok(changed?.kind === 'login' && changed.login.senders !== null, 'with the senders of now');
  await Promise.all(busy);
});

test('the proof of another session is no proof, also where both wait for their check', async () => {
  const users = { app: await hashPassword('secret', 4_096), slow: await hashPassword('x', 400_000) };
  for (const isThiefFirst of [false, true]) {
    const logins = loginsAt(() => 0, { users }, false, undefined, withoutDelays());
    const slow = (password: string) =>
      logins.judge({ method: 'PLAIN', username: 'slow', password }, from('192.0.3.1'));
    const busy = [slow('a'), slow('b')];
    const [victim, thief] = ['192.0.2.1', '203.0.113.1'].map((client) =>
      logins.exchange('SCRAM-SHA-256', from(client)),
    );
    await thief?.(Buffer.from('n,,n=app,r=thief').toString('base64'));
    let steals: ReturnType<NonNullable<typeof thief>> | undefined;
    let lines = 0;
    const command = async (line: string) => {
      const response = line.replace('AUTH SCRAM-SHA-256 ', '');
      lines += 1;
      if (lines === 2 && isThiefFirst) steals = thief?.(response);
      const said = victim?.(response);
      if (lines === 2 && !isThiefFirst) steals = thief?.(response);
      const answer = await said;
      return answer?.kind === 'challenge' ? `334 ${answer.text}` : `${answer?.kind}`;
    };
    assert.equal(await loginByScram({ command } as SmtpClient, 'app', 'secret'), 'login');
    assert.deepEqual(await steals, { kind: 'refused', reply: REPLIES.authFailed });
    await Promise.all(busy);
  }
});

test('a stored line that is mended lets the same password in at once', async () => {
  const good = await hashPassword('secret', 4_096);
  const salt = Buffer.alloc(16).toString('base64');
  for (const bad of [good.replace('$4096:', '$5000:'), good.replace(/:[^$]+/, `:${salt}`)]) {
    const logins = loginsAt(() => 0, { users: { app: bad } }, false, undefined, withoutDelays());
    const kind = async () =>
      (await logins.judge({ method: 'PLAIN', username: 'app', password: 'secret' }, from('192.0.2.1'))).kind;
    assert.equal(await kind(), 'refused');
    logins.use({ secrets: { users: { app: good } }, configMaps: {} });
    assert.equal(await kind(), 'login');
  }
});

test('programs with old passwords keep out no neighbour, whatever their mechanism', async () => {
  let now = 0;
  const users = { app: await hashPassword('new', 4_096), good: await hashPassword('good', 4_096) };
  const guard = new LoginGuard(
    () => now,
    async () => undefined,
  );
  const logins = loginsAt(() => now, { users }, false, undefined, guard);
  const codes: string[] = [];
  for (; now < 20 * 60_000; now += 20_000) {
    const exchange = logins.exchange('SCRAM-SHA-256', from('192.0.2.1'));
    const command = async (line: string) => {
      const answer = await exchange?.(line.replace('AUTH SCRAM-SHA-256 ', ''));
      if (answer?.kind === 'challenge') return `334 ${answer.text}`;
      return answer?.kind === 'refused' ? `${answer.reply.code}` : 'login';
    };
    codes.push(await loginByScram({ command } as SmtpClient, 'app', 'old'));
  }
  assert.deepEqual(codes.slice(19, 21), ['535', '421']);
  const good = { method: 'PLAIN' as const, username: 'good', password: 'good' };
  assert.equal((await logins.judge(good, from('192.0.2.1'))).kind, 'login');
});

test('a user that wants to act as another one is refused, also with the right password', async () => {
  const logins = loginsAt(() => 0, { users: { app: await hashPassword('secret', 4_096) } });
  const said = async (authzid: string) => {
    const shown = { method: 'PLAIN' as const, username: 'app', authcid: 'app', authzid, password: 'secret' };
    const judged = await logins.judge(shown, from('client'));
    return judged.kind === 'refused' ? judged.reply : judged.kind;
  };
  assert.deepEqual(
    [await said(''), await said('app'), await said('root'), await said('APP')],
    ['login', 'login', REPLIES.authFailed, REPLIES.authFailed],
  );
  const scram = logins.exchange('SCRAM-SHA-256', from('client'));
  assert.deepEqual(await scram?.(Buffer.from('n,a=root,n=app,r=abc').toString('base64')), {
    kind: 'refused',
    reply: REPLIES.authFailed,
  });
});
