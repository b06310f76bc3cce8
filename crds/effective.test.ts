/** The policy that a relay gets for a spec: its defaults, and what of it stands for each listener and next hop. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makePolicy } from '#test/fixtures/effectivepolicy.ts';
import { needsKeyPair, startTlsSummary } from './effective.ts';
import { fieldsNotInForce } from './notinforce.ts';

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
