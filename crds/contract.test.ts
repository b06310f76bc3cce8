import assert from 'node:assert/strict';
import { BlockList } from 'node:net';
import { test } from 'node:test';
import { changed, document } from '#test/fixtures/manifests.ts';
import fc from '#test/kit/property.ts';
import { effectivePolicy, needsKeyPair, startTlsSummary } from './effective.ts';
import { addNetwork, listCovers } from './networks.ts';
import { fieldsNotInForce } from './notinforce.ts';
import { hashContent, type Policy, parsePolicy, printPolicy } from './policyfile.ts';
import { mailRelaySchema, type Schema } from './schema.ts';
import { compareTlsLevels, TLS_LEVELS } from './tlslevel.ts';
import { parseCpu, parseDuration, parseSize } from './units.ts';
import { validateMailRelay } from './validate.ts';
import { servedPort } from './wellknown.ts';

function makePolicy(changes: Record<string, unknown> = {}): Policy {
  const judged = validateMailRelay(document(changed(changes)));
  assert.equal(judged.kind, 'valid', JSON.stringify(judged));
  const { manifest } = judged as Extract<typeof judged, { kind: 'valid' }>;
  return effectivePolicy(manifest, manifest.spec);
}

test('parseDuration reads the notation of the manifest and nothing else', () => {
  const good: [string, number][] = [
    ['5d', 432_000],
    ['90m', 5_400],
    ['1h30m', 5_400],
    ['45s', 45],
  ];
  for (const [text, seconds] of good) assert.equal(parseDuration(text), seconds, text);
  for (const text of ['', '5', 'd', '1.5h', '-1h', '5 d', '1d2h'])
    assert.equal(parseDuration(text), undefined, text);
});

test('parseSize reads Kubernetes quantities of bytes and nothing else', () => {
  const good: [string, number][] = [
    ['25Mi', 26_214_400],
    ['1.5Gi', 1_610_612_736],
    ['1000', 1000],
    ['2k', 2000],
  ];
  for (const [text, bytes] of good) assert.equal(parseSize(text), bytes, text);
  for (const text of ['', 'Mi', '25MB', '1e3', '-1', '1,5Gi']) assert.equal(parseSize(text), undefined, text);
});

test('parseCpu reads Kubernetes quantities of cores and nothing else', () => {
  const good: [string, number][] = [
    ['500m', 500],
    ['2', 2000],
    ['1.5', 1500],
    ['0.001', 1],
  ];
  for (const [text, thousandths] of good) assert.equal(parseCpu(text), thousandths, text);
  for (const text of ['', 'm', '1.5m', '2k', '-1', '1,5', '0.0001'])
    assert.equal(parseCpu(text), undefined, text);
});

test('addNetwork and listCovers agree on addresses and CIDRs of both families', () => {
  const list = new BlockList();
  for (const text of ['10.20.0.0/16', '192.0.2.7', '2001:db8::/32']) assert.ok(addNetwork(text, list), text);
  for (const text of ['10.0.0.0/33', '10.0.0', 'fe80::1%eth0', '::/129', 'a/8', '10.0.0.0/8/8', '']) {
    assert.equal(addNetwork(text, new BlockList()), false, text);
  }
  for (const inside of ['10.20.3.4', '::ffff:10.20.3.4', '192.0.2.7', '2001:db8::5'])
    assert.ok(listCovers(list, inside), inside);
  for (const outside of ['10.21.0.1', '192.0.2.8', '2001:db9::1', 'nonsense', ''])
    assert.ok(!listCovers(list, outside), outside);
});

test('the order of TLS levels is the order of the list', () => {
  fc.assert(
    fc.property(fc.constantFrom(...TLS_LEVELS), fc.constantFrom(...TLS_LEVELS), (a, b) => {
      assert.equal(
        Math.sign(compareTlsLevels(a, b)),
        Math.sign(TLS_LEVELS.indexOf(a) - TLS_LEVELS.indexOf(b)),
      );
    }),
  );
});

test('a policy survives printing and parsing, and its hash does not depend on the order of keys', () => {
  const policy = makePolicy();
  assert.deepEqual(parsePolicy(printPolicy(policy)), { kind: 'policy', policy });
  const shuffled = Object.fromEntries(Object.entries(policy).toReversed());
  assert.equal(hashContent(shuffled), hashContent(policy));
  assert.equal(printPolicy(shuffled as Policy), printPolicy(policy));
});

test('parsePolicy names the field that is wrong and never throws', () => {
  for (const text of ['', '{', '[]', '{"format":2}']) assert.equal(parsePolicy(text).kind, 'invalid', text);
  const broken = JSON.stringify({ ...makePolicy(), hostname: 5 });
  assert.match((parsePolicy(broken) as { message: string }).message, /^hostname: /);
});

test('effectivePolicy applies the defaults of the reference', () => {
  const policy = makePolicy();
  assert.equal(policy.inbound.minTlsVersion, 'TLSv1.2');
  assert.equal(policy.inbound.limits.messageBytes, 25 * 2 ** 20);
  assert.equal(policy.outbound.tlsLevel, 'Opportunistic');
  assert.equal(policy.queue.expireAfterSeconds, 5 * 86_400);
  const [{ clients, ...listener } = { clients: undefined }] = policy.inbound.listeners;
  assert.deepEqual(listener, {
    name: 'smtp',
    port: 25,
    starttls: 'Enabled',
    implicitTLS: false,
    lineEndings: 'Strict',
    auth: 'Disabled',
    proxyNetworks: [],
    filter: null,
  });
  assert.deepEqual(clients?.networks, []);
});

test('effectivePolicy gives hops the level of the hop, else of the route, else of outbound', () => {
  const { outbound } = makePolicy({
    outbound: {
      tls: { level: 'Encrypt' },
      smartHosts: [{ host: 'a.example' }, { host: 'b.example', implicitTLS: true, tls: { level: 'Verify' } }],
      routes: [
        {
          recipientDomains: ['c.example'],
          tls: { level: 'None' },
          hosts: [{ host: 'c.example', port: 2525 }],
        },
      ],
    },
  });
  assert.deepEqual(
    outbound.smartHosts.map(({ tlsLevel, port }) => [tlsLevel, port]),
    [
      ['Encrypt', 25],
      ['Verify', 465],
    ],
  );
  assert.equal(outbound.routes[0]?.hosts?.[0]?.tlsLevel, 'None');
});

test('effectivePolicy gives hops the oldest TLS version and the certificate of the hop, else of its route, else of outbound', () => {
  const old = {
    host: 'old.example',
    tls: { minVersion: 'TLSv1' as const, clientCertificateSecretName: 'own' },
  };
  const { outbound } = makePolicy({
    outbound: {
      tls: { level: 'Encrypt', minVersion: 'TLSv1.3', clientCertificateSecretName: 'relay' },
      smartHosts: [{ host: 'a.example' }, old],
      routes: [
        { recipientDomains: ['b.example'], tls: { minVersion: 'TLSv1.1' } },
        {
          recipientDomains: ['c.example'],
          tls: { minVersion: 'TLSv1.2' },
          hosts: [{ host: 'c.example' }, old],
        },
      ],
    },
  });
  const [direct, routed] = outbound.routes;
  const hops = [...outbound.smartHosts, ...(routed?.hosts ?? [])];
  assert.deepEqual(
    [outbound, direct, ...hops].map((one) => [one?.tlsLevel, one?.minTlsVersion]),
    [
      ['Encrypt', 'TLSv1.3'],
      ['Encrypt', 'TLSv1.1'],
      ['Encrypt', 'TLSv1.3'],
      ['Encrypt', 'TLSv1'],
      ['Encrypt', 'TLSv1.2'],
      ['Encrypt', 'TLSv1'],
    ],
  );
  assert.equal(outbound.clientCertificateSecret, 'relay');
  assert.deepEqual(
    hops.map(({ clientCertificateSecret }) => clientCertificateSecret),
    ['relay', 'own', 'relay', 'own'],
  );
});

test('a listener that is not enabled is in no policy, and without TLS anywhere no pair is needed', () => {
  const off = makePolicy({
    inbound: {
      listeners: [
        { name: 'a', port: 25 },
        { name: 'b', port: 26, enabled: false },
      ],
    },
  });
  assert.deepEqual(
    off.inbound.listeners.map(({ name }) => name),
    ['a'],
  );
  const plain = makePolicy({
    tls: null,
    inbound: { starttls: 'Disabled', listeners: [{ name: 'a', port: 25 }] },
  });
  assert.equal(needsKeyPair(plain), false);
  assert.equal(needsKeyPair(makePolicy()), true);
  assert.deepEqual(
    makePolicy({ inbound: { enabled: false, listeners: [{ name: 'a', port: 25 }] } }).inbound.listeners,
    [],
  );
});

test('startTlsSummary is one word where all agree, and names the listeners where not', () => {
  assert.equal(startTlsSummary(makePolicy()), 'Enabled');
  const mixed = makePolicy({
    inbound: {
      listeners: [
        { name: 'a', port: 25 },
        { name: 'b', port: 587, starttls: 'Required' },
      ],
    },
  });
  assert.equal(startTlsSummary(mixed), 'a=Enabled,b=Required');
});

test('TLS reports need a sender; without a key for it the status says that none goes by mail', () => {
  const reports = { from: 'tls@mail.example.com' };
  const policyWith = (outbound: object) =>
    makePolicy({ outbound: { tls: { discover: [], reports }, ...outbound } });
  assert.deepEqual(makePolicy().outbound.tlsReports, null);
  assert.deepEqual(policyWith({}).outbound.tlsReports, { from: reports.from, contact: reports.from });
  const off = makePolicy({ outbound: { tls: { reports: { ...reports, enabled: false } } } });
  assert.equal(off.outbound.tlsReports, null);
  const key = (domain: string) => ({ dkim: [{ domain, selector: 's1', secretName: 'dkim' }] });
  assert.deepEqual(fieldsNotInForce(policyWith(key('mail.example.com'))), []);
  assert.deepEqual(fieldsNotInForce(policyWith(key('example.com'))), []);
  for (const outbound of [{}, key('a.mail.example.com'), key('other.example'), key('il.example.com')])
    assert.match(fieldsNotInForce(policyWith(outbound)).join(), /no report goes by mail.*: add a key/);
});

test('reports of others need a listener that strangers may use', () => {
  const smtp = { name: 'smtp', port: 25 };
  const submission = { name: 'submission', port: 587, auth: 'Required' };
  const reports = {
    tlsReports: { address: 'tls-reports@relay.example.com' },
    feedbackReports: { address: 'complaints@relay.example.com' },
  };
  const gaps = (...listeners: object[]) => {
    const clients = { credentialsSecretName: 'users' };
    const policy = makePolicy({
      tls: { secretName: 'tls' },
      inbound: { listeners, clients, ...reports },
    });
    return fieldsNotInForce(policy);
  };
  for (const listeners of [[smtp], [submission, smtp], [{ ...submission, auth: 'Optional' }]])
    assert.deepEqual(gaps(...listeners), []);
  for (const listeners of [[submission], [submission, { ...smtp, enabled: false }]]) {
    const [first, second, ...more] = gaps(...listeners);
    assert.match(first ?? '', /^inbound\.tlsReports: no report can arrive.*: add a/);
    assert.match(second ?? '', /^inbound\.feedbackReports: no report can arrive.*: add a/);
    assert.deepEqual(more, []);
  }
  const none = makePolicy({
    tls: { secretName: 'tls' },
    inbound: { listeners: [submission], clients: { credentialsSecretName: 'users' } },
  });
  assert.deepEqual(fieldsNotInForce(none), [], 'no address, no gap');
});

test('a sidecar is asked at its address and trusted, without another field', () => {
  const sidecar = { image: 'registry.example/unbound:1' };
  const dane = { level: 'Dane', discover: ['DANE'] };
  const policy = makePolicy({ outbound: { tls: dane, resolver: { sidecar } } });
  assert.deepEqual(policy.outbound.resolver, {
    servers: [{ address: '127.0.0.1', port: 10_053 }],
    trustAD: true,
  });
  assert.deepEqual(fieldsNotInForce(policy), []);
});

test('every field that is not enforced is named', () => {
  const asked = makePolicy({ outbound: { tls: { discover: ['DANE'] } } });
  assert.match(fieldsNotInForce(asked).join(), /outbound\.tls\.discover: DANE .*sidecar.*trustAD/);
});

test('DANE is looked up by default where it can be, and nothing is noted where nobody asked for it', () => {
  const trusted = [{ sidecar: { image: 'unbound' } }, { addresses: ['127.0.0.1'], trustAD: true }];
  const others = [undefined, { addresses: ['127.0.0.1'] }, { addresses: ['192.0.2.53'], trustAD: false }];
  for (const [resolvers, discover] of [
    [trusted, ['DANE', 'MTASTS']],
    [others, ['MTASTS']],
  ] as const)
    for (const resolver of resolvers) {
      const policy = makePolicy({ outbound: { ...(resolver ? { resolver } : {}) } });
      assert.deepEqual(policy.outbound.discover, discover);
      assert.deepEqual(fieldsNotInForce(policy), []);
    }
});

test('servedPort keeps unprivileged ports and moves the others', () => {
  assert.deepEqual(
    [25, 587, 465, 1023, 1024, 2525].map(servedPort),
    [10_025, 10_587, 10_465, 11_023, 1024, 2525],
  );
});

test('no field of the schema is without a description', () => {
  const bare: string[] = [];
  walk(mailRelaySchema(), 'MailRelay', bare);
  // The API server allows no description here.
  assert.deepEqual(bare, ['MailRelay.metadata']);
});

function walk(schema: Schema, path: string, bare: string[]): void {
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    if (!field.description) bare.push(`${path}.${name}`);
    walk(field.items ?? field, `${path}.${name}`, bare);
  }
}

test('every string, list and map of the schema is bounded, so that CEL rules have a cost', () => {
  const unbounded: string[] = [];
  walkBounds(mailRelaySchema().properties?.['spec'] ?? {}, 'spec', unbounded);
  assert.deepEqual(unbounded, []);
});

function walkBounds(schema: Schema, path: string, unbounded: string[]): void {
  if (schema.type === 'array' && schema['maxItems'] === undefined) unbounded.push(path);
  if (schema.type === 'string' && schema['maxLength'] === undefined && !schema['enum']) unbounded.push(path);
  if (schema.additionalProperties && schema['maxProperties'] === undefined) unbounded.push(path);
  if (schema.items) walkBounds(schema.items, `${path}[]`, unbounded);
  if (schema.additionalProperties) walkBounds(schema.additionalProperties, `${path}{}`, unbounded);
  for (const [name, field] of Object.entries(schema.properties ?? {}))
    walkBounds(field, `${path}.${name}`, unbounded);
}
