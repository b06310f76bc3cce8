import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listRelayKeys, reduceToKept } from './kept.ts';
import type { KubeObject } from './kube/client.ts';

const LARGE = {
  data: { large: 'x'.repeat(1_000) },
  spec: { large: 'x'.repeat(1_000) },
  status: { phase: 'Running' },
};

function object(kind: string, metadata: Partial<KubeObject['metadata']>): KubeObject {
  return {
    apiVersion: 'v1',
    kind,
    metadata: { name: 'relay-policy', namespace: 'mail', ...metadata },
    ...LARGE,
  };
}
const labels = { 'app.kubernetes.io/instance': 'relay' };
const by = (kind: string, name = 'relay') => [{ kind, name, uid: 'uid', controller: true }];
const fieldsOf = (kept: KubeObject) => Object.keys(kept).filter((field) => field in LARGE);

test('an object concerns the relay of its label and the one that made it', () => {
  const ownerReferences = by('MailRelay', 'owner');
  assert.deepEqual(
    [...listRelayKeys(object('Service', { labels, ownerReferences }))],
    ['mail/relay', 'mail/owner'],
  );
  assert.deepEqual([...listRelayKeys(object('Service', { ownerReferences }))], ['mail/owner']);
  assert.deepEqual([...listRelayKeys(object('Pod', { ownerReferences: by('StatefulSet') }))], ['mail/relay']);
  assert.deepEqual([...listRelayKeys(object('Pod', { ownerReferences: by('ReplicaSet') }))], []);
  assert.deepEqual([...listRelayKeys(undefined)], []);
});

test('of an object that no relay can have made the metadata is kept, and annotations only where they are read', () => {
  const annotations = { 'mailrelay.dev/emptied': 'uid', 'example.com/large': 'x'.repeat(1_000) };
  const foreign = [
    object('ConfigMap', { labels }),
    object('ConfigMap', { labels, ownerReferences: by('Deployment') }),
    object('ConfigMap', { labels, ownerReferences: by('MailRelay'), name: 'relay-other' }),
    object('DNSEndpoint', { labels, ownerReferences: by('MailRelay'), name: 'relay-other' }),
    object('Service', { labels }),
  ];
  for (const { kind, metadata, ...rest } of foreign) {
    const kept = reduceToKept({ kind: kind ?? '', metadata: { ...metadata, annotations }, ...rest });
    assert.deepEqual(fieldsOf(kept), [], String(kind));
    assert.deepEqual(kept.metadata.annotations, { 'mailrelay.dev/emptied': 'uid' });
  }
});

test('what a relay may have made is kept, of a pod only what is read of it', () => {
  const orphan = { labels, annotations: { 'mailrelay.dev/applied': 'hash' } };
  for (const ours of [
    object('ConfigMap', { ownerReferences: by('MailRelay') }),
    object('ConfigMap', { ...orphan }),
    object('StatefulSet', { ownerReferences: by('MailRelay') }),
    object('DNSEndpoint', { ownerReferences: by('MailRelay'), name: 'relay' }),
    object('PersistentVolumeClaim', { labels }),
    object('CertificateRequest', { ownerReferences: by('Certificate') }),
  ])
    assert.deepEqual(reduceToKept(ours), ours);
  for (const ownerReferences of [by('StatefulSet'), []])
    assert.deepEqual(fieldsOf(reduceToKept(object('Pod', { labels, ownerReferences }))), ['status']);
});
