/** One look at a relay of which the caches lack an object that is there: nothing is taken back for it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { tlsaValue } from '#crds/dnsrecords.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import type { PodStatus } from '#crds/podstatus.ts';
import { POLICY_FILE_NAME, parsePolicy } from '#crds/policyfile.ts';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { notFound, recordingDeps } from '#test/fixtures/deps.ts';
import { gathered } from '#test/fixtures/gathered.ts';
import { liveObjects, podReport, relayObject } from '#test/fixtures/world.ts';
import { stamped } from './compare.ts';
import type { KeptObject, KubeObject, Request } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import { readLacking } from './lacking.ts';
import { AllPaces, type Paces } from './paces.ts';
import { reconcile } from './reconcile.ts';
import { renderAuthority } from './render/authority.ts';
import { managedLabels } from './render/metadata.ts';

const MANAGED = 'app.kubernetes.io/managed-by';
const owner = { kind: 'StatefulSet', name: 'relay', uid: 'uid-of-StatefulSet', controller: true };
const NOW = Date.parse('2026-01-01T12:00:00Z');

type Objects = Map<string, KubeObject>;

function withPods(objects: Objects, hasSidecar: (n: number) => boolean = () => true): Objects {
  for (const n of [0, 1])
    objects.set(`Pod/relay-${n}`, {
      kind: 'Pod',
      metadata: {
        name: `relay-${n}`,
        namespace: 'mail',
        uid: `uid-of-relay-${n}`,
        ownerReferences: [owner],
        labels: { ...managedLabels('relay'), 'mailrelay.dev/serving': 'true' },
      },
      status: { podIP: '10.0.0.1', initContainerStatuses: hasSidecar(n) ? [{ name: 'resolver' }] : [] },
    });
  return objects;
}

const without = (objects: Objects, name: string): Objects =>
  new Map([...objects].filter(([one]) => one !== name));

/** As it is when somebody took its label away. */
function unlabelled({ metadata, ...rest }: KubeObject): KubeObject {
  const { [MANAGED]: _, ...labels } = metadata.labels ?? {};
  return { ...rest, metadata: { ...metadata, labels } };
}

interface Looked {
  readonly relay: MailRelay;
  readonly cached: ReadonlyMap<string, KeptObject>;
  readonly server?: readonly KubeObject[];
  readonly refuses?: RegExp;
  readonly reports?: Readonly<Record<string, Partial<PodStatus>>>;
  readonly dns?: ReadonlyMap<string, { kind: 'found'; values: readonly string[] }>;
}

async function lookAt({ relay, cached, server = [], refuses, reports = {}, dns }: Looked) {
  const deps = recordingDeps((request: Request) => {
    const { method, path } = request;
    if (method === 'GET' && refuses?.test(path)) throw new KubeError('forbidden', 'you may not read', 403);
    if (path.endsWith('/pods')) return { items: [] };
    const live = server.find(({ metadata, kind }) =>
      path.toLowerCase().endsWith(`/${kind?.toLowerCase()}s/${metadata.name}`),
    );
    return live && method === 'GET' ? live : notFound(request);
  });
  const lacking = await readLacking(deps.writer, relay, cached, () => true);
  const reads = deps.requests.length;
  const reportOf = (namespace: string, pod: string, uid: string) =>
    reports[pod] && podReport(relay, { identity: { pod, uid, namespace, relay: 'relay' }, ...reports[pod] });
  const world = gathered(
    { relay: () => relay, objectsOf: () => cached },
    { reportOf, now: () => NOW, dnsOf: () => dns },
    lacking,
  );
  assert.ok(world);
  await reconcile(world, deps);
  const written = (name: string) =>
    deps.requests.find(({ method, path }) => method === 'PATCH' && path.endsWith(name))?.body as
      | KubeObject
      | undefined;
  const status = (written('/status') as unknown as MailRelay | undefined)?.status;
  const deleted = deps.requests
    .filter(({ method }) => method === 'DELETE')
    .map(({ path }) => path.split('/').at(-1));
  return { world, reads, written, deleted, told: JSON.stringify(status?.conditions) };
}

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
      const lacking = await readLacking({ ...deps.writer, paces }, of, seen, () => true);
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
