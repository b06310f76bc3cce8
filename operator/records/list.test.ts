import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DnsRecord } from '#crds/dnsrecords.ts';
import { identifyStsPolicy } from '#crds/effectivedns.ts';
import type { PodStatus } from '#crds/podstatus.ts';
import { podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import type { World } from '../world.ts';
import { renderDnsEndpoint } from './endpoint.ts';
import { listRecords } from './list.ts';

const [A, B, C] = ['a', 'b', 'c'].map((letter) => letter.repeat(64)) as [string, string, string];
const LISTENERS = [{ name: 'smtp', port: 25 }];
const DKIM = [{ domain: 'example.com', selector: 's1', secretName: 'dkim' }];
const KEY = { domain: 'example.com', selector: 's1', type: 'rsa', publicKey: 'AAAA' } as const;

function worldOf(
  spec: object,
  reports: readonly (Partial<PodStatus> | undefined)[],
  changes: Partial<World> = {},
) {
  const relay = relayObject({ replicas: reports.length, ...spec });
  const pods = reports.map((report, n) => podView(`relay-${n}`, report && podReport(relay, report)));
  return settledWorld({ relay, pods, ...changes });
}

const serving = (publicKeySha256: string | undefined): Partial<PodStatus> => {
  const { certificate } = podReport(relayObject());
  const { publicKeySha256: _, ...older } = certificate as NonNullable<typeof certificate>;
  return { certificate: publicKeySha256 === undefined ? older : { ...older, publicKeySha256 } };
};

/** A world in which these keys are published. */
function publishing(world: World, ...digests: readonly string[]): World {
  const values = digests.map((digest) => `3 1 1 ${digest}`);
  const record: DnsRecord = { name: '_25._tcp.relay.example.com', type: 'TLSA', ttl: 60, values };
  const live = renderDnsEndpoint(relayObject({ dns: { publish: 'DNSEndpoint' } }), [record]);
  return { ...world, objects: new Map([['DNSEndpoint/relay', live as never]]) };
}

const keysIn = (world: World) =>
  listRecords(world).flatMap(({ type, values }) => (type === 'TLSA' ? values.map((v) => v.slice(6)) : []));
const valuesIn = (world: World, name: string) =>
  listRecords(world).flatMap((record) => (record.name === name ? record.values : []));

test('without spec.dns there are no records but those of the DKIM keys', () => {
  assert.deepEqual(listRecords(worldOf({}, [{}])), []);
  assert.deepEqual(listRecords(worldOf({ outbound: { dkim: DKIM } }, [{ dkimKeys: [KEY] }])), [
    { name: 's1._domainkey.example.com', type: 'TXT', ttl: 3600, values: ['"v=DKIM1; k=rsa; p=AAAA"'] },
  ]);
});

test('TLSA: one record for each port that can encrypt, with the keys that the pods serve', () => {
  const inbound = {
    listeners: [
      ...LISTENERS,
      { name: 'plain', port: 26, starttls: 'Disabled' },
      { name: 'off', port: 587, enabled: false },
      { name: 'submissions', port: 465, implicitTLS: true },
    ],
  };
  const world = worldOf({ inbound, dns: { tlsa: true, ttl: '1h30m' } }, [serving(B), serving(A)]);
  const values = [`3 1 1 ${A}`, `3 1 1 ${B}`];
  assert.deepEqual(listRecords(world), [
    { name: '_25._tcp.relay.example.com', type: 'TLSA', ttl: 5400, values },
    { name: '_465._tcp.relay.example.com', type: 'TLSA', ttl: 5400, values },
  ]);
});

const STRANGER = { kind: 'Pod', metadata: { name: 'relay-2' } };
const SET = { kind: 'StatefulSet', metadata: { name: 'relay' }, status: { replicas: 2 } };
const TLSA = { dns: { tlsa: true, publish: 'DNSEndpoint' } };

test('a published key goes only when every pod has told another one', () => {
  assert.deepEqual(keysIn(publishing(worldOf(TLSA, [serving(A), serving(A)]), A, B)), [A]);
  const silent: [string, World][] = [
    ['a pod that does not answer', worldOf(TLSA, [serving(A), undefined])],
    ['a pod of an older relay', worldOf(TLSA, [serving(A), serving(undefined)])],
    ['a pod that serves nothing', worldOf(TLSA, [serving(A), { certificate: null }])],
    [
      'a pod that is missing',
      { ...worldOf(TLSA, [serving(A)]), relay: relayObject({ replicas: 2, ...TLSA }) },
    ],
    ['a pod that leaves', worldOf(TLSA, [serving(A)], { leaving: [podView('relay-1', undefined)] })],
    ['a stranger of its name', worldOf(TLSA, [serving(A), serving(A)], { strangers: [STRANGER] })],
    ['no pod at all', { ...worldOf(TLSA, []), relay: relayObject({ replicas: 1, ...TLSA }) }],
    ['no pod, as wanted', worldOf(TLSA, [])],
  ];
  for (const [what, world] of silent) assert.ok(keysIn(publishing(world, B)).includes(B), what);
  const one = publishing(worldOf(TLSA, [serving(A)]), B);
  const counted = { ...one, objects: new Map([...one.objects, ['StatefulSet/relay', SET]]) };
  assert.ok(keysIn(counted).includes(B), 'a pod that the StatefulSet counts');
});

test('without a DNSEndpoint the status says what was published', () => {
  const world = worldOf(TLSA, [serving(A), undefined]);
  const record: DnsRecord = {
    name: '_25._tcp.relay.example.com',
    type: 'TLSA',
    ttl: 60,
    values: [`3 1 1 ${C}`],
  };
  const status = { dnsRecords: [{ ...record, values: [...record.values] }] };
  assert.deepEqual(keysIn({ ...world, relay: { ...world.relay, status } }), [A, C]);
});

test('what is no digest is published nowhere, and many keys are cut', () => {
  assert.deepEqual(keysIn(worldOf(TLSA, [serving('"; evil'), serving(A)])), [A]);
  const many = Array.from({ length: 40 }, (_, n) => serving(n.toString(16).padStart(64, '0')));
  assert.equal(keysIn(worldOf(TLSA, many)).length, 16);
});

test('DKIM: a key that no pod tells stays as it was published; one that the spec lost goes', () => {
  const spec = { outbound: { dkim: DKIM } };
  const told = worldOf(spec, [{ dkimKeys: [KEY] }]);
  const published = (world: World) => ({
    ...world,
    relay: { ...world.relay, status: { dnsRecords: listRecords(told) as never } },
  });
  const name = 's1._domainkey.example.com';
  for (const silent of [undefined, {}, { dkimKeys: [{ ...KEY, publicKey: '" "' }] }])
    assert.deepEqual(valuesIn(published(worldOf(spec, [silent])), name), valuesIn(told, name));
  assert.deepEqual(listRecords(published(worldOf({}, [undefined]))), []);
});

test('DKIM: of pods that disagree the first one counts, and a selector has one record', () => {
  const outbound = { dkim: [...DKIM, { ...DKIM[0], secretName: 'other' }] };
  const second = { ...KEY, publicKey: 'BBBB' };
  const world = worldOf({ outbound }, [{ dkimKeys: [KEY] }, { dkimKeys: [second] }]);
  assert.deepEqual(valuesIn(world, 's1._domainkey.example.com'), ['"v=DKIM1; k=rsa; p=AAAA"']);
});

const inbound = { listeners: LISTENERS, acceptDomains: ['a.example', 'b.example', 'a.example'] };

test('MTA-STS: one record for each accepted domain, whose id changes with the policy and with nothing else', () => {
  const idsOf = (mtaSTS: object, dns: object = {}) =>
    ['a', 'b'].map((one) =>
      valuesIn(worldOf({ inbound, dns: { mtaSTS, ...dns } }, [{}]), `_mta-sts.${one}.example`),
    );
  const before = idsOf({ mode: 'Testing' });
  assert.match(String(before[0]), /^"v=STSv1; id=[A-Za-z0-9]{1,32};"$/);
  assert.deepEqual(before[0], before[1]);
  assert.deepEqual(
    idsOf({ mode: 'Testing', mx: ['relay.example.com'], maxAge: '30d' }, { ttl: '5m' }),
    before,
  );
  for (const other of [
    { mode: 'Enforce' },
    { mode: 'Testing', maxAge: '1d' },
    { mode: 'Testing', mx: ['*.a.example'] },
  ])
    assert.notDeepEqual(idsOf(other), before);
});

const SERVED = { mode: 'Testing', serve: { secretName: 'mta-sts-tls' } };
const ID = identifyStsPolicy(
  'version: STSv1\r\nmode: testing\r\nmx: relay.example.com\r\nmax_age: 2592000\r\n',
);
const RECORD = `"v=STSv1; id=${ID};"`;
const HOSTS = ['mta-sts.a.example', 'mta-sts.b.example'];
const told = (id: string, hosts = HOSTS): Partial<PodStatus> => ({ servedPolicy: { id, hosts } });
const served = (reports: readonly (Partial<PodStatus> | undefined)[], changes: Partial<World> = {}) =>
  worldOf({ inbound, dns: { mtaSTS: SERVED, publish: 'DNSEndpoint' } }, reports, changes);
const idsIn = (world: World) => ['a', 'b'].map((one) => valuesIn(world, `_mta-sts.${one}.example`).join());

test('MTA-STS that the pods serve: an id is listed when every pod serves its policy under the name', () => {
  assert.deepEqual(idsIn(served([told(ID), told(ID)])), [RECORD, RECORD]);
  assert.deepEqual(idsIn(served([told(ID), told(ID, ['mta-sts.b.example'])])), ['', RECORD]);
  for (const [what, other] of [
    ['a pod with the policy before', told('0123456789abcdef')],
    ['a pod without a certificate', { servedPolicy: null }],
    ['a pod of an older relay', {}],
    ['a pod that does not answer', undefined],
  ] as const)
    assert.deepEqual(idsIn(served([told(ID), other])), ['', ''], what);
  const fewer = { ...served([told(ID)]), relay: served([told(ID), undefined]).relay };
  assert.deepEqual(idsIn(fewer), ['', ''], 'a pod that is missing');
  assert.deepEqual(idsIn(served([])), ['', '']);
  // Services send nobody to it any more.
  assert.deepEqual(idsIn(served([told(ID)], { leaving: [podView('relay-1', undefined)] })), [RECORD, RECORD]);
});

test('MTA-STS that the pods serve: until then the id before stays', () => {
  const before: DnsRecord = {
    name: '_mta-sts.a.example',
    type: 'TXT',
    ttl: 60,
    values: ['"v=STSv1; id=1;"'],
  };
  const live = renderDnsEndpoint(relayObject({ dns: { publish: 'DNSEndpoint' } }), [before]);
  const publishing = (world: World) => ({
    ...world,
    objects: new Map([['DNSEndpoint/relay', live as never]]),
  });
  assert.deepEqual(idsIn(publishing(served([told(ID), undefined]))), ['"v=STSv1; id=1;"', '']);
  assert.deepEqual(idsIn(publishing(served([told(ID), told(ID)]))), [RECORD, RECORD]);
});

test('the policy hosts are aliases of the relay, where it serves the port that senders ask', () => {
  const aliases = (world: World) => listRecords(world).filter(({ type }) => type === 'CNAME');
  assert.deepEqual(
    aliases(served([undefined])),
    HOSTS.map((name) => ({ name, type: 'CNAME', ttl: 3600, values: ['relay.example.com'] })),
  );
  const [own] = HOSTS;
  const spec = (serve: object) => ({ hostname: own, inbound, dns: { mtaSTS: { mode: 'None', serve } } });
  assert.deepEqual(
    aliases(worldOf(spec(SERVED.serve), [{}])).map(({ name }) => name),
    [HOSTS[1]],
  );
  assert.deepEqual(aliases(worldOf(spec({ ...SERVED.serve, port: 8443 }), [{}])), []);
  const dns = { mtaSTS: SERVED, publish: 'DNSEndpoint', recordTypes: ['TXT'] };
  const { relay } = worldOf({ inbound, dns }, [{}]);
  assert.equal(renderDnsEndpoint(relay, aliases(served([undefined]))), undefined);
});

test('TLS reporting: one record for each accepted domain; a name that is too long for DNS has none', () => {
  const long = `${`${'x'.repeat(60)}.`.repeat(4)}example`.slice(-253);
  const rua = ['mailto:a@example.com', 'https://b.example/c'];
  const world = worldOf(
    { inbound: { ...inbound, acceptDomains: ['a.example', long] }, dns: { tlsReports: { rua } } },
    [{}],
  );
  assert.deepEqual(listRecords(world), [
    {
      name: '_smtp._tls.a.example',
      type: 'TXT',
      ttl: 3600,
      values: ['"v=TLSRPTv1; rua=mailto:a@example.com,https://b.example/c"'],
    },
  ]);
});

test('a spec with a fault changes nothing that is published', () => {
  const world = publishing(worldOf(TLSA, [serving(A)]), B);
  assert.deepEqual(keysIn({ ...world, policy: undefined }), [B]);
});

test('the DNSEndpoint is there only where it is wanted and has something to say', () => {
  const relay = relayObject({ dns: { publish: 'DNSEndpoint' } });
  const record: DnsRecord = { name: 'a.example', type: 'TXT', ttl: 60, values: ['"x"'] };
  assert.equal(renderDnsEndpoint(relayObject({ dns: { tlsa: true } }), [record]), undefined);
  assert.equal(renderDnsEndpoint(relay, []), undefined);
  assert.deepEqual(renderDnsEndpoint(relay, [record])?.['spec'], {
    endpoints: [{ dnsName: 'a.example', recordType: 'TXT', recordTTL: 60, targets: ['"x"'] }],
  });
});
