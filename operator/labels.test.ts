/** Labels of pods and claims that somebody took away come back, by the StatefulSet that owns the pod. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MailRelay } from '#crds/mailrelay.ts';
import { parseScale, SCALE_FILE_NAME, scaleOrder } from '#crds/scalefile.ts';
import { notFound, recordingDeps } from '#test/fixtures/deps.ts';
import { gathered } from '#test/fixtures/gathered.ts';
import { liveObjects, podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import type { StatefulSetSpec } from './judge/storage.ts';
import { listRelayKeys, reduceToKept } from './kept.ts';
import type { KubeObject, Request } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import { AllPaces } from './paces.ts';
import { reconcile } from './reconcile.ts';
import { managedLabels } from './render/metadata.ts';
import type { World } from './world.ts';

const relay = relayObject();
const LABELS = managedLabels('relay');
const { 'app.kubernetes.io/managed-by': _, ...UNMANAGED } = LABELS;
const SERVING = { ...LABELS, 'mailrelay.dev/serving': 'true' };
const owner = { kind: 'StatefulSet', name: 'relay', uid: 'uid-of-StatefulSet', controller: true };

const pod = (n: number, labels: object = LABELS, ownerReferences: readonly object[] = [owner]) =>
  ({
    kind: 'Pod',
    metadata: { name: `relay-${n}`, namespace: 'mail', uid: `uid-of-relay-${n}`, labels, ownerReferences },
    spec: { serviceAccountName: 'relay' },
  }) as KubeObject;
const claim = (n: number, labels: object = LABELS) =>
  ({
    kind: 'PersistentVolumeClaim',
    metadata: { name: `spool-relay-${n}`, namespace: 'mail', uid: `uid-of-claim-${n}`, labels },
    spec: {},
    status: { phase: 'Bound' },
  }) as KubeObject;

/** The server has all objects, the caches only those with our labels. */
function world(server: readonly KubeObject[], changes: Partial<World> = {}): World {
  const objects = liveObjects(relayObject());
  for (const object of server)
    if (object.metadata.labels && 'app.kubernetes.io/managed-by' in object.metadata.labels)
      objects.set(`${object.kind}/${object.metadata.name}`, object);
  const cached = [0, 1].filter((n) => objects.has(`Pod/relay-${n}`));
  const pods = cached.map((n) => podView(`relay-${n}`, podReport(relay)));
  return settledWorld({ relay, objects, pods, ...changes });
}

function answering(server: readonly KubeObject[]) {
  return recordingDeps(({ method, path, query, body }: Request) => {
    if (method !== 'GET') return body;
    if (path.endsWith('/pods')) return { items: server.filter((object) => isSelected(object, query)) };
    return server.find(({ metadata }) => path.endsWith(`/${metadata.name}`)) ?? notFound({ method, path });
  });
}

/** As the API server selects pods, of which it gives no kind in a list. */
function isSelected({ kind, metadata, spec }: KubeObject, query: Request['query'] = {}): boolean {
  const { serviceAccountName } = (spec ?? {}) as { serviceAccountName?: string };
  const fields = [`metadata.name=${metadata.name}`, `spec.serviceAccountName=${serviceAccountName}`];
  const [label = '', not] = query['labelSelector']?.split('!=') ?? [];
  const isIn = not === undefined || metadata.labels?.[label] !== not;
  return kind === 'Pod' && isIn && fields.includes(query['fieldSelector'] ?? '');
}

async function patches(server: readonly KubeObject[], changes: Partial<World> = {}) {
  const deps = answering(server);
  await reconcile(world(server, changes), deps);
  const written = deps.requests.filter(({ method, path }) => method !== 'GET' && !path.endsWith('/status'));
  const looked = deps.requests.filter(
    ({ path }) => path.endsWith('/pods') || path.includes('/persistentvolumeclaims/'),
  );
  return { written: written.map(({ path, body }) => [path.split('/').at(-1), body]), reads: looked.length };
}

const namesOf = (written: readonly (readonly unknown[])[]) =>
  written.map(([name, body]) => {
    const { kind = 'Pod', metadata } = body as KubeObject;
    return `${kind}/${metadata.name ?? name}`;
  });

/** How many pods are told to stay; undefined if that was not written. */
const scaleOf = (written: readonly (readonly unknown[])[]) => {
  const map = written.map(([, body]) => body as KubeObject).find(({ kind }) => kind === 'ConfigMap');
  return map && parseScale((map['data'] as Record<string, string>)[SCALE_FILE_NAME] ?? '')?.replicas;
};

test('a pod that the StatefulSet counts gets its labels back', async () => {
  const server = [pod(0), pod(1, UNMANAGED), claim(0), claim(1)];
  const patch = { metadata: { uid: 'uid-of-relay-1', labels: LABELS } };
  assert.deepEqual((await patches(server)).written, [['relay-1', patch]]);
  // One that leaves, too: without its label nobody would empty it. It is told to leave when it is seen.
  const smaller = relayObject({ replicas: 1 });
  const { written } = await patches(server, { relay: smaller, policy: settledWorld().policy });
  assert.deepEqual(written[0], ['relay-1', patch]);
  assert.deepEqual(namesOf(written), ['Pod/relay-1', 'PodDisruptionBudget/relay']);
});

test('a claim of a pod of the StatefulSet gets its labels back', async () => {
  const { 'app.kubernetes.io/name': _name, ...unnamed } = LABELS;
  for (const labels of [UNMANAGED, unnamed]) {
    const { written } = await patches([pod(0), pod(1), claim(0), claim(1, labels)]);
    assert.deepEqual(written, [['spool-relay-1', { metadata: { uid: 'uid-of-claim-1', labels: LABELS } }]]);
  }
});

test('a pod of somebody else, and one that goes, stay as they are', async () => {
  const others = [pod(1, UNMANAGED, []), pod(1, UNMANAGED, [{ ...owner, uid: 'another' }])];
  const going = {
    ...pod(1, UNMANAGED),
    metadata: { ...pod(1, UNMANAGED).metadata, deletionTimestamp: 'now' },
  };
  for (const other of [...others, going]) {
    const { written, reads } = await patches([pod(0), other as KubeObject, claim(0), claim(1)]);
    assert.deepEqual(written, []);
    assert.ok(reads <= 3, `${reads} reads`);
  }
});

const EMPTIED = { state: 'Emptied', message: null, order: scaleOrder(relay.metadata) } as const;

/** Two pods are wanted; the third one, with its claim, leaves, and says that it is empty if it `hasRun`. */
async function scalesIn(
  third: readonly KubeObject[],
  answer: (request: Request) => unknown = () => undefined,
  hasRun = true,
) {
  const server = [pod(0), pod(1), claim(0), claim(1), ...third];
  const state = world(server);
  const objects = new Map(state.objects);
  const set = objects.get('StatefulSet/relay') as KubeObject;
  objects.set('StatefulSet/relay', { ...set, spec: { ...(set['spec'] as object), replicas: 3 } });
  const deps = recordingDeps();
  const answers = answering(server).writer;
  const request = async <T>(sent: Request): Promise<T> => {
    deps.requests.push(sent);
    return (answer(sent) as T | undefined) ?? answers.request(sent);
  };
  const report = hasRun ? podReport(relay, { evacuation: EMPTIED }) : undefined;
  const leaving = third.flatMap(({ kind, metadata }) =>
    kind === 'Pod'
      ? [podView(metadata.name, report, { hasRun, deleting: metadata.deletionTimestamp !== undefined })]
      : [],
  );
  await reconcile({ ...state, objects, leaving }, { ...deps, writer: { request } });
  const written = deps.requests.filter(({ method }) => method !== 'GET');
  const applied = written.find(({ path }) => path.includes('/statefulsets/'))?.body as KubeObject | undefined;
  const claims = written.flatMap(({ path, body }) => (path.endsWith('/spool-relay-2') ? [body] : []));
  const status = written.find(({ path }) => path.endsWith('/status'));
  return {
    replicas: (applied?.['spec'] as StatefulSetSpec | undefined)?.replicas,
    claims,
    told: JSON.stringify(status?.body),
  };
}

test('a place is not given up while its claim is hidden, also while its pod is away for a moment', async () => {
  const patch = { metadata: { uid: 'uid-of-claim-2', labels: LABELS } };
  const refuse = ({ method, path }: Request) => {
    if (method !== 'GET' && path.includes('claims')) throw new KubeError('forbidden', 'not here', 403);
  };
  const fail = ({ method, path }: Request) => {
    if (method === 'GET' && path.includes('claims/')) throw new KubeError('failed', 'not now', 500);
  };
  for (const there of [[pod(2), claim(2, UNMANAGED)], [claim(2, UNMANAGED)]]) {
    const { replicas, claims } = await scalesIn(there);
    assert.deepEqual([replicas, claims], [3, [patch]]);
    for (const answer of [refuse, fail]) {
      const held = await scalesIn(there, answer);
      assert.notEqual(held.replicas, 2);
      assert.match(held.told, /PersistentVolumeClaim\/spool-relay-2/);
    }
  }
});

test('nor while the caches have not got its claim yet', async () => {
  const server = claim(2);
  const late = ({ path, method }: Request) =>
    method === 'GET' && path.endsWith('spool-relay-2') ? server : undefined;
  const { replicas, claims } = await scalesIn([], late);
  assert.deepEqual([replicas, claims], [3, []]);
});

test('it is given up when there is no claim, or one that goes', async () => {
  const going = claim(2, UNMANAGED);
  const deleted = { ...going, metadata: { ...going.metadata, deletionTimestamp: 'now' } };
  for (const there of [[], [deleted]]) assert.equal((await scalesIn(there)).replicas, 2);
});

test('a claim of somebody else is told, and stays as it is', async () => {
  const postgres = { 'app.kubernetes.io/name': 'postgresql', 'app.kubernetes.io/instance': 'relay' };
  for (const labels of [{}, { app: 'postgres' }, postgres]) {
    const { claims, told, replicas } = await scalesIn([pod(2), claim(2, labels)]);
    assert.deepEqual(claims, []);
    assert.match(
      told,
      /PersistentVolumeClaim\/spool-relay-2 bears no label of this relay, and may belong to someone else: rename this MailRelay, or,/,
    );
    assert.equal(replicas, 2);
    // A pod that is not there, has not run, or ends, cannot tell what the claim has.
    const { metadata, ...spec } = pod(2);
    const ending = { ...spec, metadata: { ...metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } };
    for (const there of [[], [ending]]) {
      const held = await scalesIn([...there, claim(2, labels)]);
      assert.deepEqual([held.claims, held.replicas], [[], undefined]);
    }
    assert.notEqual((await scalesIn([pod(2), claim(2, labels)], () => undefined, false)).replicas, 2);
  }
  for (const labels of [{ 'app.kubernetes.io/instance': 'relay' }, { 'app.kubernetes.io/name': 'mailrelay' }])
    assert.equal((await scalesIn([claim(2, labels)])).claims.length, 1);
  const { metadata, ...rest } = claim(2, {});
  const noted = { ...rest, metadata: { ...metadata, annotations: { 'mailrelay.dev/granted': '1Gi/1Gi' } } };
  assert.equal((await scalesIn([noted])).claims.length, 1);
});

test('a claim that was hidden loses its mark with the same write: a pod may have used it meanwhile', async () => {
  const { metadata, ...rest } = claim(2, UNMANAGED);
  const marked = { ...rest, metadata: { ...metadata, annotations: { 'mailrelay.dev/emptied': 'u' } } };
  const annotations = { 'mailrelay.dev/emptied': null };
  const { replicas, claims } = await scalesIn([marked]);
  assert.deepEqual(claims, [{ metadata: { uid: 'uid-of-claim-2', labels: LABELS, annotations } }]);
  assert.equal(replicas, 3);
});

/** One pod is wanted, and somebody has deleted the StatefulSet. The caches have two claims; these are there too. */
async function withoutSet(
  hidden: readonly KubeObject[],
  answer: (request: Request) => unknown = () => undefined,
  of: MailRelay = relayObject({ replicas: 1 }),
) {
  const server = [claim(0), claim(1), ...hidden];
  const state = world(server, { relay: of, pods: [] });
  const objects = new Map(state.objects);
  objects.delete('StatefulSet/relay');
  const deps = recordingDeps();
  const answers = answering(server).writer;
  const request = async <T>(sent: Request): Promise<T> => {
    deps.requests.push(sent);
    return (answer(sent) as T | undefined) ?? answers.request(sent);
  };
  await reconcile({ ...state, objects }, { ...deps, writer: { request } });
  const written = deps.requests.filter(({ method }) => method !== 'GET');
  const set = written.find(({ path }) => path.includes('/statefulsets/'))?.body as KubeObject | undefined;
  return {
    places: (set?.['spec'] as StatefulSetSpec | undefined)?.replicas,
    labelled: written.flatMap(({ path }) => (path.includes('claims/') ? [path.split('/').at(-1)] : [])),
    told: JSON.stringify(written.find(({ path }) => path.endsWith('/status'))?.body),
    reads: deps.requests.filter(({ method, path }) => method === 'GET' && path.includes('claims/')).length,
  };
}

test('without a StatefulSet the claims say how many places it had, also those that are hidden', async () => {
  assert.deepEqual((await withoutSet([])).places, 2);
  assert.equal((await withoutSet([])).reads, 1, 'the first that is not there ends the look');
  const { places, labelled } = await withoutSet([claim(2, UNMANAGED), claim(3, UNMANAGED)]);
  assert.deepEqual([places, labelled], [4, ['spool-relay-2', 'spool-relay-3']]);
  const coming = await withoutSet([claim(2, UNMANAGED), claim(3)].toReversed());
  assert.equal(coming.places, 4);
  const counted = { ...relayObject({ replicas: 1 }), status: { replicas: 4 } };
  const gap = await withoutSet([claim(3, UNMANAGED)], () => undefined, counted);
  assert.deepEqual([gap.places, gap.labelled], [4, ['spool-relay-3']]);
  const { metadata, ...rest } = claim(2, UNMANAGED);
  const going = { ...rest, metadata: { ...metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } };
  assert.deepEqual((await withoutSet([going, claim(3, UNMANAGED)])).labelled, ['spool-relay-3']);
});

test('and so do those whose labels are refused, or that cannot be read; but none of somebody else', async () => {
  const refuse = ({ method, path }: Request) => {
    if (method !== 'GET' && path.includes('claims/')) throw new KubeError('forbidden', 'not here', 403);
  };
  const refused = await withoutSet([claim(2, UNMANAGED)], refuse);
  assert.equal(refused.places, 3);
  assert.match(refused.told, /the labelling of PersistentVolumeClaim\/spool-relay-2 is not/);
  // No pod takes mail onto a claim that keeps the mark of an empty one.
  const { metadata, ...rest } = claim(0);
  const marked = { ...rest, metadata: { ...metadata, annotations: { 'mailrelay.dev/emptied': 'u' } } };
  assert.equal((await withoutSet([marked, claim(2, UNMANAGED)], refuse)).places, undefined);
  const fail = ({ path }: Request) => {
    if (path.endsWith('/spool-relay-2')) throw new KubeError('failed', 'not now', 500);
  };
  assert.equal((await withoutSet([claim(2, UNMANAGED)], fail)).places, undefined, 'it is not made yet');
  const failed: Request[] = [];
  const failOnce = (request: Request) => {
    if (request.path.endsWith('/spool-relay-2') && failed.push(request) === 1) fail(request);
  };
  const counted = { ...relayObject({ replicas: 1 }), status: { replicas: 4 } };
  const once = await withoutSet([claim(2, UNMANAGED), claim(3, UNMANAGED)], failOnce, counted);
  assert.deepEqual([once.places, once.labelled], [4, ['spool-relay-3']], 'it ends no look at the others');
  const theirs = await withoutSet([claim(2, { app: 'postgres' })]);
  assert.deepEqual([theirs.places, theirs.labelled], [2, []]);
  assert.doesNotMatch(theirs.told, /someone else/);
  const cutThrough = relayObject({ replicas: 1, queue: { mode: 'CutThrough' } });
  assert.equal((await withoutSet([claim(2, UNMANAGED)], () => undefined, cutThrough)).reads, 0);
});

/** As the StatefulSet controller leaves it: without a controller, and not counted. */
function released(
  labels: object,
  changes: Record<string, unknown> = {},
  revision: string = 'relay-2',
): KubeObject {
  const { spec, ...rest } = pod(1, { ...labels, 'controller-revision-hash': revision }, []);
  const volumes = [{ name: 'spool', persistentVolumeClaim: { claimName: 'spool-relay-1' } }];
  return { ...rest, spec: { serviceAccountName: 'relay', volumes, ...changes } };
}

/** As the caches and the pods tell it. The StatefulSet wants another pod of the name. */
function releasing(server: readonly KubeObject[]): World {
  const objects = liveObjects(relay);
  for (const object of server) {
    const isListed = 'app.kubernetes.io/managed-by' in (object.metadata.labels ?? {});
    if (!isListed || !listRelayKeys(object).has('mail/relay')) continue;
    const kept = reduceToKept(object, () => relay);
    objects.set(`${object.kind}/${object.metadata.name}`, kept);
  }
  const set = objects.get('StatefulSet/relay') as KubeObject;
  const revisions = { currentRevision: 'relay-1', updateRevision: 'relay-2' };
  const counted = server.filter(({ kind, metadata }) => kind === 'Pod' && metadata.ownerReferences?.length);
  objects.set('StatefulSet/relay', {
    ...set,
    status: { ...(set['status'] as object), replicas: counted.length, ...revisions },
  });
  const reportOf = (namespace: string, name: string, uid: string) =>
    podReport(relay, { identity: { pod: name, uid, namespace, relay: 'relay' } });
  return gathered({ relay: () => relay, objectsOf: () => objects }, { reportOf }) as World;
}

/** What is written to the pod and to the StatefulSet, and what the status says. */
async function lookAt(second: KubeObject) {
  const server = [pod(0, SERVING), second, claim(0), claim(1)];
  const deps = answering(server);
  const seen = releasing(server);
  await reconcile(seen, deps);
  const status = deps.requests.find(({ path }) => path.endsWith('/status'))?.body as MailRelay | undefined;
  const stalled = status?.status?.conditions?.find(({ type }) => type === 'Stalled');
  const { name } = second.metadata;
  const isIts = (path: string) => path.endsWith(`/pods/${name}`) || path.includes('/statefulsets/');
  const written = deps.requests.filter(({ method, path }) => method !== 'GET' && isIts(path));
  const views = [...seen.pods, ...seen.leaving].map((view) => view.name);
  return { written: written.map(({ method, body }) => [method, body]), stalled: stalled?.message, views };
}

test('a pod that its StatefulSet released for want of a label gets it back, so that it is taken again', async () => {
  const patch = ['PATCH', { metadata: { uid: 'uid-of-relay-1', labels: LABELS } }];
  for (const label of [...Object.keys(LABELS), undefined]) {
    const left = Object.entries(LABELS).filter(([name]) => label !== undefined && name !== label);
    const labels = { ...Object.fromEntries(left), 'mailrelay.dev/serving': 'true' };
    const { written, stalled } = await lookAt(released(labels));
    assert.deepEqual([written, stalled], [[patch], undefined], String(label));
  }
});

test('so does one of any revision of its name, as between two roll-outs', async () => {
  const { written, stalled } = await lookAt(released({}, {}, 'relay-between'));
  assert.deepEqual([written.length, stalled], [1, undefined]);
});

for (const kind of ['notFound', 'conflict'] as const)
  test(`one that is gone or made anew meanwhile (${kind}) ends no look`, async () => {
    const server = [pod(0, SERVING), released({}), claim(0), claim(1)];
    const answers = answering(server).writer;
    const deps = recordingDeps();
    const request = async <T>(sent: Request): Promise<T> => {
      deps.requests.push(sent);
      const isIt = sent.method === 'PATCH' && sent.path.endsWith('/pods/relay-1');
      if (isIt) throw new KubeError(kind, 'another one has the name', 409);
      return answers.request(sent);
    };
    const { failure } = await reconcile(releasing(server), { ...deps, writer: { request } });
    assert.equal(failure, undefined);
    const status = deps.requests.find(({ path }) => path.endsWith('/status'));
    assert.doesNotMatch(JSON.stringify(status?.body), /the labelling of|another one has the name/);
  });

test('a claim that the caches know keeps its mark, whatever takes another label of it away', async () => {
  const { 'app.kubernetes.io/part-of': _part, ...stripped } = LABELS;
  let live = claim(2, stripped);
  const written: KubeObject['metadata'][] = [];
  const paces = new AllPaces(() => 0).of('mail/relay', 3);
  const report = podReport(relay, { evacuation: EMPTIED });
  for (let nth = 0; nth < 6; nth++) {
    const server = [pod(0), pod(1), pod(2), claim(0), claim(1), live];
    const answers = answering(server).writer;
    const request = async <T>(sent: Request): Promise<T> => {
      if (sent.method !== 'PATCH' || !sent.path.endsWith('/spool-relay-2')) return answers.request(sent);
      const { metadata } = sent.body as KubeObject;
      written.push(metadata);
      const annotations = Object.fromEntries(
        Object.entries({ ...live.metadata.annotations, ...metadata.annotations }).filter(
          ([, value]) => (value as string | null) !== null,
        ),
      );
      live = { ...live, metadata: { ...live.metadata, annotations } };
      return live as T;
    };
    const state = world(server);
    const set = state.objects.get('StatefulSet/relay') as KubeObject;
    const objects = new Map(state.objects);
    objects.set('StatefulSet/relay', { ...set, spec: { ...(set['spec'] as object), replicas: 3 } });
    const leaving = [podView('relay-2', report)];
    await reconcile({ ...state, objects, leaving }, { ...recordingDeps(), writer: { request, paces } });
  }
  // With the mark it is another object, for which its labels are tried once more.
  const marks = written.map(({ annotations }) => annotations?.['mailrelay.dev/emptied']);
  assert.deepEqual(marks, [undefined, 'uid-of-relay-2', undefined]);
});

/** The caches have those with the label. Each lacks at least one of the marks of a released pod. */
const MANAGED = { 'app.kubernetes.io/managed-by': 'mailrelay-operator' };
const REPLICA_SET = { kind: 'ReplicaSet', name: 'relay', uid: 'another', controller: true };
const STRANGERS = [{}, MANAGED].flatMap((labels) => [
  pod(1, labels, []),
  { ...released(labels), metadata: { ...released(labels).metadata, ownerReferences: [REPLICA_SET] } },
  released(labels, {}, 'other-1'),
  released(labels, { serviceAccountName: 'default' }),
  released(labels, { volumes: [{ name: 'spool', persistentVolumeClaim: { claimName: 'spool-relay-0' } }] }),
  released(labels, { volumes: [] }),
]);

test('a pod of our name that proves nothing is let alone, and told', async () => {
  for (const other of STRANGERS) {
    const { written, stalled, views } = await lookAt(other);
    assert.deepEqual([written, views], [[], ['relay-0']]);
    assert.match(String(stalled), /^Pod\/relay-1 belongs to someone else: rename or remove it/);
  }
});

test('one of a name that the relay does not need is let alone, and the relay does not grow for it', async () => {
  for (const { metadata, ...other } of STRANGERS) {
    const { written, views } = await lookAt({ ...other, metadata: { ...metadata, name: 'relay-7' } });
    assert.deepEqual([written, views], [[], ['relay-0']]);
  }
});

test('nothing is read while the caches have everything, and a few objects at most', async () => {
  assert.equal((await patches([pod(0), pod(1), claim(0), claim(1)])).reads, 0);
  const objects = new Map(world([pod(0), claim(0)]).objects);
  const set = objects.get('StatefulSet/relay') as KubeObject;
  const spec = { ...(set['spec'] as object), replicas: 40 };
  objects.set('StatefulSet/relay', { ...set, spec, status: { replicas: 40 } });
  objects.delete('PersistentVolumeClaim/spool-relay-0');
  const deps = answering([]);
  await reconcile(settledWorld({ relay: relayObject({ replicas: 40 }), objects, pods: [] }), deps);
  const listed = deps.requests.filter(({ path }) => path.endsWith('/pods'));
  assert.equal(listed.length, 3);
});

/** The pods that are patched in some looks, of which each changes the world; the server refuses the patches of some. */
async function patchedIn(
  state: World,
  server: readonly KubeObject[],
  looks: readonly ((state: World) => World)[],
  refused: readonly string[] = [],
) {
  const paces = new AllPaces(() => 0).of('mail/relay', 3);
  const answers = answering(server).writer;
  const deps = recordingDeps();
  const request = async <T>(sent: Request): Promise<T> => {
    deps.requests.push(sent);
    const isRefused = refused.some((name) => sent.path.endsWith(`/pods/${name}`));
    if (sent.method === 'PATCH' && isRefused) throw new KubeError('forbidden', 'the backup owns it', 403);
    return answers.request(sent);
  };
  for (const change of looks) await reconcile(change(state), { ...deps, writer: { request, paces } });
  const written = deps.requests.filter(({ method, path }) => method !== 'GET' && path.includes('/pods/'));
  return written.map(({ path }) => path.split('/').at(-1));
}

/** A relay with six places, of whose pods the caches have one. */
function large(): World {
  const wanted = relayObject({ replicas: 6 });
  const objects = liveObjects(wanted).set('Pod/relay-4', pod(4));
  return settledWorld({ relay: wanted, objects, pods: [podView('relay-4', podReport(wanted))] });
}

test('pods that are not there hide none behind them', async () => {
  const same = (state: World) => state;
  for (const hidden of [0, 1, 2, 3, 5]) {
    const patched = await patchedIn(large(), [pod(hidden, UNMANAGED)], [same]);
    assert.ok(patched.includes(`relay-${hidden}`), `relay-${hidden}`);
  }
});

test('nor do those whose labels are refused', async () => {
  const names = [0, 1, 2, 3, 5].map((n) => `relay-${n}`);
  const server = [0, 1, 2, 3, 5].map((n) => pod(n, UNMANAGED));
  const same = (state: World) => state;
  const patched = await patchedIn(large(), server, [same, same, same], names);
  assert.deepEqual(patched.toSorted(), names, 'each once');
});

test('another pod that the caches know gets its labels at once, though those of the former were refused', async () => {
  const { 'app.kubernetes.io/name': _name, ...unnamed } = LABELS;
  const second = pod(1, unnamed);
  const another = { ...second, metadata: { ...second.metadata, uid: 'another' } };
  const same = (state: World) => state;
  const replaced = (state: World) => ({
    ...state,
    objects: new Map(state.objects).set('Pod/relay-1', another),
  });
  const server = [pod(0), second, claim(0), claim(1)];
  const patched = await patchedIn(world(server), server, [same, same, replaced], ['relay-1']);
  assert.deepEqual(patched, ['relay-1', 'relay-1']);
});

/** What many looks at this world write, half a minute apart, at a server that refuses all patches of this kind. */
async function looksAt(state: World, server: readonly KubeObject[], refused: string) {
  let now = 0;
  const all = new AllPaces(() => now);
  const answers = answering(server).writer;
  let { relay: seen } = state;
  const rows: { written: Request[]; status: MailRelay['status'] }[] = [];
  for (let nth = 0; nth < 12; nth++, now += 30_100) {
    const deps = recordingDeps();
    const request = async <T>(sent: Request): Promise<T> => {
      deps.requests.push(sent);
      const isRefused = sent.method !== 'GET' && sent.path.includes(`/${refused}/`);
      if (isRefused) throw new KubeError('forbidden', 'the backup owns it', 403);
      return answers.request(sent);
    };
    const paces = all.of('mail/relay', seen.metadata.generation);
    await reconcile({ ...state, relay: seen, now: state.now + now }, { ...deps, writer: { request, paces } });
    const written = deps.requests.filter(({ method }) => method !== 'GET');
    const body = written.find(({ path }) => path.endsWith('/status'))?.body as MailRelay | undefined;
    if (body?.status) seen = { ...seen, status: body.status };
    rows.push({ written, status: body?.status });
  }
  return rows;
}

test('labels that are refused are told once, in however many looks', async () => {
  const ordinals = [0, 1, 2, 3, 4];
  const wanted = relayObject({ replicas: 5 });
  const server = ordinals.flatMap((n) => [pod(n), claim(n, UNMANAGED)]).toReversed();
  const objects = liveObjects(wanted);
  for (const object of server) if (object.kind === 'Pod') objects.set(`Pod/${object.metadata.name}`, object);
  const pods = ordinals.map((n) => podView(`relay-${n}`, podReport(wanted)));
  const rows = await looksAt(
    settledWorld({ relay: wanted, objects, pods }),
    server,
    'persistentvolumeclaims',
  );
  assert.deepEqual(
    rows.map(({ status }) => status !== undefined),
    rows.map((_, nth) => nth === 0),
  );
  assert.match(
    JSON.stringify(rows[0]?.status),
    /the labelling of PersistentVolumeClaim\/spool-relay-0 is not/,
  );
});

test('a pod that cannot get its labels holds scaling and volumes in every look, whatever else is missing', async () => {
  const wanted = relayObject({ replicas: 10, queue: { storage: { size: '9Gi' } } });
  const server = [pod(0, UNMANAGED), pod(9), claim(9)];
  const objects = liveObjects(relayObject({ replicas: 10 }));
  for (const object of [pod(9), claim(9)]) objects.set(`${object.kind}/${object.metadata.name}`, object);
  const pods = [podView('relay-9', podReport(wanted))];
  const rows = await looksAt(settledWorld({ relay: wanted, objects, pods }), server, 'pods');
  for (const [nth, { written, status }] of rows.entries()) {
    assert.doesNotMatch(JSON.stringify(written), /9Gi|DeleteOptions/, `look ${nth}`);
    assert.equal(status === undefined, nth > 0, `the status of look ${nth}`);
  }
});

test('a pod of somebody else hides none of the relay', async () => {
  const wanted = relayObject({ queue: { mode: 'CutThrough' } });
  const objects = liveObjects(wanted).set('Pod/relay-1', pod(1));
  const stranger = pod(7, { ...LABELS, 'app.kubernetes.io/name': 'x' }, []);
  objects.set('Pod/relay-7', stranger);
  const state = gathered({ relay: () => wanted, objectsOf: () => objects }) as World;
  const same = (world: World) => world;
  const patched = await patchedIn(state, [pod(0, UNMANAGED), stranger], [same]);
  assert.deepEqual(patched.toSorted(), ['relay-0', 'relay-1']);
});

test('a claim whose labels were refused is tried at once when somebody changes it', async () => {
  const { metadata, ...hidden } = claim(1, UNMANAGED);
  const paces = new AllPaces(() => 0).of('mail/relay', 3);
  const patchesOf = async (annotations: Readonly<Record<string, string>>) => {
    const server = [pod(0), pod(1), claim(0), { ...hidden, metadata: { ...metadata, annotations } }];
    const answers = answering(server).writer;
    const sent: Request[] = [];
    const request = async <T>(one: Request): Promise<T> => {
      sent.push(one);
      if (one.method !== 'GET') throw new KubeError('forbidden', 'the backup owns it', 403);
      return answers.request(one);
    };
    const look = reconcile(world(server), { ...recordingDeps(), writer: { request, paces } });
    await assert.rejects(look, /the backup owns it/, 'the status is refused too');
    return sent.filter(({ method, path }) => method === 'PATCH' && path.includes('claims')).length;
  };
  const counts = [await patchesOf({}), await patchesOf({}), await patchesOf({ keep: 'no' })];
  assert.deepEqual(counts, [1, 0, 1]);
});

const STRIPS = 'strips';
const DENIES = 'denies';

/** A reconcile of a relay whose spec has changed, at a server that keeps the labels from the claims or pods. */
async function besides(
  how: string,
  kind: 'pods' | 'persistentvolumeclaims',
  changes: Record<string, unknown>,
) {
  const isPods = kind === 'pods';
  const server = isPods
    ? [pod(0), pod(1, UNMANAGED), claim(0), claim(1)]
    : [pod(0), pod(1), claim(0), claim(1, UNMANAGED)];
  const answers = answering(server).writer;
  const deps = recordingDeps();
  const writer = {
    request: async <T>(request: Request): Promise<T> => {
      deps.requests.push(request);
      if (request.method !== 'PATCH' || !request.path.includes(`/${kind}/`)) return answers.request(request);
      if (how === DENIES) throw new KubeError('forbidden', 'the backup owns it', 403);
      return (isPods ? server[1] : server[3]) as T;
    },
  };
  const changed = relayObject(changes);
  const state = world(server);
  const look = settledWorld({ relay: changed, objects: state.objects, pods: state.pods });
  const { lookAgainMs } = await reconcile(look, { ...deps, writer });
  const written = deps.requests.filter(({ method, path }) => method !== 'GET' && !path.endsWith('/status'));
  const status = deps.requests.find(({ path }) => path.endsWith('/status'))?.body as {
    status: { conditions: { type: string; status: string; reason: string; message: string }[] };
  };
  const find = (type: string) => status.status.conditions.find((one) => one.type === type);
  return { written: written.map(({ body }) => ['', body] as [string, unknown]), find, lookAgainMs };
}

for (const how of [STRIPS, DENIES])
  for (const kind of ['pods', 'persistentvolumeclaims'] as const)
    test(`what ${how} the labels of ${kind} holds up nothing else, and is told`, async () => {
      const { written, find, lookAgainMs } = await besides(how, kind, { logging: { level: 'debug' } });
      assert.ok(namesOf(written).includes('ConfigMap/relay-policy'), 'the new policy is applied');
      assert.equal(find('Stalled'), undefined);
      const sound = find('ConfigurationSound');
      assert.equal(sound?.reason, 'ExtraRefused');
      assert.match(
        String(sound?.message),
        /the labelling of (Pod|PersistentVolumeClaim)\/(spool-)?relay-1 is not as it should be \(.*the relay does not scale in, and its volumes keep their size: correct what refuses it$/,
      );
      assert.ok(lookAgainMs !== undefined && lookAgainMs > 0, 'it is tried again after a pause');
    });

test('the relay does not scale in, and its volumes keep their size, while one of its objects is not seen', async () => {
  const queue = { storage: { size: '9Gi' } };
  const logging = { level: 'debug' };
  const { written } = await besides(DENIES, 'persistentvolumeclaims', { replicas: 1, queue, logging });
  const sets = written.map(([, body]) => body as KubeObject).filter(({ kind }) => kind === 'StatefulSet');
  const before = liveObjects(relayObject()).get('StatefulSet/relay')?.['spec'] as StatefulSetSpec;
  for (const set of sets) {
    const { replicas, volumeClaimTemplates } = set['spec'] as StatefulSetSpec;
    assert.deepEqual([replicas, volumeClaimTemplates], [2, before.volumeClaimTemplates]);
  }
  assert.equal(scaleOf(written), 2);
  assert.doesNotMatch(JSON.stringify(written), /9Gi|DeleteOptions/);
});
