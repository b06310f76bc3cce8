/** The story of mx.test.ts: a small DNS server on port 53 and next hops on port 25, nothing else in the network. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Authority, makeAuthority } from '#test/kit/ca.ts';
import { Hop } from '#test/kit/hop.ts';
import { NameServer, type Names } from '#test/kit/nameserver.ts';
import type { TestRelay } from '#test/kit/relay.ts';
import { until } from '#test/kit/wait.ts';
import { accepted, manifestOf, objectOf, type Sections, startRelay } from './story.ts';

/** What a failover, or the pods of a headless Service, do to a name. */
const moving = { A: ['192.0.2.9'] };

const NAMES: Names = {
  'best.example': {
    MX: [
      [20, 'second.host.example'],
      [10, 'first.host.example'],
    ],
  },
  'failover.example': {
    MX: [
      [10, 'dead.host.example'],
      [20, 'second.host.example'],
    ],
  },
  'nomx.example': { A: ['192.0.2.1'] },
  'nothing.example': {},
  'half.example': { broken: ['AAAA'] },
  'null.example': { MX: [[0, '.']] },
  'ours.example': {
    MX: [
      [10, 'relay.example.com'],
      [20, 'second.host.example'],
    ],
  },
  'behind.example': {
    MX: [
      [10, 'first.host.example'],
      [20, 'relay.example.com'],
      [30, 'second.host.example'],
    ],
  },
  'broken.example': { broken: true },
  'verified.example': { MX: [[10, 'mx.verified.example']] },
  'mx.verified.example': { A: ['192.0.2.3'] },
  'mutual.example': { MX: [[10, 'mutual.host.example']] },
  'mutual.host.example': { A: ['192.0.2.5'] },
  'pretended.example': { MX: [[10, 'mx.verified.example']] },
  'both.example': { MX: [[10, 'both.host.example']] },
  'six.example': { MX: [[10, 'both.host.example']] },
  'first.host.example': { A: ['192.0.2.1'] },
  'second.host.example': { A: ['192.0.2.2'] },
  'dead.host.example': { A: ['192.0.2.9'] },
  'both.host.example': { A: ['192.0.2.4'], AAAA: ['2001:db8::1'] },
  'moving.host.example': moving,
  // The file of hosts says another one.
  'listed.host.example': { A: ['192.0.2.9'] },
  'client.example': { A: ['192.0.2.1'] },
  // A search list with a wildcard, as some clusters have.
  '*.wild.example': { A: ['192.0.2.8'], MX: [[10, 'trap.wild.example']] },
  'searched.example': { MX: [[10, 'first.host.example']] },
  'gone.example': { MX: [[10, 'no.such.host.example']] },
  'looped.example': { MX: [[10, 'mirror.host.example']] },
  'mirror.host.example': { A: ['192.0.2.7'] },
  'loopback.example': { MX: [[10, 'loopback.host.example']] },
  'loopback.host.example': { A: ['127.0.0.1', '0.0.0.0'] },
  'localhost.example': { MX: [[10, 'localhost']] },
  'linklocal.example': { A: ['169.254.169.254'] },
  'mixed.example': { MX: [[10, 'mixed.host.example']] },
  'mixed.host.example': { A: ['127.0.0.1', '192.0.2.1'] },
  'many.example': { MX: Array.from({ length: 12 }, (_, index) => [10, `m${index}.host.example`] as const) },
  ...Object.fromEntries(
    Array.from({ length: 12 }, (_, index) => [
      `m${index}.host.example`,
      { A: [index === 7 ? '192.0.2.2' : '192.0.2.9'] },
    ]),
  ),
};

let names: NameServer;
let relay: TestRelay;
let authority: Authority;
const hops: Hop[] = [];
let first: Hop;
let second: Hop;
let verified: Hop;
let mutual: Hop;
let four: Hop;
let six: Hop;
let mirror: Hop;
let trap: Hop;

before(async () => {
  names = await NameServer.start(NAMES);
  authority = await makeAuthority();
  const pair = await authority.issue(['mx.verified.example']);
  const open = async (host: string, options: object = {}) => {
    const hop = await Hop.start({ port: 25, host, ...options });
    hops.push(hop);
    return hop;
  };
  first = await open('192.0.2.1');
  second = await open('192.0.2.2');
  verified = await open('192.0.2.3', { pair });
  mutual = await open('192.0.2.5', { pair, clientAuthority: authority.cert });
  four = await open('192.0.2.4');
  six = await open('2001:db8::1');
  mirror = await open('192.0.2.7', {
    answer: ({ step }: { step: string }) => (step === 'greeting' ? '220 relay.example.com ESMTP' : undefined),
  });
  trap = await open('192.0.2.8');
  await open('127.0.0.1');
  relay = await startRelay(await sections('relay.example.com'));
});

/** `client` is the name in the client certificate of the relay. */
async function sections(client: string): Promise<Sections> {
  const { cert, key } = await authority.issue([client]);
  return {
    outbound: `
tls: {level: Opportunistic, discover: [], trustConfigMapName: roots, clientCertificateSecretName: ours}
ipFamily: IPv4
routes:
  - {recipientDomains: [verified.example, pretended.example], tls: {level: Verify}}
  - {recipientDomains: [byroute.example], hosts: [{host: mutual.host.example.}]}
  - {recipientDomains: [six.example], hosts: [{host: both.host.example., ipFamily: PreferIPv6}]}
  - {recipientDomains: [moving.example], hosts: [{host: moving.host.example., ipFamily: Any}]}
  - {recipientDomains: [listed.example], hosts: [{host: listed.host.example, ipFamily: Any}]}
`,
    documents: [
      objectOf('ConfigMap', 'roots', { 'ca.crt': authority.cert }),
      objectOf('Secret', 'ours', { 'tls.crt': cert, 'tls.key': key }),
    ].join(''),
  };
}

after(async () => {
  await relay?.remove();
  for (const hop of hops) await hop.down();
  names?.stop();
});

async function arrives(to: string, hop: Hop): Promise<void> {
  const id = to.replaceAll(/\W/g, '-');
  await accepted(relay, { id, to: [to] });
  await until(`${id} to arrive`, () => hop.ids().includes(id));
}

async function returned(to: string, why: RegExp): Promise<void> {
  await accepted(relay, { id: to, to: [to] });
  const report = await until('the report', () =>
    first.taken.find(({ from, text }) => from === '' && text.includes(to)),
  );
  assert.match(report.text, why);
}

async function waits(to: string, why: RegExp): Promise<void> {
  await accepted(relay, { id: to, to: [to] });
  await relay.waitForReason(why);
}

test('the best MX gets the mail, the next one when it cannot be had, the domain itself without any', async () => {
  await arrives('a@best.example', first);
  await arrives('a@failover.example', second);
  await arrives('a@nomx.example', first);
  await arrives('a@[192.0.2.2]', second);
});

test('a null MX, a domain that does not exist or has no address, and an MX that is this relay go back at once', async () => {
  await returned('a@null.example', /5\.1\.10 .*null MX/);
  await returned('a@nothing.example', /5\.4\.4 .*neither an MX nor an address/);
  await returned('a@missing.example', /5\.1\.2 .*does not exist/);
  await returned('a@ours.example', /5\.4\.6 The best MX of ours\.example is this relay/);
  // Better ones than ourselves may have it.
  await arrives('a@behind.example', first);
});

test('a name server that fails makes mail wait, and not its neighbours', async () => {
  await waits('a@broken.example', /^4\.4\.3 Cannot look up the MX of broken\.example/);
  await waits('a@half.example', /^4\.4\.3 .*half\.example/);
  await arrives('b@best.example', first);
});

test('a certificate must name the domain, or a host below it: DNS alone proves nothing', async () => {
  await arrives('a@verified.example', verified);
  assert.match(verified.taken[0]?.tls ?? '', /^TLS/);
  await waits('a@pretended.example', /TLS level Verify is not met: .*pretended\.example/);
  assert.equal(verified.taken.length, 1);
});

test('a host that asks for a certificate gets that of outbound.tls, and a renewed one without a restart', async () => {
  await arrives('a@mutual.example', mutual);
  await arrives('a@byroute.example', mutual);
  const { routerStarts } = (await relay.status()).tasks;
  relay.edit(manifestOf(relay.ports[0], await sections('renewed.example.com')));
  // The connections that were made with the old pair end when the new one is read.
  await until('the renewed certificate', async () => {
    await accepted(relay, { id: `at-${Date.now()}`, to: ['b@mutual.example'] });
    return mutual.taken.at(-1)?.client === 'renewed.example.com';
  });
  assert.equal((await relay.status()).tasks.routerStarts, routerStarts);
  assert.deepEqual(
    [...new Set(mutual.taken.map(({ client, tls }) => [client, tls].join()))],
    ['relay.example.com,TLSv1.3', 'renewed.example.com,TLSv1.3'],
  );
});

test('the family of addresses is chosen', async () => {
  await arrives('a@both.example', four);
  await arrives('a@six.example', six);
});

test('a name that moves is followed, and the file of hosts comes before DNS', async () => {
  await arrives('a@listed.example', second);
  await waits('a@moving.example', /moving\.host\.example\.:25: .*192\.0\.2\.9/);
  moving.A = ['192.0.2.2'];
  await until('it to arrive', () => second.ids().includes('a@moving.example'));
});

test('names out of DNS are absolute: a wildcard of the search list gets nothing', async () => {
  await arrives('a@searched.example', first);
  await waits('a@gone.example', /no\.such\.host\.example: the name does not exist/);
  await returned('b@missing.example', /5\.1\.2 .*does not exist/);
  assert.equal(trap.sessions, 0);
});

test('a mail host that would be this machine or this link is no mail host, in whatever way it is written', async () => {
  await returned('a@loopback.example', /5\.4\.4 .*no mail host can have \(127\.0\.0\.1\)/);
  await returned('a@localhost.example', /5\.4\.4 .*localhost/);
  await returned('a@linklocal.example', /5\.4\.4 .*169\.254\.169\.254/);
  await returned('a@[127.0.0.1]', /5\.4\.4 /);
  await returned('a@[ipv6:::ffff:7f00:1]', /5\.4\.4 /);
  await arrives('a@mixed.example', first);
  await returned('a@looped.example', /5\.4\.6 .*calls itself by the name of this relay/);
  assert.equal(mirror.taken.length, 0);
});

test('a few hosts are tried at once, and the next attempt begins with others', async () => {
  await arrives('a@many.example', second);
});
