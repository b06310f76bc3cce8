import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TokenError } from './tokenerror.ts';
import type { TokenGrant } from './tokengrant.ts';
import type { TokenAnswer } from './tokenrequest.ts';
import { fixedToken, TokenSource } from './tokensource.ts';

const GRANT: TokenGrant = {
  kind: 'refresh token',
  tokenURL: 'https://service.example/token',
  scope: null,
  clientId: 'a',
  clientSecret: 'b',
  refreshToken: 'refresh-0',
};
const PROBLEM = { code: 'invalid_client', cure: 'correct it' };

function start(answer: (count: number) => TokenAnswer = (count) => token(`t${count}`, 3_600)) {
  const asked: TokenGrant[] = [];
  let now = 0;
  const source = new TokenSource(
    GRANT,
    async (grant) => {
      asked.push(grant);
      return answer(asked.length);
    },
    () => now,
  );
  return { source, asked, pass: (minutes: number) => (now += minutes * 60_000) };
}

function token(text: string, lifetime?: number, refreshToken?: string): TokenAnswer {
  return { kind: 'token', token: text, lifetime, refreshToken };
}

test('all connections share one request, and its token until five minutes before its end', async () => {
  const { source, asked, pass } = start();
  const got = await Promise.all(Array.from({ length: 20 }, () => source.get()));
  assert.deepEqual([new Set(got), asked.length], [new Set(['t1']), 1]);
  pass(54);
  assert.equal(await source.get(), 't1');
  pass(1);
  assert.equal(await source.get(), 't2');
  assert.equal(asked.length, 2);
});

test('a short token is renewed too, and one without a lifetime after some minutes', async () => {
  const short = start((count) => token(`t${count}`, 60));
  await short.source.get();
  short.pass(0.7);
  assert.equal(await short.source.get(), 't1');
  short.pass(0.1);
  assert.equal(await short.source.get(), 't2');
  const silent = start((count) => token(`t${count}`));
  await silent.source.get();
  silent.pass(7);
  assert.equal(await silent.source.get(), 't1');
  silent.pass(1);
  assert.equal(await silent.source.get(), 't2');
});

test('a token that a hop refuses is not given again: at first use a failed login, later an early end', async () => {
  const { source, asked } = start();
  assert.equal(source.refuse(await source.get()), false);
  assert.equal(await source.get(), 't2');
  assert.equal(await source.get(), 't2');
  assert.equal(source.refuse('t1'), false);
  assert.equal(source.refuse('t2'), true);
  assert.equal(source.refuse('t2'), false);
  assert.equal(await source.get(), 't3');
  assert.equal(asked.length, 3);
  const fixed = fixedToken('x');
  assert.deepEqual([await fixed.get(), fixed.refuse('x'), await fixed.get()], ['x', false, 'x']);
});

test('a refusal is kept for half a minute, and a service that is away is asked again', async () => {
  const { source, asked, pass } = start(() => ({ kind: 'refused', problem: PROBLEM }));
  const failure = async (one: TokenSource) =>
    one.get().then(
      () => undefined,
      (error: TokenError) => error,
    );
  for (let index = 0; index < 3; index++) {
    const error = await failure(source);
    assert.ok(error instanceof TokenError);
    assert.deepEqual([error.message, error.problem], ['the token service says invalid_client', PROBLEM]);
  }
  assert.equal(asked.length, 1);
  pass(0.5);
  await failure(source);
  assert.equal(asked.length, 2);
  const away = start((count) => (count < 3 ? { kind: 'unavailable', reason: 'away' } : token('t', 3_600)));
  assert.deepEqual(
    [(await failure(away.source))?.message, (await failure(away.source))?.problem],
    ['away', null],
  );
  assert.equal(await away.source.get(), 't');
});

test('a refresh token that the service replaced is used from then on', async () => {
  const { source, asked, pass } = start((count) => token(`t${count}`, 3_600, `refresh-${count}`));
  for (let index = 0; index < 3; index++) {
    await source.get();
    pass(60);
  }
  assert.deepEqual(
    asked.map((grant) => (grant.kind === 'refresh token' ? grant.refreshToken : '')),
    ['refresh-0', 'refresh-1', 'refresh-2'],
  );
});
