import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Listener, STARTTLS_POLICIES, type StartTlsPolicy } from '#crds/policyfile.ts';
import { refusalOf, refusalOfLine, type SessionRules, starttlsOfSession } from './policy.ts';
import { REPLIES } from './reply.ts';

const rules = (starttls: StartTlsPolicy, authRequired = false): SessionRules => ({
  starttls,
  authRequired,
  messageBytes: 1000,
});
const codeOf = (verb: string, of: SessionRules, secure: boolean) => refusalOf(verb, of, secure)?.code;

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
    Object.fromEntries(VERBS.map((verb) => [verb, codeOf(verb, rules(starttls), false) ?? 'ok'])),
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
    const refused = VERBS.filter((verb) => refusalOf(verb, rules(starttls), true));
    assert.deepEqual(refused, ['AUTH'], starttls);
  }
});

test('a listener with auth Required refuses MAIL until somebody can log in', () => {
  assert.equal(refusalOf('MAIL', rules('Enabled', true), true), REPLIES.mustLogIn);
  assert.equal(refusalOf('MAIL', rules('Required', true), false), REPLIES.mustStartTls);
});

test('a verb that is not plain ASCII is never taken for another', () => {
  // The library upper-cases by Unicode, where "ı" is an I and "ſ" an S.
  for (const verb of ['MAıL', 'ſTARTTLS', 'DATA\t', '', 'MA\0IL', 'MÄIL', 'mail']) {
    assert.equal(refusalOf(verb, rules('Enabled', true), true), REPLIES.notUnderstood, verb);
  }
});

const listener = (
  starttls: StartTlsPolicy,
  auth: Listener['auth'] = 'Disabled',
  implicitTLS = false,
): Listener => ({
  name: 'smtp',
  port: 25,
  starttls,
  implicitTLS,
  auth,
});

test('the first client policy that matches wins over the listener, either way', () => {
  const policies = [
    { networks: ['a'], starttls: 'Required' as const },
    { networks: ['b'], starttls: 'Disabled' as const },
  ];
  const of = (matching: number[]) =>
    starttlsOfSession(listener('Enabled'), policies, (index) => matching.includes(index));
  assert.deepEqual([of([]), of([0]), of([1]), of([0, 1])], ['Enabled', 'Required', 'Disabled', 'Required']);
});

test('a client policy never weakens a listener with auth Required, nor one with implicit TLS', () => {
  const weak = [{ networks: ['a'], starttls: 'Disabled' as const }];
  const strong = [{ networks: ['a'], starttls: 'Required' as const }];
  const all = () => true;
  assert.equal(starttlsOfSession(listener('Required', 'Required'), weak, all), 'Required');
  assert.equal(starttlsOfSession(listener('Enabled', 'Required'), strong, all), 'Required');
  assert.equal(starttlsOfSession(listener('Disabled', 'Disabled', true), strong, all), 'Disabled');
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
});
