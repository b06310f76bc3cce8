import assert from 'node:assert/strict';
import { test } from 'node:test';
import { effectivePolicy } from '#crds/effective.ts';
import { relayObject } from '#test/fixtures/world.ts';
import { listHostCertificates } from '../records/certificates.ts';
import { renderCertificates } from './certificate.ts';

function certificates(tls: unknown): Record<string, unknown>[] {
  const relay = relayObject({ tls });
  return renderCertificates(relay, effectivePolicy(relay.metadata, relay.spec)).map(({ metadata, spec }) => ({
    name: metadata.name,
    ...(spec as Record<string, unknown>),
  }));
}

test('without an issuer cert-manager is asked for nothing', () => {
  assert.deepEqual(certificates({ secretName: 'relay-tls', internal: { secretName: 'inside' } }), []);
});

test('an issuer alone: ECDSA P-256, and times are left to cert-manager', () => {
  assert.deepEqual(certificates({ issuerRef: { name: 'ca', kind: 'ClusterIssuer' } }), [
    {
      name: 'relay',
      secretName: 'relay-tls',
      commonName: 'relay.example.com',
      dnsNames: ['relay.example.com'],
      issuerRef: { name: 'ca', kind: 'ClusterIssuer', group: 'cert-manager.io' },
      usages: ['digital signature', 'server auth'],
      privateKey: { algorithm: 'ECDSA', size: 256, rotationPolicy: 'Always' },
    },
  ]);
});

test('a key that DNS publishes stays with each renewal; that inside the cluster is new', () => {
  const issuerRef = { name: 'ca' };
  const relay = relayObject({ tls: { issuerRef, internal: { issuerRef } }, dns: { tlsa: true } });
  const rendered = renderCertificates(relay, effectivePolicy(relay.metadata, relay.spec));
  assert.deepEqual(
    rendered.map(
      ({ spec }) => (spec as { privateKey: { rotationPolicy: string } }).privateKey.rotationPolicy,
    ),
    ['Never', 'Always'],
  );
});

test('times and key are asked for as cert-manager writes them', () => {
  const [wanted] = certificates({
    issuerRef: { name: 'ca' },
    duration: '90d',
    renewBefore: '36h30m',
    privateKey: { algorithm: 'RSA' },
  });
  assert.equal(wanted?.['duration'], '2160h0m0s');
  assert.equal(wanted?.['renewBefore'], '36h30m0s');
  assert.deepEqual(wanted?.['privateKey'], { algorithm: 'RSA', size: 2048, rotationPolicy: 'Always' });
  assert.deepEqual(wanted?.['usages'], ['digital signature', 'key encipherment', 'server auth']);
  const [edwards] = certificates({ issuerRef: { name: 'ca' }, privateKey: { algorithm: 'Ed25519' } });
  assert.deepEqual(edwards?.['privateKey'], { algorithm: 'Ed25519', rotationPolicy: 'Always' });
});

test('the certificate inside the cluster names the Service, from near and from far', () => {
  const [, inside] = certificates({
    issuerRef: { name: 'letsencrypt' },
    internal: { issuerRef: { name: 'ca' }, clusterDomain: 'corp.example' },
  });
  assert.equal(inside?.['name'], 'relay-internal');
  assert.equal(inside?.['secretName'], 'relay-internal-tls');
  assert.deepEqual(inside?.['dnsNames'], [
    'relay',
    'relay.mail',
    'relay.mail.svc',
    'relay.mail.svc.corp.example',
  ]);
});

test('further names stand beside that of the host, each once', () => {
  const [host, inside] = certificates({
    issuerRef: { name: 'ca' },
    dnsNames: ['mail.example.com', 'relay.example.com', '*.example.com'],
    internal: { issuerRef: { name: 'ca' }, dnsNames: ['smtp.corp.example', 'relay.mail'] },
  });
  assert.deepEqual(host?.['dnsNames'], ['relay.example.com', 'mail.example.com', '*.example.com']);
  assert.deepEqual(inside?.['dnsNames'], [
    'relay',
    'relay.mail',
    'relay.mail.svc',
    'relay.mail.svc.cluster.local',
    'smtp.corp.example',
  ]);
});

test('the common name is the first name that X.509 has room for, and nothing where it has room for none', () => {
  const long = (length: number) => `${'a'.repeat(40)}.${'b'.repeat(length - 49)}.example`;
  const commonNames = (changes: Record<string, unknown>) => {
    const relay = relayObject(changes);
    return renderCertificates(relay, effectivePolicy(relay.metadata, relay.spec)).map(
      ({ spec }) => (spec as { commonName?: string }).commonName,
    );
  };
  const issuerRef = { name: 'ca' };
  assert.equal(long(65).length, 65);
  assert.deepEqual(commonNames({ hostname: long(64), tls: { issuerRef } }), [long(64)]);
  assert.deepEqual(commonNames({ hostname: long(65), tls: { issuerRef } }), [undefined]);
  const dnsNames = [long(66), 'short.example.com', 'b.example.com'];
  assert.deepEqual(commonNames({ hostname: long(65), tls: { issuerRef, dnsNames } }), ['short.example.com']);
  const certificates = [{ hostnames: [long(65), 'b.example'], issuerRef }];
  assert.deepEqual(commonNames({ tls: { secretName: 'own', certificates } }), ['b.example']);
});

test('an issuer of another group is asked by its own kind', () => {
  const group = 'certmanager.step.sm';
  const [wanted] = certificates({ issuerRef: { name: 'step', kind: 'StepIssuer', group } });
  assert.deepEqual(wanted?.['issuerRef'], { name: 'step', kind: 'StepIssuer', group });
});

test('the policy host of MTA-STS: one certificate with the name of each accepted domain, that is no host certificate', () => {
  const relay = relayObject({
    inbound: {
      listeners: [{ name: 'smtp', port: 25 }],
      acceptDomains: ['b.example', 'a.example', 'b.example'],
    },
    dns: { tlsa: true, mtaSTS: { mode: 'Testing', serve: { issuerRef: { name: 'ca' } } } },
  });
  const [certificate, ...rest] = renderCertificates(relay, effectivePolicy(relay.metadata, relay.spec));
  assert.deepEqual(rest, []);
  assert.equal(certificate?.metadata.name, 'relay-mta-sts');
  const spec = certificate?.['spec'] as Record<string, unknown>;
  assert.equal(spec['secretName'], 'relay-mta-sts-tls');
  assert.equal(spec['commonName'], 'mta-sts.b.example');
  assert.deepEqual(spec['dnsNames'], ['mta-sts.b.example', 'mta-sts.a.example']);
  assert.equal((spec['privateKey'] as { rotationPolicy: string }).rotationPolicy, 'Always');
  const live = new Map([['Certificate/relay-mta-sts', certificate as never]]);
  assert.deepEqual(listHostCertificates({ relay, objects: live }), []);
});

test('a certificate for other names has their names, and a name that stays when the order changes', () => {
  const certificatesOf = (...hostnames: string[][]) =>
    certificates({
      secretName: 'own',
      certificates: hostnames.map((names) => ({ hostnames: names, issuerRef: { name: 'ca' } })),
    });
  const [one, two] = certificatesOf(['b.example', '*.b.example'], ['c.example']);
  assert.deepEqual(one?.['dnsNames'], ['b.example', '*.b.example']);
  assert.match(String(one?.['name']), /^relay-tls-[0-9a-f]{8}$/);
  assert.equal(one?.['secretName'], one?.['name']);
  assert.deepEqual(
    certificatesOf(['c.example'], ['b.example']).map((spec) => spec['name']),
    [two?.['name'], one?.['name']],
  );
});
