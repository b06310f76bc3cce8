/**
 * What only an object of the cluster remembers is read where the caches lack the object: an authority, a resolver, a
 * roll-over.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { tlsaValue } from '#crds/dnsrecords.ts';
import { POLICY_FILE_NAME, parsePolicy } from '#crds/policyfile.ts';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { lookAt, MANAGED, without, withPods } from '#test/fixtures/lackinglook.ts';
import { liveObjects, podReport, relayObject } from '#test/fixtures/world.ts';
import { stamped } from './compare.ts';
import type { KubeObject } from './kube/client.ts';
import { renderAuthority } from './render/authority.ts';

/** As it is when somebody took its label away. */
function unlabelled({ metadata, ...rest }: KubeObject): KubeObject {
  const { [MANAGED]: _, ...labels } = metadata.labels ?? {};
  return { ...rest, metadata: { ...metadata, labels } };
}

describe('an authority that a pod may serve', () => {
  const relay = relayObject({ tls: { secretName: 'relay-tls', internal: { issuerRef: { name: 'ca' } } } });
  const pem = (body: string) => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----`;
  const published = stamped(renderAuthority(relay, `${pem('NEW')}\n${pem('OLD')}`) as never) as KubeObject;
  const ca: KubeObject = { ...published, metadata: { ...published.metadata, uid: 'uid-of-ca' } };
  // The other pod is silent.
  const reports = { 'relay-0': { internalAuthority: pem('NEW') } };
  const cached = withPods(liveObjects(relay));

  test('stays published, whoever takes the label of the ConfigMap away', async () => {
    const { written } = await lookAt({ relay, cached, server: [unlabelled(ca)], reports });
    assert.deepEqual(written('/configmaps/relay-ca')?.['data'], ca['data']);
    assert.equal(written('/configmaps/relay-ca')?.metadata.labels?.[MANAGED], 'mailrelay-operator');
  });

  test('and where the ConfigMap cannot be read, it stays as it is, and that is told', async () => {
    const refuses = /relay-ca$/;
    const { written, told } = await lookAt({ relay, cached, server: [unlabelled(ca)], reports, refuses });
    assert.equal(written('/configmaps/relay-ca'), undefined);
    assert.match(told, /ConfigMap\/relay-ca .*you may not read/);
    const both = {
      'relay-0': { internalAuthority: pem('NEW') },
      'relay-1': { internalAuthority: pem('NEW') },
    };
    const seen = await lookAt({ relay, cached, server: [ca], reports: both, refuses });
    assert.equal(seen.written('/configmaps/relay-ca'), undefined);
  });

  test('is not taken from the ConfigMap of somebody else', async () => {
    const { ownerReferences: _, annotations: __, ...metadata } = ca.metadata;
    const { world } = await lookAt({ relay, cached, server: [{ ...ca, metadata }], reports });
    assert.equal(world.objects.has('ConfigMap/relay-ca'), false);
  });
});

describe('the resolver that pods ask until each has the sidecar', () => {
  const former = { outbound: { resolver: { addresses: ['10.0.0.53'] } } };
  const relay = relayObject({ outbound: { resolver: { sidecar: { image: 'unbound:1' } } } });
  const live = liveObjects(relayObject(former));
  live.set('StatefulSet/relay', liveObjects(relay).get('StatefulSet/relay') as KubeObject);
  const objects = withPods(live, (n) => n === 1);
  const map = objects.get('ConfigMap/relay-policy') as KubeObject;
  const cached = without(objects, 'ConfigMap/relay-policy');
  const resolverIn = (written: KubeObject | undefined) => {
    const text = (written?.['data'] as Record<string, string> | undefined)?.[POLICY_FILE_NAME];
    const read = text === undefined ? undefined : parsePolicy(text);
    return read?.kind === 'policy' ? read.policy.outbound.resolver?.servers[0]?.address : undefined;
  };

  test('is that of the ConfigMap, whoever takes its label away', async () => {
    const { written } = await lookAt({ relay, cached, server: [unlabelled(map)] });
    assert.equal(resolverIn(written('/configmaps/relay-policy')), '10.0.0.53');
  });

  test('and nothing is written where that cannot be read', async () => {
    const reports = { 'relay-0': { policy: { hash: 'other', refused: null } } };
    const refuses = /relay-policy$/;
    const { written, told } = await lookAt({ relay, cached, server: [map], refuses, reports });
    assert.equal(written('/configmaps/relay-policy'), undefined);
    assert.equal(written('/pods/relay-0'), undefined, 'no pod is touched for it');
    assert.match(
      told,
      /refuses the reading of ConfigMap\/relay-policy, which stays as it is: \W*you may not read\W*: let the operator/,
    );
  });
});

describe('a key that rolls over', () => {
  const base = { dns: { tlsa: true, ttl: '5m', publish: 'DNSEndpoint' } };
  const relay = relayObject({ ...base, tls: { secretName: 'two' } });
  const [A, B] = ['a'.repeat(64), 'b'.repeat(64)];
  const name = '_25._tcp.relay.example.com';
  const values = [tlsaValue(A), tlsaValue(B)].toSorted();
  const copies = '2026-01-03T00:00:00.000Z';
  const ownerReferences = [{ kind: 'MailRelay', name: 'relay', uid: 'uid-of-relay', controller: true }];
  const endpoint = {
    kind: 'DNSEndpoint',
    metadata: {
      name: 'relay',
      namespace: 'mail',
      uid: 'e',
      ownerReferences,
      annotations: {
        [ANNOTATIONS.copiesUntil]: copies,
        [ANNOTATIONS.published]: `${B}@2026-01-01T11:30:00Z`,
      },
    },
    spec: { endpoints: [{ dnsName: name, recordType: 'TLSA', recordTTL: 300, targets: values }] },
  };
  const cached = withPods(
    without(liveObjects(relayObject({ ...base, tls: { secretName: 'one' } })), 'DNSEndpoint/relay'),
  );
  const { certificate } = podReport(relay);
  const nextCertificate = { ...certificate, publicKeySha256: B, secret: 'two' } as never;
  const reports = { 'relay-0': { nextCertificate }, 'relay-1': { nextCertificate } };
  const dns = new Map([[name, { kind: 'found', values }] as const]);

  test('waits for the longer copies of its records, whoever takes the label of the DNSEndpoint away', async () => {
    const { world, written } = await lookAt({ relay, cached, server: [endpoint], reports, dns });
    assert.equal(world.keys?.inService, 'one');
    const note = written('/dnsendpoints/relay')?.metadata.annotations;
    assert.equal(note?.[ANNOTATIONS.copiesUntil], copies);
    assert.match(String(note?.[ANNOTATIONS.published]), /T11:30:00/);
  });

  test('and where that cannot be read, no note is written, and no key comes into service', async () => {
    const refuses = /dnsendpoints/;
    const { world, written } = await lookAt({ relay, cached, server: [endpoint], reports, dns, refuses });
    assert.equal(world.keys?.inService, 'one');
    assert.equal(written('/dnsendpoints/relay'), undefined);
  });
});
