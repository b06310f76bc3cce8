/** Which next hop gets a message, and how it is spoken to. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Authority, makeAuthority } from '#test/kit/ca.ts';
import { Hop, type Said } from '#test/kit/hop.ts';
import { freePort } from '#test/kit/ports.ts';
import type { TestRelay } from '#test/kit/relay.ts';
import { until } from '#test/kit/wait.ts';
import { accepted, objectOf, startRelay } from './story.ts';

const NAMES = [
  'exact',
  'below',
  'sender',
  'second',
  'sick',
  'heavy',
  'light',
  'implicit',
  'named',
  'mutual',
] as const;
type Name = (typeof NAMES)[number];

const hops = {} as Record<Name, Hop>;
let relay: TestRelay;
let authority: Authority;

before(async () => {
  authority = await makeAuthority();
  const pair = await authority.issue(['mx.partner.example', 'localhost']);
  const client = await authority.issue(['relay.example.com']);
  const ports = {} as Record<Name | 'nobody', number>;
  for (const name of [...NAMES, 'nobody'] as const) ports[name] = await freePort();
  const special: Partial<Record<Name, object>> = {
    sick: { answer: ({ step }: Said) => (step === 'greeting' ? 'drop' : undefined) },
    implicit: { pair, implicitTls: true },
    named: { pair },
    mutual: { pair, clientAuthority: authority.cert },
  };
  for (const name of NAMES) hops[name] = await Hop.start({ port: ports[name], ...special[name] });
  const to = (name: Name | 'nobody', more = '') => `{host: 127.0.0.1, port: ${ports[name]}${more}}`;
  relay = await startRelay({
    outbound: `
tls: {level: Opportunistic, discover: [], trustConfigMapName: roots}
smartHosts:
  - ${to('second', ', priority: 20')}
  - ${to('nobody', ', priority: 10')}
  - ${to('sick', ', priority: 15')}
routes:
  - {senders: [boss@client.example, "*.bulk.example"], hosts: [${to('sender')}]}
  - {recipientDomains: [partner.example], hosts: [${to('exact')}]}
  - {recipientDomains: ["*.partner.example"], hosts: [${to('below')}]}
  - {recipientDomains: [shared.example], hosts: [${to('heavy', ', weight: 90')}, ${to('light', ', weight: 10')}]}
  - {recipientDomains: [implicit.example], hosts: [{host: localhost, port: ${ports.implicit}, implicitTLS: true, tls: {level: Verify}}]}
  - {recipientDomains: [named.example], hosts: [${to('named', ', tls: {level: Verify, serverName: mx.partner.example}')}]}
  - {recipientDomains: [wrong.example], hosts: [${to('named', ', tls: {level: Verify, serverName: mx.other.example}')}]}
  - {recipientDomains: [stranger.example], hosts: [${to('named', ', tls: {level: Verify, serverName: mx.partner.example, trustConfigMapName: strangers}')}]}
  - {recipientDomains: [mutual.example], hosts: [${to('mutual', ', tls: {level: Encrypt, clientCertificateSecretName: ours}')}]}
`,
    documents: [
      objectOf('ConfigMap', 'roots', { 'ca.crt': authority.cert }),
      objectOf('ConfigMap', 'strangers', { 'ca.crt': (await makeAuthority('strangers')).cert }),
      objectOf('Secret', 'ours', { 'tls.crt': client.cert, 'tls.key': client.key }),
    ].join(''),
  });
});

after(async () => {
  await relay?.remove();
  for (const hop of Object.values(hops)) await hop.down();
});

async function arrives(id: string, to: string, name: Name, from?: string): Promise<void> {
  await accepted(relay, { id, to: [to], ...(from === undefined ? {} : { from }) });
  await until(`${id} at ${name}`, () => hops[name].ids().includes(id));
}

test('the sender decides where a route says so, before the recipient domain', async () => {
  await arrives('boss', 'a@partner.example', 'sender', 'boss@client.example');
  await arrives('bulk', 'a@partner.example', 'sender', 'news@eu.bulk.example');
  await arrives('not-bulk', 'a@partner.example', 'exact', 'news@bulk.example');
});

test('a recipient domain and its sub-domains go their own ways', async () => {
  await arrives('exact', 'a@PARTNER.example', 'exact');
  await arrives('below', 'a@deep.eu.partner.example', 'below');
});

test('what has no route goes to the first smart host that can be had', async () => {
  for (const id of ['fallback-1', 'fallback-2', 'fallback-3'])
    await arrives(id, 'a@elsewhere.example', 'second');
  // One that failed a moment ago is not asked again with each message.
  assert.equal(hops.sick.sessions, 1);
  assert.equal(relay.stderr.split('"event":"passed_over"').length - 1, 1);
});

test('hosts of one priority share by weight', async () => {
  const ids = Array.from({ length: 60 }, (_, index) => `shared-${index}`);
  await Promise.all(ids.map((id) => accepted(relay, { id, to: ['a@shared.example'] })));
  await until('all of them', () => hops.heavy.taken.length + hops.light.taken.length === ids.length);
  // Of 60 with one chance in ten each: 0 and 30 are beyond belief.
  assert.ok(hops.light.taken.length < 30, `${hops.light.taken.length}`);
  assert.ok(hops.heavy.taken.length > 30, `${hops.heavy.taken.length}`);
});

test('implicit TLS is spoken from the first byte, and its certificate verified', async () => {
  await arrives('implicit', 'a@implicit.example', 'implicit');
  assert.match(hops.implicit.taken[0]?.tls ?? '', /^TLSv1\.[23]$/);
  assert.deepEqual(hops.implicit.lines('STARTTLS'), []);
});

test('serverName is asked for and verified; another name or another authority makes mail wait', async () => {
  await arrives('named', 'a@named.example', 'named');
  assert.equal(hops.named.taken[0]?.servername, 'mx.partner.example');
  for (const [id, why] of [
    ['wrong', /TLS level Verify is not met: .*mx\.other\.example/],
    ['stranger', /TLS level Verify is not met: .*first certificate/],
  ] as const) {
    await accepted(relay, { id, to: [`a@${id}.example`] });
    await relay.waitForReason(why);
  }
  assert.deepEqual(hops.named.ids(), ['named']);
});

test('a client certificate is presented to the hop that wants one', async () => {
  await arrives('mutual', 'a@mutual.example', 'mutual');
  assert.equal(hops.mutual.taken[0]?.client, 'relay.example.com');
});
