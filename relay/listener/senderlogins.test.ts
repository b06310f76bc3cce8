import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileSenders } from '../addresses/senders.ts';
import type { Identity } from './relaying.ts';
import { compileSenderLogins, refusalOfHeader, refusalOfMailFrom } from './senderlogins.ts';

const find = compileSenderLogins({
  senderLogins: [
    { logins: ['alice', 'system:serviceaccount:shop:*'], certificateNames: [], senders: ['shop.example'] },
    { logins: ['alice'], certificateNames: ['*.jobs.example'], senders: ['jobs@example.com'] },
  ],
});
const who = (login: string | null, certificateNames: string[] = [], senders?: string[]): Identity => ({
  client: '203.0.113.1',
  login:
    login === null
      ? null
      : { name: login, source: 'users', senders: senders ? (compileSenders(senders) ?? null) : null },
  certificateNames,
});
const may = (identity: Identity, from: string) => refusalOfMailFrom(find(identity), from) === undefined;

test('entries that name a login add up, also with those beside its password', () => {
  for (const from of ['a@shop.example', 'jobs@example.com', 'own@example.com'])
    assert.equal(may(who('alice', [], ['own@example.com']), from), true, from);
  assert.equal(may(who('alice'), 'own@example.com'), false);
  assert.equal(may(who('bob', [], ['own@example.com']), 'a@shop.example'), false);
});

test('a star stands for the rest of a name, and who is named nowhere may use any sender', () => {
  assert.equal(may(who('system:serviceaccount:shop:mailer'), 'a@shop.example'), true);
  assert.equal(may(who('system:serviceaccount:shop:mailer'), 'a@other.example'), false);
  for (const login of ['system:serviceaccount:shopping:mailer', 'bob', 'Alice', null])
    assert.equal(find(who(login)), undefined, String(login));
});

test('a certificate is bound by its name, unless its client has logged in', () => {
  const names = ['spiffe://x/y', 'a.jobs.example'];
  assert.equal(may(who(null, names), 'jobs@example.com'), true);
  assert.equal(may(who(null, names), 'a@shop.example'), false);
  assert.equal(find(who(null, ['a.b.jobs.example'])), undefined);
  assert.equal(may(who('bob', names), 'a@other.example'), true);
});

test('the null sender is always taken, and a refusal names the address and the login', () => {
  assert.equal(may(who('alice'), ''), true);
  const own = find(who('alice'));
  assert.ok(own);
  assert.deepEqual(refusalOfMailFrom(own, 'ceo@example.com'), {
    code: 553,
    text: '5.7.1 Sender refused: sender <ceo@example.com> is not one of login "alice"',
    reason: 'sender_login_mismatch',
  });
  assert.match(
    refusalOfHeader(own, { kind: 'not allowed', field: 'From', address: `jö\r\n${'x'.repeat(600)}@y` }).text,
    /^5\.7\.1 Sender refused: From address <j\?\?\?x{300,400}$/,
  );
  const certificate = find(who(null, ['spiffe://x/y', 'a.jobs.example']));
  assert.match(
    refusalOfMailFrom(certificate, 'a@b.example')?.text ?? '',
    /is not one of certificate "a\.jobs\.example"$/,
  );
});
