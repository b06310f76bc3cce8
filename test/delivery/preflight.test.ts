/** Changed logins and client certificates of next hops are tried before they are used. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Authority, makeAuthority, type Pair } from '#test/kit/ca.ts';
import { Hop } from '#test/kit/hop.ts';
import type { Peer } from '#test/kit/peer.ts';
import { freePort } from '#test/kit/ports.ts';
import type { TestRelay } from '#test/kit/relay.ts';
import { startStrictPeer } from '#test/kit/strictpeer.ts';
import { until } from '#test/kit/wait.ts';
import { accepted, manifestOf, objectOf, type Sections, startRelay } from './story.ts';

const USER = 'relay@provider.example';
const base64 = (word: string) => Buffer.from(word).toString('base64');
const authWith = (password: string) => `AUTH PLAIN ${base64(`\0${USER}\0${password}`)}`;

let authority: Authority;
let relay: TestRelay;
let hop: Hop;
let second: Hop;
let peer: Peer;
let outbound: string;
const ports = { hop: 0, second: 0, peer: 0 };
/** What the hop accepts. The other hop with the same Secret accepts everything. */
let known = ['one'];
const used: string[] = [];

const pairOf = ({ cert, key }: Pair) => ({ 'tls.crt': cert, 'tls.key': key });

let password: string | undefined;
let identity: Pair;

function sectionsWith(): Sections {
  if (password !== undefined) used.push(password);
  const login = { username: USER, ...(password === undefined ? {} : { password }) };
  return {
    outbound,
    documents: objectOf('Secret', 'login', login) + objectOf('Secret', 'identity', pairOf(identity)),
  };
}

function edit(changes: { password?: string | undefined; identity?: Pair }): void {
  if ('password' in changes) password = changes.password;
  identity = changes.identity ?? identity;
  relay.edit(manifestOf(relay.ports[0], sectionsWith()));
}

const offers = ['PIPELINING', '8BITMIME', 'AUTH PLAIN'];

before(async () => {
  authority = await makeAuthority();
  const pair = await authority.issue(['localhost']);
  for (const name of ['hop', 'second', 'peer'] as const) ports[name] = await freePort();
  hop = await Hop.start({
    port: ports.hop,
    pair,
    offers,
    answer: ({ step, line }) => {
      if (step !== 'AUTH' || known.some((one) => line === authWith(one))) return undefined;
      return `535 5.7.8 no ${line}`;
    },
  });
  second = await Hop.start({ port: ports.second, pair, offers });
  peer = await startStrictPeer({ port: ports.peer, pair, authority: authority.cert });
  identity = await authority.issue(['relay.example.com']);
  password = 'one';
  const to = (at: number, more: string) => `hosts: [{host: 127.0.0.1, port: ${at}, ${more}}]`;
  outbound = `
tls: {level: Encrypt, discover: []}
limits: {messagesPerConnection: 1}
routes:
  - {recipientDomains: [login.example], ${to(ports.hop, 'credentialsSecretName: login')}}
  - {recipientDomains: [second.example], ${to(ports.second, 'credentialsSecretName: login')}}
  - {recipientDomains: [pair.example], ${to(ports.peer, 'tls: {clientCertificateSecretName: identity}')}}
`;
  relay = await startRelay(sectionsWith());
});

after(async () => {
  await relay?.remove();
  await Promise.all([hop?.down(), second?.down(), peer?.stop()]);
});

const queue = async () => (await relay.status()).queue;
const heldBack = async () => (await queue()).secretsHeldBack ?? [];
const taken = (at: keyof typeof ports) =>
  relay.stderr
    .split('\n')
    .filter((line) => line.includes('"secret_taken"') && line.includes(`:${ports[at]}"`)).length;

async function arrives(id: string, at = hop, domain = 'login.example'): Promise<void> {
  await accepted(relay, { id, to: [`a@${domain}`] });
  await until(`${id} to arrive`, () => at.ids().includes(id));
}

test('a new login that the hop refuses is held back there, and mail goes on with the old one', async () => {
  await arrives('first');
  edit({ password: 'two' });
  const [held] = await until('the refusal', async () => {
    const all = await heldBack();
    return all.length > 0 ? all : undefined;
  });
  assert.match(
    held?.message ?? '',
    /^The new contents of Secret "login" wait, .*: 4\.7\.8 127\.0\.0\.1:\d+ refuses our login \(535 5\.7\.8\): check/,
  );
  await arrives('goes-on');
  assert.equal(hop.lines('AUTH').at(-1), authWith('one'));
  assert.deepEqual((await queue()).loginsRefused, []);
  // One trial, and a minute until the next one: accounts are locked by many wrong logins.
  assert.equal(hop.lines('AUTH').filter((line) => line === authWith('two')).length, 1);
  // The other hop of this Secret has accepted it.
  await until('its trial', () => second.lines('NOOP').length === 1);
  await arrives('elsewhere', second, 'second.example');
  assert.equal(second.lines('AUTH').at(-1), authWith('two'));
});

test('the new login is taken at once when the hop refuses the old one, and no mail waits', async () => {
  known = ['two'];
  await arrives('changed');
  assert.deepEqual(hop.lines('AUTH').slice(-2), [authWith('one'), authWith('two')]);
  await until('no word of it', async () => (await heldBack()).length === 0);
  assert.deepEqual((await queue()).loginsRefused, []);
});

test('a new login that the hop accepts is taken after EHLO, STARTTLS, AUTH and NOOP', async () => {
  known = ['two', 'three'];
  const sessions = hop.sessions;
  edit({ password: 'three' });
  await until('its trial', () => hop.lines('NOOP').length > 0);
  const steps = () => hop.said.filter(({ session }) => session === sessions + 1).map(({ step }) => step);
  await until('its end', () => steps().includes('QUIT'));
  assert.deepEqual(steps(), ['EHLO', 'STARTTLS', 'EHLO', 'AUTH', 'NOOP', 'QUIT']);
  await until('both hops to have it', () => taken('hop') === 2 && taken('second') === 2);
  await arrives('third');
  assert.equal(hop.lines('AUTH').at(-1), authWith('three'));
});

test('the right login is taken at once where the hop refuses the old one already', async () => {
  known = ['four'];
  await accepted(relay, { id: 'waits', to: ['a@login.example'] });
  await until('the refusal', async () => (await queue()).loginsRefused.length === 1);
  edit({ password: 'four' });
  await until('it to arrive', () => hop.ids().includes('waits'));
  await until('no refusal', async () => (await queue()).loginsRefused.length === 0);
});

test('a hop that is away holds nothing back', async () => {
  await hop.down();
  const before = taken('hop');
  edit({ password: 'five' });
  await until('it to be taken', () => taken('hop') > before);
  known = ['four', 'five'];
  await hop.up();
  await arrives('back');
  assert.equal(hop.lines('AUTH').at(-1), authWith('five'));
  await until('nothing to be held back', async () => (await heldBack()).length === 0);
});

test('a Secret that lacks its password is not held back', async () => {
  edit({ password: undefined });
  await until('the fault', async () => (await relay.status()).missing.some((one) => one.includes('"login"')));
  // That is the word of the supervisor. The router, which delivers, hears of one change after the other.
  const before = taken('peer');
  edit({ identity: await authority.issue(['relay.example.com']) });
  await until('the router to know', () => taken('peer') > before);
  const sessions = hop.sessions;
  await accepted(relay, { id: 'without', to: ['a@login.example'] });
  await relay.waitForReason(/"login" lacks password/);
  assert.equal(hop.sessions, sessions);
  edit({ password: 'five' });
  await until('it to arrive', () => hop.ids().includes('without'));
});

test('a client certificate that the hop refuses by an alert is held back, and a right one is taken', async () => {
  const sent = async (id: string) => {
    await accepted(relay, { id, to: ['a@pair.example'] });
    await peer.message(id);
  };
  await sent('pair-1');
  edit({ identity: await (await makeAuthority('another CA')).issue(['relay.example.com']) });
  const [held] = await until('the refusal', async () => {
    const all = await heldBack();
    return all.length > 0 ? all : undefined;
  });
  assert.match(held?.message ?? '', /^The new contents of Secret "identity" wait, .*: .*alert/);
  await sent('pair-2');
  const before = taken('peer');
  edit({ identity: await authority.issue(['new.example.com']) });
  await until('it to be taken', async () => taken('peer') > before && (await heldBack()).length === 0);
  await sent('pair-3');
});

test('a client certificate that no connection could use is held back, and a right one is taken', async () => {
  const right = identity;
  const { key } = await authority.issue(['x.example.com']);
  for (const [at, broken] of [
    { ...right, key },
    { ...right, cert: 'garbage' },
  ].entries()) {
    edit({ identity: broken });
    await until('the fault', async () => (await heldBack()).length === 1);
    const id = `broken-${at}`;
    await accepted(relay, { id, to: ['a@pair.example'] });
    await peer.message(id);
    const before = taken('peer');
    edit({ identity: await authority.issue(['new.example.com']) });
    await until('it to be taken', async () => taken('peer') > before && (await heldBack()).length === 0);
  }
});

test('no log, status or metric shows a password', async () => {
  const shown = relay.stdout + relay.stderr + JSON.stringify(await relay.status()) + (await relay.metrics());
  for (const one of used) assert.equal(shown.includes(authWith(one).split(' ')[2] ?? ''), false, one);
});
