import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listSniCertificates } from '#crds/effective.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import { relayObject } from '#test/fixtures/world.ts';
import { isPaused } from './installation.ts';
import { findMaker, listRelayKeys, reduceToKept, withKnownSpec } from './kept.ts';
import type { KubeObject } from './kube/client.ts';
import { isPartial } from './kube/partial.ts';
import { objectNames } from './render/metadata.ts';
import { isSameWish } from './wish.ts';

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

const findRelay = (key: string) => (key === 'mail/relay' ? relayObject() : undefined);
const reduce = (whole: KubeObject) => reduceToKept(whole, findRelay);

test('of an object that no relay can have made the metadata is kept that is read', () => {
  const annotations = { 'mailrelay.dev/emptied': 'uid', 'example.com/large': 'x'.repeat(1_000) };
  const foreign = [
    object('ConfigMap', { labels }),
    object('ConfigMap', { labels, ownerReferences: by('Deployment') }),
    object('ConfigMap', { labels, ownerReferences: by('MailRelay'), name: 'relay-other' }),
    object('DNSEndpoint', { labels, ownerReferences: by('MailRelay'), name: 'relay-other' }),
    object('NetworkPolicy', { labels, ownerReferences: by('MailRelay'), name: 'relay-other' }),
    object('Service', { labels }),
    object('PersistentVolumeClaim', { labels, name: 'spool-relay-100' }),
    object('PersistentVolumeClaim', { labels, name: 'copy-of-spool-relay-1' }),
  ];
  for (const { kind, metadata, ...rest } of foreign) {
    const kept = reduce({ kind: kind ?? '', metadata: { ...metadata, annotations }, ...rest });
    assert.deepEqual(fieldsOf(kept), [], String(kind));
    assert.deepEqual(kept.metadata.annotations, { 'mailrelay.dev/emptied': 'uid' });
    assert.ok(isPartial(kept));
  }
});

test('what somebody made for a relay that is not there is kept without its content, until the relay comes', () => {
  const orphan = { labels, annotations: { 'mailrelay.dev/applied': 'hash' } };
  for (const early of [
    object('ConfigMap', orphan),
    object('ConfigMap', { ownerReferences: by('MailRelay') }),
    object('PersistentVolumeClaim', { labels, name: 'spool-relay-0' }),
  ]) {
    const kept = reduceToKept(early, () => undefined);
    assert.deepEqual([fieldsOf(kept), isPartial(kept)], [[], true]);
    assert.equal(findMaker(kept, findRelay), 'relay', 'it is found again');
  }
});

test('labels, annotations and owners beyond those that are read are kept of nobody, whatever is large', () => {
  const large = Object.fromEntries(
    Array.from({ length: 2_000 }, (_, index) => [`example.com/${index}`, 'x']),
  );
  const metadata = {
    labels: { ...labels, ...large },
    annotations: { ...large, 'mailrelay.dev/refresh': 'y'.repeat(200_000) },
    ownerReferences: Array.from({ length: 2_000 }, (_, index) => ({ kind: 'Node', uid: String(index) })),
    finalizers: Object.keys(large),
  };
  for (const kind of ['ConfigMap', 'StatefulSet', 'PersistentVolumeClaim', 'Pod', 'CertificateRequest']) {
    const kept = reduce({ kind, metadata: { name: 'any', namespace: 'mail', ...metadata } });
    assert.ok(JSON.stringify(kept).length < 1_000, kind);
  }
});

test('whatever the reason of a pause is, the relay is paused, and is the one that the API server has', () => {
  for (const length of [1, 512, 513, 200_000]) {
    const annotations = { 'mailrelay.dev/paused': 'x'.repeat(length) };
    const live = { ...relayObject(), metadata: { ...relayObject().metadata, annotations } };
    const kept = reduceToKept(live as unknown as KubeObject, findRelay) as unknown as MailRelay;
    assert.deepEqual([isPaused(kept), isSameWish(kept, live)], [true, true]);
    assert.ok(JSON.stringify(kept.metadata).length < 1_000);
  }
});

test('of any other annotation a long value is none: it is no mark of a claim', () => {
  const names = ['emptied', 'granted', 'refresh', 'applied'].map((name) => `mailrelay.dev/${name}`);
  const keptOf = (length: number) => {
    const annotations = Object.fromEntries(names.map((name) => [name, 'x'.repeat(length)]));
    const claim = object('PersistentVolumeClaim', { labels, name: 'spool-relay-100', annotations });
    return Object.keys(reduce(claim).metadata.annotations ?? {});
  };
  assert.deepEqual([keptOf(512).toSorted(), keptOf(513)], [names.toSorted(), []]);
});

test('what a relay may have made is kept, of a pod and a request only what is read of it', () => {
  const orphan = { labels, annotations: { 'mailrelay.dev/applied': 'hash' } };
  for (const ours of [
    object('ConfigMap', { ownerReferences: by('MailRelay') }),
    object('ConfigMap', { ...orphan }),
    object('StatefulSet', { ownerReferences: by('MailRelay'), name: 'relay' }),
    object('DNSEndpoint', { ownerReferences: by('MailRelay'), name: 'relay' }),
    object('PersistentVolumeClaim', { labels, name: 'spool-relay-99' }),
  ])
    assert.deepEqual(reduce(ours), ours);
  for (const ownerReferences of [by('StatefulSet'), []])
    assert.deepEqual(fieldsOf(reduce(object('Pod', { labels, ownerReferences }))), ['status']);
  const placed = {
    ...object('Pod', { labels }),
    spec: { nodeName: 'worker-1', containers: [{ name: 'x' }] },
  };
  assert.deepEqual(reduce(placed)['spec'], { nodeName: 'worker-1' });
  const initContainers = [
    { name: 'istio', image: 'x' },
    { name: 'resolver', image: 'unbound:1' },
  ];
  assert.deepEqual(reduce({ ...placed, spec: { initContainers } })['spec'], {
    initContainers: [{ name: 'resolver' }],
  });
  const claimsOf = (...names: readonly string[]) =>
    names.map((claimName) => ({ name: 'v', persistentVolumeClaim: { claimName } }));
  const spec = { serviceAccountName: 'relay', volumes: claimsOf('a', 'spool-relay-policy', 'b') };
  assert.deepEqual(
    reduce({ ...placed, spec })['spec'],
    {
      serviceAccountName: 'relay',
      volumes: [{ persistentVolumeClaim: { claimName: 'spool-relay-policy' } }],
    },
    'what proves whose it is',
  );
  const conditions = [{ type: 'Ready', status: 'False' }];
  const request = { ...object('CertificateRequest', { labels }), status: { conditions, certificate: 'x' } };
  assert.deepEqual(reduce(request)['status'], { conditions });
});

test('a MailRelay keeps a spec that is the same, and nothing else of it is kept', () => {
  const relay = (uid: string, generation: number, spec: object, ready = '1/1') =>
    structuredClone({
      kind: 'MailRelay',
      metadata: { name: 'relay', uid, generation },
      spec,
      status: { ready },
    });
  const before = relay('a', 2, { replicas: 1 });
  const written = withKnownSpec(relay('a', 2, { replicas: 1 }, '0/1'), before);
  assert.equal(written['spec'], before.spec);
  assert.deepEqual(written['status'], { ready: '0/1' });
  const others = [
    relay('a', 3, { replicas: 2 }),
    // A newer CRD has another default.
    relay('a', 2, { replicas: 1, queue: {} }),
    relay('b', 2, { replicas: 1 }),
  ];
  for (const other of others) assert.equal(withKnownSpec(other, before), other);
  assert.equal(withKnownSpec(before, undefined), before);
  const service = { ...relay('a', 2, { replicas: 1 }), kind: 'Service' };
  assert.equal(withKnownSpec(service, { ...before, kind: 'Service' }), service);
});

test('of a Certificate for another host name the content is kept while the spec has the name', () => {
  const tls = { secretName: 'own', certificates: [{ hostnames: ['b.example'], issuerRef: { name: 'ca' } }] };
  const relay = relayObject({ tls });
  const [{ secret: name } = { secret: '' }] = listSniCertificates('relay', relay.spec);
  const whole = object('Certificate', { ownerReferences: by('MailRelay'), name });
  assert.deepEqual(fieldsOf(reduceToKept(whole, () => relay)), Object.keys(LARGE));
  assert.ok(isPartial(reduceToKept(whole, findRelay)), 'the entry is gone');
  assert.ok(isPartial(reduceToKept({ ...whole, kind: 'ConfigMap' }, () => relay)), 'nobody makes it');
});

test('of a Certificate of a key that rolls over the content is kept, and of one that no spec names its Secret', () => {
  const relay = relayObject({ tls: { secretName: 'next', issuerRef: { name: 'ca' } } });
  const find = () => ({ spec: relay.spec, served: 'served' });
  const second = (secretName: string, name = objectNames.secondCertificate('relay', secretName)) => ({
    ...object('Certificate', { ownerReferences: by('MailRelay'), name }),
    spec: { secretName, privateKey: { algorithm: 'RSA', size: 4096, large: 'x' }, large: 'x'.repeat(1_000) },
  });
  for (const secret of ['next', 'served'])
    assert.deepEqual(reduceToKept(second(secret), find), second(secret), secret);
  const left = reduceToKept(second('former'), find);
  assert.deepEqual(
    [left['spec'], isPartial(left)],
    [{ secretName: 'former', privateKey: { algorithm: 'RSA', size: 4096 } }, true],
  );
  const foreign = [
    second('former', 'relay-other'),
    second('x'.repeat(1_000)),
    { ...second('former'), spec: {} },
  ];
  for (const other of [...foreign, object('Certificate', { name: second('former').metadata.name })])
    assert.deepEqual(fieldsOf(reduceToKept(other, find)), []);
  assert.equal(findMaker(second('former'), find), undefined, 'it is not read again at each look');
});

test('the name of a pod alone makes it concern no relay', () => {
  const keysOf = (metadata: Partial<KubeObject['metadata']>) => [
    ...listRelayKeys(object('Pod', { name: 'relay-0', ...metadata })),
  ];
  assert.deepEqual(keysOf({}), []);
  assert.deepEqual(keysOf({ labels: { 'controller-revision-hash': 'relay-2' } }), []);
  assert.deepEqual(keysOf({ labels: { 'app.kubernetes.io/instance': 'other' } }), ['mail/other']);
  assert.deepEqual(keysOf({ ownerReferences: by('ReplicaSet') }), []);
});
