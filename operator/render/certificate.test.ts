import assert from 'node:assert/strict';
import { test } from 'node:test';
import { effectivePolicy } from '#crds/effective.ts';
import { relayObject } from '#test/fixtures/world.ts';
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

test('an issuer alone: ECDSA P-256, renewed when a third of the time is left', () => {
  assert.deepEqual(certificates({ issuerRef: { name: 'ca', kind: 'ClusterIssuer' } }), [
    {
      name: 'relay',
      secretName: 'relay-tls',
      dnsNames: ['relay.example.com'],
      issuerRef: { name: 'ca', kind: 'ClusterIssuer', group: 'cert-manager.io' },
      usages: ['digital signature', 'server auth'],
      privateKey: { algorithm: 'ECDSA', size: 256, rotationPolicy: 'Always' },
      renewBeforePercentage: 33,
    },
  ]);
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
  assert.equal(wanted?.['renewBeforePercentage'], undefined, 'cert-manager takes one of them');
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
