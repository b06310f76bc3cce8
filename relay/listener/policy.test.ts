import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Listener, STARTTLS_POLICIES, type StartTlsPolicy } from '#crds/policyfile.ts';
import { listenerAt } from '#test/kit/relayrig.ts';
import {
  findRefusal,
  refusalOfLine,
  type SessionRules,
  starttlsOfSession,
  tlsFloorOfSession,
} from './policy.ts';
import { REPLIES } from './reply.ts';

const rules = (
  starttls: StartTlsPolicy,
  auth: Listener['auth'] = 'Disabled',
  hasPair = true,
): SessionRules => ({
  starttls,
  auth,
  offered: { messageBytes: 1000, dsn: true, auth: auth !== 'Disabled', secure: true },
  hasPair,
});
const clear = { secure: false, loggedIn: false, inTransaction: false };
const secure = { secure: true, loggedIn: false, inTransaction: false };
const codeOf = (verb: string, of: SessionRules) => findRefusal(verb, of, clear)?.code;

const VERBS = [
  'EHLO',
  'HELO',
  'NOOP',
  'RSET',
  'QUIT',
  'STARTTLS',
  'MAIL',
  'RCPT',
  'DATA',
  'AUTH',
  'VRFY',
  'BDAT',
];

test('every verb under every policy, before TLS', () => {
  const table = STARTTLS_POLICIES.map((starttls) => [
    starttls,
    Object.fromEntries(VERBS.map((verb) => [verb, codeOf(verb, rules(starttls)) ?? 'ok'])),
  ]);
  const allowed = { EHLO: 'ok', HELO: 'ok', NOOP: 'ok', RSET: 'ok', QUIT: 'ok' };
  assert.deepEqual(Object.fromEntries(table), {
    Disabled: {
      ...allowed,
      STARTTLS: 502,
      MAIL: 'ok',
      RCPT: 'ok',
      DATA: 'ok',
      AUTH: 502,
      VRFY: 'ok',
      BDAT: 'ok',
    },
    Enabled: {
      ...allowed,
      STARTTLS: 'ok',
      MAIL: 'ok',
      RCPT: 'ok',
      DATA: 'ok',
      AUTH: 502,
      VRFY: 'ok',
      BDAT: 'ok',
    },
    Required: {
      ...allowed,
      STARTTLS: 'ok',
      MAIL: 530,
      RCPT: 530,
      DATA: 530,
      AUTH: 530,
      VRFY: 530,
      BDAT: 530,
    },
  });
});

test('after TLS only AUTH is refused, whatever the policy', () => {
  for (const starttls of STARTTLS_POLICIES) {
    const refused = VERBS.filter((verb) => findRefusal(verb, rules(starttls), secure));
    assert.deepEqual(refused, ['AUTH'], starttls);
  }
});

test('a listener with auth Required refuses MAIL without a login', () => {
  assert.equal(findRefusal('MAIL', rules('Enabled', 'Required'), secure), REPLIES.mustLogIn);
  assert.equal(findRefusal('MAIL', rules('Enabled', 'Optional'), secure), undefined);
  assert.equal(findRefusal('MAIL', rules('Required', 'Required'), clear), REPLIES.mustStartTls);
  assert.equal(findRefusal('MAIL', rules('Enabled', 'Required'), { ...secure, loggedIn: true }), undefined);
});

test('a login is heard under TLS only', () => {
  for (const auth of ['Optional', 'Required'] as const) {
    assert.equal(findRefusal('AUTH', rules('Enabled', auth), clear), REPLIES.authNeedsTls);
    assert.equal(findRefusal('AUTH', rules('Disabled', auth), clear), REPLIES.notAvailable);
    assert.equal(findRefusal('AUTH', rules('Enabled', auth), secure), undefined);
    const inside = { ...secure, inTransaction: true };
    assert.equal(findRefusal('AUTH', rules('Enabled', auth), inside), REPLIES.authInTransaction);
  }
});

test('without a pair TLS is unavailable for now, and mail that could have had it waits', () => {
  const without = (starttls: StartTlsPolicy) =>
    ['EHLO', 'STARTTLS', 'MAIL', 'DATA'].map(
      (verb) => codeOf(verb, rules(starttls, 'Disabled', false)) ?? 'ok',
    );
  assert.deepEqual(without('Enabled'), ['ok', 454, 451, 451]);
  assert.deepEqual(without('Required'), ['ok', 454, 451, 451]);
  assert.deepEqual(without('Disabled'), ['ok', 502, 'ok', 'ok']);
});

test('an older TLS version is for the clients that a policy names, and never for a login or implicit TLS', () => {
  const old = { networks: ['a'], starttls: null, minTlsVersion: 'TLSv1' as const, lineEndings: null };
  assert.equal(tlsFloorOfSession(listener('Enabled'), undefined, 'TLSv1.2'), 'TLSv1.2');
  assert.equal(tlsFloorOfSession(listener('Enabled'), old, 'TLSv1.2'), 'TLSv1');
  assert.equal(tlsFloorOfSession(listener('Enabled', 'Required'), old, 'TLSv1.2'), 'TLSv1.2');
  assert.equal(tlsFloorOfSession(listener('Disabled', 'Disabled', true), old, 'TLSv1.2'), 'TLSv1.2');
  assert.equal(
    tlsFloorOfSession(
      listener('Enabled'),
      { ...old, minTlsVersion: 'TLSv1.3', lineEndings: null },
      'TLSv1.2',
    ),
    'TLSv1.3',
  );
});

test('a verb that is not plain ASCII is never taken for another', () => {
  // The library upper-cases by Unicode, where "ı" becomes I and "ſ" becomes S.
  for (const verb of ['MAıL', 'ſTARTTLS', 'DATA\t', '', 'MA\0IL', 'MÄIL', 'mail']) {
    assert.equal(findRefusal(verb, rules('Enabled', 'Required'), secure), REPLIES.notUnderstood, verb);
  }
});

const listener = (
  starttls: StartTlsPolicy,
  auth: Listener['auth'] = 'Disabled',
  implicitTLS = false,
): Listener => listenerAt(25, { starttls, auth, implicitTLS });

const policyOf = (starttls: StartTlsPolicy) => ({
  networks: ['a'],
  starttls,
  minTlsVersion: null,
  lineEndings: null,
});

test('a client policy wins over the listener, either way', () => {
  assert.equal(starttlsOfSession(listener('Enabled'), undefined), 'Enabled');
  assert.equal(starttlsOfSession(listener('Enabled'), policyOf('Required')), 'Required');
  assert.equal(starttlsOfSession(listener('Enabled'), policyOf('Disabled')), 'Disabled');
  const floorOnly = { networks: ['a'], starttls: null, minTlsVersion: 'TLSv1' as const, lineEndings: null };
  assert.equal(starttlsOfSession(listener('Required'), floorOnly), 'Required');
});

test('a client policy never weakens a listener with auth Required, nor one with implicit TLS', () => {
  assert.equal(starttlsOfSession(listener('Required', 'Required'), policyOf('Disabled')), 'Required');
  assert.equal(starttlsOfSession(listener('Enabled', 'Required'), policyOf('Required')), 'Required');
  assert.equal(starttlsOfSession(listener('Disabled', 'Disabled', true), policyOf('Required')), 'Disabled');
});

test('MAIL and RCPT lines that mean different things to different servers are refused', () => {
  const refused = (line: string | Buffer) => {
    const bytes = Buffer.from(line as string);
    return refusalOfLine(bytes.toString('latin1').split(' ')[0] ?? '', bytes, rules('Enabled'))?.code;
  };
  assert.equal(refused('MAIL FROM:<me@example.com> SIZE=1000'), undefined);
  assert.equal(refused('MAIL FROM:<me@example.com> SIZE=1001'), 552);
  assert.equal(refused('MAIL FROM:<me@example.com> BODY=8BITMIME size=99999999999999999999'), 552);
  assert.equal(refused('RCPT TO:<you@example.net>'), undefined);
  assert.equal(refused('RCPT TO:<@hop.example:you@example.net>'), 553);
  assert.equal(refused('MAIL FROM: <@a,@b:me@example.com>'), 553);
  assert.equal(refused(Buffer.from('RCPT TO:<y\xffu@example.net>', 'latin1')), 553);
  assert.equal(refused('RCPT TO:<jürgen@example.net>'), undefined);
  assert.equal(refused('NOOP <@x:y>'), undefined);
  const original = (length: number) => `RCPT TO:<you@example.net> ORCPT=rfc822;${'x'.repeat(length)}`;
  assert.equal(refused(original(500)), undefined);
  assert.equal(refused(original(2_048)), 500);
});
