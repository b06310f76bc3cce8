/** Checks tokens against a local issuer that serves its keys over HTTPS. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, before, beforeEach, test } from 'node:test';
import { setDefaultCACertificates } from 'node:tls';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { makePair } from '#test/kit/ca.ts';
import type { Trust } from '../task/trust.ts';
import { type IssuerTerms, TokenJudge } from './tokens.ts';

const pairs = { one: await generateKeyPair('ES256'), two: await generateKeyPair('EdDSA') };
type Kid = keyof typeof pairs;

interface Answer {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body: string;
}

let server: Server;
let issuer = '';
let trust: Trust;
let asked: string[] = [];
let answers: Record<string, Answer> = {};

const keySet = async (...kids: Kid[]) =>
  JSON.stringify({
    keys: await Promise.all(kids.map(async (kid) => ({ ...(await exportJWK(pairs[kid].publicKey)), kid }))),
  });
const list = (...authorities: string[]): Trust => ({ kind: 'list', authorities });
const configuration = (changes = {}) => JSON.stringify({ issuer, jwks_uri: `${issuer}/keys`, ...changes });

before(async () => {
  const pair = await makePair('localhost');
  trust = list(pair.cert);
  // This process also accepts the issuer as a public authority.
  setDefaultCACertificates([pair.cert]);
  server = createServer({ cert: pair.cert, key: pair.key }, (request, response) => {
    const url = request.url ?? '';
    asked.push(url);
    const { status = 200, headers = {}, body } = answers[url] ?? { status: 404, body: '' };
    response.writeHead(status, headers).end(body);
  });
  server.listen(0, 'localhost');
  await once(server, 'listening');
  issuer = `https://localhost:${(server.address() as AddressInfo).port}`;
});

after(() => {
  server.closeAllConnections();
  server.close();
});

beforeEach(async () => {
  asked = [];
  answers = {
    '/.well-known/openid-configuration': { body: configuration() },
    '/keys': { body: await keySet('one') },
  };
});

const OPEN = new AbortController().signal;

function judge(changes: Partial<IssuerTerms> = {}) {
  const clock = { now: Date.now() };
  const terms = { issuer, audience: 'smtp', subjects: ['app', 'team-*'], keys: null, trust, ...changes };
  return { clock, judge: new TokenJudge(terms, { monotonic: () => clock.now, wall: () => clock.now }) };
}

function token(kid: Kid, subject = 'app'): Promise<string> {
  const signed = new SignJWT().setProtectedHeader({ alg: kid === 'one' ? 'ES256' : 'EdDSA', kid });
  signed.setIssuer(issuer).setAudience('smtp').setSubject(subject).setExpirationTime('2h');
  return signed.sign(pairs[kid].privateKey);
}

test('keys are asked for once, by many logins at a time, and anew after ten minutes', async () => {
  const { clock, judge: tokens } = judge();
  const good = await token('one');
  const verdicts = await Promise.all([1, 2, 3].map(() => tokens.judge(good, OPEN)));
  assert.deepEqual(
    verdicts,
    [1, 2, 3].map(() => ({ kind: 'subject', subject: 'app' })),
  );
  clock.now += 9 * 60_000;
  await tokens.judge(good, OPEN);
  assert.deepEqual(asked, ['/.well-known/openid-configuration', '/keys']);
  clock.now += 60_000;
  await tokens.judge(good, OPEN);
  assert.equal(asked.length, 4);
});

test('an issuer that changes its keys is asked anew, but not at the pace of unknown keys', async () => {
  const { clock, judge: tokens } = judge();
  await tokens.judge(await token('one'), OPEN);
  answers['/keys'] = { body: await keySet('two') };
  const changed = await token('two');
  assert.deepEqual(await tokens.judge(changed, OPEN), {
    kind: 'refused',
    reason: 'ERR_JWKS_NO_MATCHING_KEY',
    isSigned: false,
  });
  assert.equal(asked.length, 2);
  clock.now += 30_000;
  assert.deepEqual(await tokens.judge(changed, OPEN), { kind: 'subject', subject: 'app' });
  assert.deepEqual(await tokens.judge(await token('one'), OPEN), {
    kind: 'refused',
    reason: 'ERR_JWKS_NO_MATCHING_KEY',
    isSigned: false,
  });
  assert.equal(asked.length, 4);
});

test('an issuer that cannot be trusted or understood is a failure for now, and no reason shows a token', async () => {
  const good = await token('one');
  const cases: [string, Record<string, Answer>, RegExp][] = [
    ['down', { '/keys': { status: 500, body: '' } }, /status 500/],
    ['redirect', { '/keys': { status: 302, headers: { location: '/other' }, body: '' } }, /status 302/],
    ['no JSON', { '/keys': { body: 'keys' } }, /not JSON/],
    ['no keys', { '/keys': { body: '{}' } }, /has no keys/],
    ['no set', { '/keys': { body: 'null' } }, /has no keys/],
    ['no key', { '/keys': { body: '{"keys":[null]}' } }, /a key of the issuer cannot be read/],
    ['nothing', { '/.well-known/openid-configuration': { body: 'null' } }, /does not describe itself/],
    ['too long', { '/keys': { body: 'x'.repeat(1_100_000) } }, /longer than 1024 KiB/],
    ...(
      [
        [{ issuer: 'https://evil.example' }, /does not describe itself/],
        [{ jwks_uri: 'http://localhost/keys' }, /not an https URL/],
        [{ jwks_uri: 7 }, /does not describe itself/],
      ] as const
    ).map(([changes, reason]): [string, Record<string, Answer>, RegExp] => [
      JSON.stringify(changes),
      { '/.well-known/openid-configuration': { body: configuration(changes) } },
      reason,
    ]),
  ];
  const usual = answers;
  for (const [what, changed, reason] of cases) {
    answers = { ...usual, ...changed };
    const { judge: tokens } = judge();
    const verdict = await tokens.judge(good, OPEN);
    assert.equal(verdict.kind, 'unavailable', what);
    // What was fetched before is no other failure.
    assert.deepEqual(await tokens.judge(good, OPEN), verdict, what);
    assert.match(verdict.kind === 'unavailable' ? verdict.reason : '', reason, what);
    assert.ok(!JSON.stringify(verdict).includes(good.slice(-20)), what);
  }
  const untrusted = await judge({ trust: list((await makePair('localhost')).cert) }).judge.judge(good, OPEN);
  assert.equal(untrusted.kind, 'unavailable');
});

test('who may relay is exactly a subject, or what begins like one', async () => {
  const { judge: tokens } = judge();
  const kind = async (subject: string) => (await tokens.judge(await token('one', subject), OPEN)).kind;
  assert.equal(await kind('team-a'), 'subject');
  assert.equal(await kind('app2'), 'refused');
  assert.equal(await kind('team'), 'refused');
  assert.equal(await kind('APP'), 'refused');
});

test('the public roots are for an issuer whose authorities nobody named, and never in the place of an empty list', async () => {
  const good = await token('one');
  assert.equal((await judge({ trust: { kind: 'public' } }).judge.judge(good, OPEN)).kind, 'subject');
  assert.equal((await judge({ trust: list() }).judge.judge(good, OPEN)).kind, 'unavailable');
  const { judge: named } = judge();
  assert.equal((await named.judge(good, OPEN)).kind, 'subject');
});

test('of what is refused it is known whether the issuer has signed it', async () => {
  const { judge: tokens, clock } = judge();
  const good = await token('one');
  const { judge: strict } = judge({ audience: 'other' });
  clock.now += 3 * 3_600_000;
  const forged = `${good.slice(0, -8)}AAAAAAAA`;
  const seen = [
    [tokens, good],
    [strict, good],
    [tokens, forged],
    [strict, forged],
    [tokens, await token('one', 'nobody')],
    [strict, 'e30.e30.e30'],
  ] as const;
  const verdicts = await Promise.all(seen.map(([by, one]) => by.judge(one, OPEN)));
  assert.deepEqual(
    verdicts.map((one) => one.kind === 'refused' && one.isSigned),
    [true, true, false, false, true, false],
  );
  const { judge: other } = judge();
  const allowed = await other.judge(await token('one', 'nobody'), OPEN);
  assert.ok(allowed.kind === 'refused' && allowed.isSigned);
});
