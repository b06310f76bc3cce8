import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clients } from '#crds/policyfile.ts';
import { clientsOf } from '#test/kit/relayrig.ts';
import { findClientPolicy, type Identity, makeRelaying } from './relaying.ts';

const accepted = ['example.com', 'xn--mller-kva.example'];
const networks = ['10.20.0.0/16', '2001:db8::/32', '192.0.2.7'];
const relaying = makeRelaying(clientsOf({ networks }), accepted);
const who = (changes: Partial<Identity> = {}): Identity => ({
  client: '203.0.113.1',
  login: null,
  certificateNames: [],
  ...changes,
});

const INSIDE = ['10.20.255.255', '::ffff:10.20.0.1', '2001:db8::1', '192.0.2.7'];
const OUTSIDE = ['10.21.0.1', '::ffff:10.21.0.1', '2001:db9::1', '192.0.2.8', '127.0.0.1', '', 'nonsense'];
const codeOf = (client: string, to: string) =>
  relaying.refusalOfRecipient(who({ client }), 'me@x.example', to)?.code;

test('clients in the trusted networks may send anywhere', () => {
  for (const client of INSIDE) assert.equal(codeOf(client, 'you@anywhere.example'), undefined, client);
});

test('everyone else may send to accepted domains only', () => {
  for (const client of OUTSIDE) {
    assert.equal(codeOf(client, 'you@Example.com'), undefined, client);
    assert.equal(codeOf(client, 'you@müller.example'), undefined, client);
    assert.equal(codeOf(client, 'you@anywhere.example'), 550, client);
    assert.equal(codeOf(client, 'you@sub.example.com'), 550, client);
    assert.equal(codeOf(client, 'you@notexample.com'), 550, client);
  }
});

test('everyone may send to the address for TLS reports, and to no other of its domain', () => {
  const address = 'tls-reports@relay.example';
  const { refusalOfRecipient } = makeRelaying(clientsOf({ networks }), accepted, (to) => to === address);
  for (const client of OUTSIDE) {
    assert.equal(refusalOfRecipient(who({ client }), '', address), undefined, client);
    assert.equal(refusalOfRecipient(who({ client }), '', 'you@relay.example')?.code, 550, client);
  }
});

test('routing in disguise is refused from everyone', () => {
  for (const client of [...INSIDE, ...OUTSIDE]) {
    assert.equal(codeOf(client, 'you%anywhere.example@example.com'), 553, client);
    assert.equal(codeOf(client, 'anywhere.example!you@example.com'), 553, client);
  }
});

test('a return address of ours may contain a sender with routing, in no other domain and no other form', () => {
  const { refusalOfRecipient } = makeRelaying(clientsOf({ networks }), accepted, undefined, 'example.com');
  const code = (to: string) => refusalOfRecipient(who(), '', to)?.code;
  assert.equal(code('SRS0=hash=tt=x.example=a%b@example.com'), undefined);
  assert.equal(code('srs1=hash=fwd.example==hash=tt=x.example=x!y@example.com'), undefined);
  assert.equal(code('SRS0=hash=tt=x.example=a%b@müller.example'), 553);
  assert.equal(code('a%SRS0=hash=tt=x.example=b@example.com'), 553);
  assert.equal(codeOf('127.0.0.1', 'SRS0=hash=tt=x.example=a%b@example.com'), 553);
});

test('a login relays from anywhere, and so does a certificate with an allowed name', () => {
  const certificates = { trustConfigMap: 'ca', names: ['app.example.com', '*.jobs.example.com'] };
  const mixed = makeRelaying(clientsOf({ networks: [], certificates }), []);
  const may = (identity: Partial<Identity>) =>
    mixed.refusalOfRecipient(who(identity), '', 'you@anywhere.example') === undefined;
  assert.equal(may({}), false);
  assert.equal(may({ login: { name: 'alice', source: 'users', senders: null } }), true);
  assert.equal(may({ certificateNames: ['app.example.com'] }), true);
  assert.equal(may({ certificateNames: ['a.jobs.example.com'] }), true);
  assert.equal(may({ certificateNames: ['a.b.jobs.example.com', 'other.example.com'] }), false);
});

test('users of two Secrets, subjects and certificates are counted apart, a certificate by its first allowed name', () => {
  const certificates = { trustConfigMap: 'users', names: ['*.example.com'] };
  const { loginOf } = makeRelaying(clientsOf({ networks, certificates }), accepted);
  const user = (source: string) => who({ login: { name: 'app.example.com', source, senders: null } });
  const named = (...certificateNames: string[]) => who({ certificateNames });
  const counted = [
    user('users'),
    user('others'),
    user('https://issuer.example'),
    named('app.example.com'),
    named('x.example', 'b.example.com'),
  ].map(loginOf);
  assert.equal(new Set(counted).size, 5);
  assert.equal(loginOf(named('a.b.example.com', 'b.example.com', 'a.example.com')), counted.at(-1));
  for (const none of [named('x.example'), who({ client: '10.20.0.1' })])
    assert.equal(loginOf(none), undefined);
});

test('those who may relay are held to their domains, and may still write to accepted ones', () => {
  const restricted: Partial<Clients> = {
    networks,
    senderDomains: ['shop.example', '*.shop.example', 'xn--mller-kva.example'],
    recipientDomains: ['partner.example'],
  };
  const held = makeRelaying(clientsOf(restricted), accepted);
  const code = (from: string, to: string) =>
    held.refusalOfRecipient(who({ client: '10.20.0.1' }), from, to)?.code ?? 'ok';
  assert.equal(code('a@shop.example', 'you@partner.example'), 'ok');
  assert.equal(code('a@eu.shop.example', 'you@partner.example'), 'ok');
  assert.equal(code('a@müller.example', 'you@partner.example'), 'ok');
  assert.equal(code('', 'you@partner.example'), 'ok');
  assert.equal(code('a@other.example', 'you@partner.example'), 553);
  assert.equal(code('a@shop.example', 'you@other.example'), 550);
  assert.equal(code('a@other.example', 'you@example.com'), 'ok');
});

test('the first client policy that names the network is that of the client', () => {
  const of = findClientPolicy({
    clientPolicies: [
      { networks: ['198.51.100.0/24'], starttls: 'Required', minTlsVersion: null },
      { networks: ['198.51.0.0/16'], starttls: 'Disabled', minTlsVersion: null },
    ],
  } as never);
  assert.equal(of('198.51.100.9')?.starttls, 'Required');
  assert.equal(of('198.51.101.9')?.starttls, 'Disabled');
  assert.equal(of('198.52.100.9'), undefined);
});
