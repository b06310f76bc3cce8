/** A pod that the StatefulSet released for want of a label is taken again. One that proves nothing is let alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MailRelay } from '#crds/mailrelay.ts';
import { recordingDeps } from '#test/fixtures/deps.ts';
import { gathered } from '#test/fixtures/gathered.ts';
import { answering, claim, LABELS, pod, relay, SERVING } from '#test/fixtures/hiddenlabels.ts';
import { liveObjects, podReport } from '#test/fixtures/world.ts';
import { listRelayKeys, reduceToKept } from './kept.ts';
import type { KubeObject, Request } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import { reconcile } from './reconcile.ts';
import type { World } from './world.ts';

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
