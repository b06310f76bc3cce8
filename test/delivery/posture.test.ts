/** How deliveries were protected, and what stricter levels would change: hops of every kind, as the relay tells of them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { OutboundPosture } from '#crds/outboundposture.ts';
import type { StricterLevel } from '#crds/tlslevel.ts';
import { makeAuthority } from '#test/kit/ca.ts';
import { Hop, type HopOptions } from '#test/kit/hop.ts';
import { freePort } from '#test/kit/ports.ts';
import { mailrelay, type TestRelay } from '#test/kit/relay.ts';
import { until } from '#test/kit/wait.ts';
import { accepted, objectOf, startRelay } from './story.ts';

const authority = await makeAuthority();
const stranger = await makeAuthority('stranger');
const right = await authority.issue(['localhost']);

type Kind = Omit<HopOptions, 'port'> & { readonly tlsOfRoute?: string };

const OLD = { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'DEFAULT:@SECLEVEL=0' } as const;
const KINDS: Readonly<Record<string, Kind>> = {
  plain: {},
  broken: { pair: right, answer: ({ step }) => (step === 'STARTTLS' ? 'break' : undefined) },
  old: { pair: right, tls: OLD },
  anonymous: { pair: right, tls: { maxVersion: 'TLSv1.2', ciphers: 'aNULL:@SECLEVEL=0' } },
  stranger: { pair: await stranger.issue(['localhost']) },
  misnamed: { pair: await authority.issue(['other.example']) },
  expired: { pair: await authority.issue(['localhost'], { from: -9, until: -1 }) },
  proven: { pair: right },
  verified: { pair: right, tlsOfRoute: ', tls: {level: Verify}' },
  none: { pair: right, tlsOfRoute: ', tls: {level: None}' },
};

const hops = new Map<string, Hop>();
const ports = new Map<string, number>();
let relay: TestRelay;

before(async () => {
  for (const [kind, { tlsOfRoute: _, ...options }] of Object.entries(KINDS)) {
    ports.set(kind, await freePort());
    hops.set(kind, await Hop.start({ port: ports.get(kind) ?? 0, ...options }));
  }
  const routes = Object.entries(KINDS).map(
    ([kind, { tlsOfRoute = '' }]) =>
      `  - {recipientDomains: [${kind}.example], hosts: [{host: localhost, port: ${ports.get(kind)}}]${tlsOfRoute}}`,
  );
  relay = await startRelay({
    outbound: `tls: {level: Opportunistic, discover: [], trustConfigMapName: roots}\nroutes:\n${routes.join('\n')}`,
    documents: objectOf('ConfigMap', 'roots', { 'ca.crt': authority.cert }),
  });
  for (const kind of Object.keys(KINDS)) await accepted(relay, { id: kind, to: [`a@${kind}.example`] });
  for (const [kind, hop] of hops) await until(`the mail of ${kind}`, () => hop.taken.length === 1);
});

after(async () => {
  await relay?.remove();
  for (const hop of hops.values()) await hop.down();
});

function posture(): Promise<OutboundPosture> {
  return until('all deliveries to be counted', async () => {
    const { outbound } = await relay.status();
    return outbound?.deliveries === Object.keys(KINDS).length ? outbound : undefined;
  });
}

function byKind({ wouldWait }: OutboundPosture, level: StricterLevel): Record<string, string | undefined> {
  const { list = [], destinations } = wouldWait.find((one) => one.level === level) ?? {};
  assert.equal(destinations, list.length);
  const kindAt = new Map([...ports].map(([kind, port]) => [`localhost:${port}`, kind]));
  return Object.fromEntries(
    list.map(({ destination, cause }) => [kindAt.get(destination) ?? destination, cause]),
  );
}

test('each stricter level names the destinations that it would make wait, and the cause', async () => {
  const found = await posture();
  // DANE is not looked up, so nothing is known of it, also not of mail in plain text.
  assert.deepEqual(
    found.wouldWait.map(({ level }) => level),
    ['Encrypt', 'Verify'],
  );
  const byEncrypt = {
    plain: 'starttls-missing',
    broken: 'handshake',
    old: 'handshake',
    anonymous: 'handshake',
  };
  assert.deepEqual(byKind(found, 'Encrypt'), byEncrypt);
  assert.deepEqual(byKind(found, 'Verify'), {
    ...byEncrypt,
    stranger: 'certificate-untrusted',
    misnamed: 'certificate-host-mismatch',
    expired: 'certificate-expired',
  });
  const told = JSON.stringify(found.wouldWait);
  assert.match(told, /its certificate is (of no trusted authority|signed by itself)/);
  assert.match(told, /its certificate has expired/);
  assert.doesNotMatch(told, /[A-Z]+_[A-Z]+/, 'a code of OpenSSL');
});

test('the shares tell what was reached and what proved it', async () => {
  const found = await posture();
  const counts = (fact: 'level' | 'version' | 'verifiedBy' | 'fellBack') =>
    Object.fromEntries(found[fact].map(({ value, count }) => [value, count]));
  assert.deepEqual(counts('level'), { None: 3, Opportunistic: 2, Encrypt: 3, Verify: 2 });
  assert.deepEqual(counts('version'), { 'TLSv1.3': 5, 'TLSv1.2': 1, TLSv1: 1, none: 3 });
  assert.deepEqual(counts('verifiedBy'), { PKIX: 1, nothing: 9 });
  assert.deepEqual(counts('fellBack'), { no: 8, 'starttls-missing': 1, handshake: 1 });
  await relay.waitForMetrics(
    /^mailrelay_destinations_below_verify 7$/m,
    /^mailrelay_outbound_deliveries_total\{level="Verify",version="TLSv1\.3",group="X25519MLKEM768",verified_by="PKIX",fell_back="no"\} 1$/m,
  );
});

test('mailrelay status names them, and a restart of the relay keeps them', async () => {
  const status = () => mailrelay(['status', '--admin-port', String(relay.adminPort)]);
  const { stdout } = await status();
  assert.match(stdout, /^outbound +10 deliveries in the last 7 days, .*Encrypt 30%/m);
  assert.match(stdout, /^at Dane +not known: DANE is not looked up$/m);
  assert.match(stdout, /^at Encrypt +mail for 4 destinations of the last 7 days would have waited:$/m);
  assert.match(stdout, new RegExp(`localhost:${ports.get('plain')} .*does not offer STARTTLS`));
  assert.match(
    stdout,
    new RegExp(`localhost:${ports.get('old')} .*it has TLSv1 only, minVersion is TLSv1\\.2`),
  );
  const before = await posture();
  await relay.stop();
  await relay.up();
  assert.deepEqual((await relay.status()).outbound, before);
  // A destination that is mended is no longer named.
  await hops.get('plain')?.down();
  const mended = await Hop.start({ port: ports.get('plain') ?? 0, pair: right });
  hops.set('plain', mended);
  await accepted(relay, { id: 'mended', to: ['b@plain.example'] });
  await until('it is mended', async () => {
    const { outbound } = await relay.status();
    return outbound && !('plain' in byKind(outbound, 'Verify'));
  });
});
