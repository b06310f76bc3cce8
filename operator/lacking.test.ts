/** One look at a relay of which the caches lack an object that is there: nothing is taken back for it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { MailRelay } from '#crds/mailrelay.ts';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { notFound, recordingDeps } from '#test/fixtures/deps.ts';
import { cachesWith, lookAt, MANAGED, type Objects, without, withPods } from '#test/fixtures/lackinglook.ts';
import { liveObjects, relayObject } from '#test/fixtures/world.ts';
import type { KeptObject, KubeObject, Request } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import { readLacking } from './lacking.ts';
import { AllPaces, type Paces } from './paces.ts';
import { managedLabels } from './render/metadata.ts';

test('nothing is read while the caches have all', async () => {
  const relay = relayObject({ dns: { tlsa: true, publish: 'DNSEndpoint' }, tls: { secretName: 's' } });
  const endpoint = { kind: 'DNSEndpoint', metadata: { name: 'relay', namespace: 'mail' }, spec: {} };
  const cached = withPods(liveObjects(relay)).set('DNSEndpoint/relay', endpoint);
  assert.equal((await lookAt({ relay, cached })).reads, 0);
  assert.equal((await lookAt({ relay, cached: without(cached, 'DNSEndpoint/relay') })).reads, 1);
});

describe('what is read again', () => {
  const changes = { tls: { secretName: 's', internal: { issuerRef: { name: 'ca' } } } };
  const [relay, policy] = [relayObject(), liveObjects(relayObject()).get('ConfigMap/relay-policy')];
  const cached = new Map(withPods(liveObjects(relay)));
  cached.delete('ConfigMap/relay-policy');
  let now = 0;
  /** How many reads each look makes, each of this relay with these caches. */
  const readsOf = async (
    looks: readonly { of?: MailRelay; with?: Objects }[],
    answer: (request: Request) => unknown = notFound,
    between: (paces: Paces) => Promise<unknown> = async () => undefined,
  ) => {
    const all = new AllPaces(() => now);
    const counts: number[] = [];
    const found: number[] = [];
    for (const { of = relay, with: seen = cached } of looks) {
      const deps = recordingDeps(answer);
      const paces = all.of('mail/relay', of.metadata.generation);
      const lacking = await readLacking({ ...deps.writer, paces }, of, cachesWith(seen));
      counts.push(deps.requests.length);
      found.push(lacking.found.length);
      await between(paces);
    }
    return { counts, found };
  };
  const newer = { ...relay, metadata: { ...relay.metadata, generation: 99 } };
  const other = (resourceVersion: string): Objects =>
    new Map(cached).set('ConfigMap/another', {
      kind: 'ConfigMap',
      metadata: { name: 'another', resourceVersion },
    });

  test('what is not there, only after a change of the relay or of an object of its kind', async () => {
    assert.deepEqual((await readsOf([{}, {}, {}])).counts, [1, 0, 0]);
    assert.deepEqual((await readsOf([{}, { of: newer }, { of: newer }])).counts, [1, 1, 0]);
    assert.deepEqual((await readsOf([{}, { with: other('2') }, {}])).counts, [1, 1, 1]);
    const there = new Map(cached).set('ConfigMap/relay-policy', policy as KubeObject);
    assert.deepEqual((await readsOf([{}, { with: there }, {}])).counts, [1, 0, 1], 'hidden later');
  });

  test('in each look what is written only when there is something to tell: somebody may restore it', async () => {
    const of = relayObject(changes);
    const look = { of, with: withPods(liveObjects(of)) };
    assert.ok(!look.with.has('ConfigMap/relay-ca'));
    assert.deepEqual((await readsOf([look, look])).counts, [1, 1]);
  });

  test('what is there, in each look, but not while its own write has a pause', async () => {
    const refuse = (paces: Paces) =>
      paces
        .pace('ConfigMap/relay-policy', 'x', async () => {
          throw new KubeError('forbidden', 'no', 403);
        })
        .catch(() => undefined);
    assert.deepEqual(await readsOf([{}, {}], () => policy), { counts: [1, 1], found: [1, 1] });
    assert.deepEqual(await readsOf([{}, {}], () => policy, refuse), { counts: [1, 0], found: [1, 1] });
    const wait = async (paces: Paces) => {
      await refuse(paces);
      now += 61_000;
    };
    assert.deepEqual((await readsOf([{}, {}], () => policy, wait)).counts, [1, 1]);
    const write = (paces: Paces) => paces.pace('ConfigMap/relay-policy', 'x', async () => undefined);
    assert.deepEqual((await readsOf([{}, {}], notFound, write)).counts, [1, 1], 'it was made meanwhile');
  });

  test('a reading that fails, after its pause', async () => {
    const fail = () => {
      throw new KubeError('failed', 'not now', 500);
    };
    assert.deepEqual((await readsOf([{}, {}], fail)).counts, [1, 0]);
  });

  test('nothing of a relay that is paused, or whose spec has faults', async () => {
    const { metadata } = relay;
    const paused = { ...relay, metadata: { ...metadata, annotations: { [ANNOTATIONS.paused]: 'true' } } };
    const [listener] = relay.spec.inbound.listeners;
    const listeners = [{ ...listener, implicitTLS: true, starttls: 'Required' }];
    const faulty = relayObject({ ...changes, inbound: { listeners } });
    for (const one of [paused, faulty]) assert.deepEqual((await readsOf([{ of: one }])).counts, [0]);
  });
});

describe('a DNSEndpoint that may not be watched any more, and is read by name', () => {
  const { inbound } = relayObject().spec;
  const dns = { publish: 'DNSEndpoint', tlsReports: { rua: ['mailto:tls@example.com'] } };
  const relay = relayObject({ dns, inbound: { ...inbound, acceptDomains: ['example.com'] } });
  const { metadata } = liveObjects(relay).get('ServiceAccount/relay') as KubeObject;
  const kind = 'DNSEndpoint';
  const endpoint: KubeObject = { kind, metadata: { ...metadata, uid: 'old' }, spec: { endpoints: [] } };
  const cached = without(withPods(liveObjects(relay)), 'StatefulSet/relay').set(
    'DNSEndpoint/relay',
    endpoint,
  );
  const look = (server: readonly KubeObject[], changes: object = {}) =>
    lookAt({ relay, cached, readByName: [kind], server, ...changes });

  test('is made again if somebody has deleted it, and nothing behind it waits', async () => {
    const { written, lookAgainMs, told } = await look([]);
    assert.equal(lookAgainMs, 30_000, 'no watch tells');
    assert.match(told, /may not watch DNSEndpoints any more, so it reads .*no rights: restore the roles/);
    assert.equal(written('/dnsendpoints/relay')?.metadata.uid, undefined);
    assert.ok(written('/dnsendpoints/relay') && written('/statefulsets/relay') && written('/status'));
  });

  test('is written as it is by now', async () => {
    const { written } = await look([{ ...endpoint, metadata: { ...metadata, uid: 'new' } }]);
    assert.equal(written('/dnsendpoints/relay')?.metadata.uid, 'new');
    assert.ok(written('/statefulsets/relay') && written('/status'));
  });

  test('is left as it is if it cannot be read, and nothing behind it waits', async () => {
    const { written, deleted, world } = await look([], { refuses: /dnsendpoints/ });
    assert.deepEqual([written('/dnsendpoints/relay'), deleted], [undefined, []]);
    assert.ok(world.objects.has('DNSEndpoint/relay'));
    assert.ok(written('/statefulsets/relay') && written('/status'));
  });
});

describe('a StatefulSet of which the metadata is kept', () => {
  const relay = relayObject();
  const objects = withPods(liveObjects(relay));
  const { kind, metadata, ...content } = objects.get('StatefulSet/relay') as KubeObject;
  const set = {
    kind,
    metadata,
    ...content,
    spec: { ...(content['spec'] as object), replicas: 4 },
  } as KubeObject;
  const partial = { kind, metadata, isPartial: true } as KeptObject;
  const claim = (n: number) => ({
    kind: 'PersistentVolumeClaim',
    metadata: { name: `spool-relay-${n}`, namespace: 'mail', annotations: { [ANNOTATIONS.emptied]: 'u' } },
    spec: {},
  });
  const cached: Map<string, KeptObject> = new Map([...objects, ['StatefulSet/relay', partial]]);
  cached
    .set('PersistentVolumeClaim/spool-relay-1', claim(1))
    .set('PersistentVolumeClaim/spool-relay-5', claim(5));

  test('is read, and then it is known how many places it has', async () => {
    const { world } = await lookAt({ relay, cached, server: [set] });
    assert.deepEqual(world.objects.get('StatefulSet/relay')?.['spec'], set['spec']);
  });

  test('is left alone where it cannot be read, and so are claims', async () => {
    const { written, deleted, told } = await lookAt({
      relay,
      cached,
      server: [set],
      refuses: /statefulsets/,
    });
    assert.equal(written('/statefulsets/relay'), undefined);
    assert.deepEqual(deleted, []);
    assert.match(told, /StatefulSet\/relay.*you may not read/);
  });
});

test('of what is kept in part nothing is judged, and what nobody wants of it is deleted', async () => {
  const relay = relayObject({ queue: { storage: { size: '9Gi' } } });
  const kept = {
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: 'spool-relay-1',
      namespace: 'mail',
      labels: { [MANAGED]: 'mailrelay-operator' },
      annotations: { [ANNOTATIONS.granted]: '1Gi/0' },
    },
    isPartial: true,
  } as KeptObject;
  const unwanted = {
    kind: 'ConfigMap',
    metadata: {
      name: 'relay-ca',
      namespace: 'mail',
      uid: 'u',
      ownerReferences: [{ kind: 'MailRelay', name: 'relay', uid: 'uid-of-relay', controller: true }],
    },
    isPartial: true,
  } as KeptObject;
  const cached: Map<string, KeptObject> = withPods(liveObjects(relayObject()));
  cached.set('PersistentVolumeClaim/spool-relay-1', kept).set('ConfigMap/relay-ca', unwanted);
  const { told, deleted } = await lookAt({ relay, cached });
  assert.ok(told, 'the status is written');
  assert.deepEqual(deleted, ['relay', 'relay-ca'], 'the StatefulSet is made anew, with another size');
  const { isPartial: _, ...whole } = { ...kept, isPartial: true };
  const spec = { resources: { requests: { storage: '1Gi' } } };
  const seen = await lookAt({ relay, cached, server: [{ ...whole, spec, status: { phase: 'Pending' } }] });
  assert.deepEqual(seen.written('/spool-relay-1')?.metadata.labels, managedLabels('relay'));
  assert.deepEqual(seen.deleted, ['relay-ca'], 'first the claim must be seen');
});
