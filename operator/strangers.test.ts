/** Pods of others that have a name and labels of a relay: it sees none of them, and is as if they were not there. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { MailRelay } from '#crds/mailrelay.ts';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { notFound, recordingDeps } from '#test/fixtures/deps.ts';
import { gathered } from '#test/fixtures/gathered.ts';
import { liveObjects, podReport, relayObject } from '#test/fixtures/world.ts';
import { planScaling } from './judge/scaling.ts';
import { reduceToKept } from './kept.ts';
import type { KubeObject } from './kube/client.ts';
import { reconcile } from './reconcile.ts';
import { managedLabels } from './render/metadata.ts';
import type { World } from './world.ts';

const LABELS = managedLabels('relay');
const SERVING = { ...LABELS, 'mailrelay.dev/serving': 'true' };
const OWNER = { kind: 'StatefulSet', name: 'relay', uid: 'uid-of-StatefulSet', controller: true };
const REVISION = { 'controller-revision-hash': 'relay-1' };

interface Given {
  readonly labels?: Readonly<Record<string, string>>;
  readonly owners?: readonly object[];
  readonly spec?: object;
  readonly deletionTimestamp?: string;
}

function podOf(ordinal: number, { labels = SERVING, owners = [OWNER], spec, ...rest }: Given = {}) {
  const [name, namespace] = [`relay-${ordinal}`, 'mail'];
  const metadata = { name, namespace, uid: `uid-of-${name}`, labels, ownerReferences: owners, ...rest };
  const volumes = [{ name: 'spool', persistentVolumeClaim: { claimName: `spool-${name}` } }];
  const used = spec ?? { serviceAccountName: 'relay', volumes };
  return { kind: 'Pod', metadata, spec: used, status: { phase: 'Running' } } as unknown as KubeObject;
}

function claimOf(ordinal: number, annotations = {}): KubeObject {
  const name = `spool-relay-${ordinal}`;
  const metadata = { name, namespace: 'mail', uid: `uid-of-${name}`, labels: LABELS, annotations };
  return { kind: 'PersistentVolumeClaim', metadata, spec: {}, status: { phase: 'Bound' } };
}

const MINIMAL = {
  'app.kubernetes.io/instance': 'relay',
  'app.kubernetes.io/managed-by': 'mailrelay-operator',
};
const STRANGERS: Readonly<Record<string, Given>> = {
  'two labels and no owner': { labels: MINIMAL, owners: [], spec: { serviceAccountName: 'theirs' } },
  'all labels and another controller': { owners: [{ ...OWNER, kind: 'ReplicaSet', uid: 'another' }] },
  'all labels and another StatefulSet': { owners: [{ ...OWNER, uid: 'another' }] },
  'all labels and an owner that is no controller': { owners: [{ ...OWNER, controller: false }] },
  'the revision and another account': {
    labels: { ...MINIMAL, ...REVISION },
    owners: [],
    spec: { serviceAccountName: 'theirs' },
  },
  'the account and a revision of another name': {
    labels: { ...MINIMAL, 'controller-revision-hash': 'other-1' },
    owners: [],
  },
};

/** Of a StatefulSet that was made anew with another template. */
const SEEN = {
  observedGeneration: 1,
  replicas: 2,
  currentRevision: 'relay-new',
  updateRevision: 'relay-new',
};

/** What is gathered of a relay with two pods, and these beside them; `set` changes the StatefulSet, or takes it away. */
function beside(
  relay: MailRelay,
  others: readonly KubeObject[],
  set: Partial<KubeObject> | null = {},
): World {
  const objects = liveObjects(relay);
  for (const object of [podOf(0), podOf(1), claimOf(0), claimOf(1), ...others])
    objects.set(
      `${object.kind}/${object.metadata.name}`,
      reduceToKept(object, () => relay),
    );
  const live = objects.get('StatefulSet/relay') as KubeObject;
  const revisions = { currentRevision: 'relay-1', updateRevision: 'relay-1' };
  objects.set('StatefulSet/relay', {
    ...live,
    status: { ...(live['status'] as object), ...revisions },
    ...set,
  });
  if (!set) objects.delete('StatefulSet/relay');
  const reportOf = (namespace: string, pod: string, uid: string) =>
    podReport(relay, { identity: { pod, uid, namespace, relay: 'relay' } });
  return gathered({ relay: () => relay, objectsOf: () => objects }, { reportOf }) as World;
}

async function requestsAt(world: World) {
  const deps = recordingDeps((request) =>
    request.path.endsWith('/pods') ? { items: [] } : notFound(request),
  );
  const { lookAgainMs } = await reconcile(world, deps);
  return { requests: deps.requests, lookAgainMs };
}

const namesOf = ({ pods, leaving }: World) => [...pods, ...leaving].map(({ name }) => name);

for (const mode of ['Durable', 'CutThrough'])
  describe(`beside a relay of mode ${mode}`, () => {
    const relay = relayObject({ queue: { mode } });
    for (const [what, given] of Object.entries(STRANGERS))
      for (const ordinal of [2, 7, 99])
        test(`a pod relay-${ordinal} with ${what} changes nothing`, async () => {
          const plain = beside(relay, []);
          const world = beside(relay, [podOf(ordinal, given)]);
          assert.deepEqual(namesOf(world), ['relay-0', 'relay-1']);
          assert.deepEqual(await requestsAt(world), await requestsAt(plain));
        });

    test('a copy of a pod that somebody made to look into it changes nothing', async () => {
      const { metadata, ...rest } = podOf(0);
      const copy = { ...rest, metadata: { ...metadata, name: 'relay-0-copy-1', ownerReferences: [] } };
      assert.deepEqual(await requestsAt(beside(relay, [copy])), await requestsAt(beside(relay, [])));
    });
  });

test('a pod of another controller in the place of one of the relay is told, and not written to', async () => {
  const relay = relayObject({ replicas: 3 });
  const other = podOf(2, { owners: [{ ...OWNER, kind: 'ReplicaSet', uid: 'another' }] });
  const { requests } = await requestsAt(beside(relay, [other]));
  assert.ok(!requests.some(({ method, path }) => method !== 'GET' && path.endsWith('/relay-2')));
  const { body } = requests.find(({ path }) => path.endsWith('/status')) as { body: MailRelay };
  const stalled = body.status?.conditions?.find(({ type }) => type === 'Stalled');
  assert.match(stalled?.message ?? '', /^Pod\/relay-2 belongs to someone else/);
  const former = podOf(2, { owners: [{ ...OWNER, uid: 'former' }] });
  const going = podOf(2, { labels: MINIMAL, owners: [], deletionTimestamp: '2026-01-01T00:00:00Z' });
  for (const gone of [former, going]) {
    const written = (await requestsAt(beside(relay, [gone]))).requests;
    const status = written.find(({ path }) => path.endsWith('/status'));
    assert.doesNotMatch(JSON.stringify(status?.body), /belongs to someone else/);
  }
});

test('the pods of a StatefulSet of somebody else are not of the relay', () => {
  const live = liveObjects(relayObject()).get('StatefulSet/relay') as KubeObject;
  const ownerReferences = [{ kind: 'Other', name: 'x', uid: 'theirs', controller: true }];
  const world = beside(relayObject(), [], { metadata: { ...live.metadata, ownerReferences } });
  assert.deepEqual(namesOf(world), []);
});

describe('while the StatefulSet is replaced, and after that', () => {
  const SETS: Readonly<Record<string, Partial<KubeObject> | null>> = {
    'is gone': null,
    'is new': { status: {} },
    'is seen before its pods are': { status: SEEN },
    goes: { metadata: { name: 'relay', namespace: 'mail', uid: 'new', deletionTimestamp: 'now' } },
  };
  const labels = { ...SERVING, 'controller-revision-hash': 'relay-former' };
  for (const [what, set] of Object.entries(SETS))
    test(`and ${what}, its pods are of the relay, without an owner or with the old one`, () => {
      const former = [
        podOf(0, { labels, owners: [] }),
        podOf(1, { labels, owners: [{ ...OWNER, uid: 'former' }] }),
      ];
      const strangers = [
        podOf(2, { labels, owners: [], spec: { serviceAccountName: 'theirs' } }),
        podOf(3, { owners: [] }),
        podOf(4, { labels, owners: [{ ...OWNER, kind: 'ReplicaSet' }] }),
        podOf(5, { labels, owners: [{ ...OWNER, uid: 'former', name: 'other' }] }),
        podOf(6, { labels, owners: [], spec: { serviceAccountName: 'relay', volumes: [] } }),
      ];
      const live = liveObjects(relayObject()).get('StatefulSet/relay') as KubeObject;
      const metadata = { ...live.metadata, uid: 'new', ...set?.metadata };
      const world = beside(relayObject(), [...former, ...strangers], set && { ...set, metadata });
      assert.deepEqual(namesOf(world), ['relay-0', 'relay-1']);
    });
});

test('a pod of a revision between the two of the StatefulSet is of the relay', () => {
  const labels = { ...SERVING, 'controller-revision-hash': 'relay-between' };
  assert.deepEqual(namesOf(beside(relayObject(), [podOf(1, { labels, owners: [] })])), [
    'relay-0',
    'relay-1',
  ]);
});

test('the sidecar is not asked while a pod without it has no owner after a change of its StatefulSet', () => {
  const relay = relayObject({ outbound: { resolver: { sidecar: { image: 'unbound:1' } } } });
  const labels = { ...SERVING, 'controller-revision-hash': 'relay-former' };
  const former = liveObjects(relayObject()).get('ConfigMap/relay-policy') as KubeObject;
  const world = beside(relay, [podOf(0, { labels, owners: [] }), podOf(1, { labels, owners: [] }), former], {
    status: SEEN,
  });
  assert.equal(world.policy?.outbound.resolver, null);
});

test('the place of an emptied claim stays while a pod of somebody else may use it', () => {
  const live = liveObjects(relayObject()).get('StatefulSet/relay') as KubeObject;
  const spec = { ...(live['spec'] as object), replicas: 3 };
  const emptied = claimOf(2, { [ANNOTATIONS.emptied]: 'uid-of-former' });
  const placesBeside = (others: readonly KubeObject[]) =>
    planScaling(beside(relayObject(), [emptied, ...others], { spec })).replicas;
  assert.equal(placesBeside([]), 2);
  for (const owners of [[], [{ ...OWNER, uid: 'former' }], [{ ...OWNER, kind: 'ReplicaSet' }]])
    assert.equal(placesBeside([podOf(2, { owners })]), 3);
});

test('an emptied claim stays while a pod of somebody else may use it', async () => {
  const relay = relayObject();
  const emptied = claimOf(2, { [ANNOTATIONS.emptied]: 'uid-of-former' });
  const deletes = async (others: readonly KubeObject[]) =>
    (await requestsAt(beside(relay, others))).requests.filter(({ method }) => method === 'DELETE').length;
  assert.equal(await deletes([emptied]), 1);
  assert.equal(await deletes([emptied, podOf(2, { owners: [{ ...OWNER, uid: 'former' }] })]), 0);
});
